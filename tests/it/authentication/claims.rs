//! What a token says: times, user, roles, audience and issuer.

use serde_json::{Value, json};

use super::{claims, status_for, user_of};
use crate::support::hub::Hub;
use crate::support::token;

/// Each case: claims over good ones, and the status they lead to.
async fn check_all(hub: &Hub, cases: &[(Value, u16)]) {
    for (more, expected) in cases {
        let status = status_for(hub, &token::sign(&claims(more.clone()))).await;
        assert_eq!(status, *expected, "{more:.300}");
    }
}

/// Attack: a token used after or before its time.
#[tokio::test]
async fn times_are_seconds_and_are_kept_to() {
    let hub = Hub::start().await;
    let now = token::now();
    check_all(
        &hub,
        &[
            (json!({"exp": now + 60}), 200),
            (json!({"exp": now + 50 * 365 * 86400}), 200),
            (json!({"exp": null}), 401),
            (json!({"exp": now - 60}), 401),
            (json!({"exp": 0}), 401),
            (json!({"exp": -1}), 401),
            (json!({"exp": (now + 60).to_string()}), 401),
            (json!({"exp": 1e300}), 401),
            (json!({"exp": [now + 60]}), 401),
            (json!({"exp": true}), 401),
            (json!({"nbf": now - 60}), 200),
            (json!({"nbf": now + 60}), 401),
            (json!({"nbf": (now - 60).to_string()}), 401),
            (json!({"iat": now - 60}), 200),
            (json!({"iat": now + 60}), 401),
            (json!({"iat": "yesterday"}), 401),
        ],
    )
    .await;
}

/// Attack: a token used after or before its time.
#[tokio::test]
async fn the_clocks_of_issuers_may_differ_by_as_much_as_is_granted() {
    let now = token::now();
    for (leeway_ms, status) in [(60_000, 200), (0, 401)] {
        let config = format!("[auth]\nleeway_ms = {leeway_ms}");
        let hub = Hub::with().config(&config).start().await;
        let cases = [
            (json!({"exp": now - 10}), status),
            (json!({"nbf": now + 30}), status),
            (json!({"iat": now + 30}), status),
        ];
        check_all(&hub, &cases).await;
    }
}

/// Attack: a token used after or before its time.
#[tokio::test]
async fn a_token_may_be_asked_to_live_no_longer_than_so() {
    let config = "[auth]\ntoken_ttl_max_ms = 600000";
    let hub = Hub::with().config(config).start().await;
    let now = token::now();
    check_all(
        &hub,
        &[
            (json!({"exp": now + 60}), 200),
            (json!({"exp": now + 3600}), 401),
        ],
    )
    .await;
}

/// Attack: a user's name that is none.
#[tokio::test]
async fn the_user_is_sub_or_else_user_id() {
    let hub = Hub::start().await;
    let longest = "x".repeat(128);
    let check = async |more: Value, expected: &str| {
        let api = hub.api(&token::sign(&claims(more.clone())));
        assert_eq!(user_of(&api).await, expected, "{more}");
    };
    check(json!({"sub": "ada"}), "ada").await;
    check(json!({"sub": "ada", "userId": "bob"}), "ada").await;
    check(json!({"sub": null, "userId": "bob"}), "bob").await;
    // The issuer of the original numbers its users.
    check(json!({"sub": 42}), "42").await;
    check(json!({"sub": null, "userId": 42}), "42").await;
    check(json!({"sub": "ada lovelace"}), "ada lovelace").await;
    check(json!({"sub": "ädä 😀"}), "ädä 😀").await;
    check(json!({"sub": longest}), &longest).await;

    let bad = |sub: Value| (json!({"sub": sub}), 401);
    let cases = [
        json!(""),
        json!("x".repeat(129)),
        json!("a\nb"),
        json!("a\u{0}b"),
        json!("\u{1b}[31m"),
        json!(1.5),
        json!(true),
        json!(["ada"]),
        json!({"id": "ada"}),
    ]
    .map(bad);
    check_all(&hub, &cases).await;
    check_all(
        &hub,
        &[
            (json!({"sub": null}), 401),
            (json!({"sub": null, "userId": ""}), 401),
        ],
    )
    .await;
}

/// Attack: a role that only looks like one, a claim written twice.
#[tokio::test]
async fn a_role_counts_only_where_it_is_written_exactly() {
    let hub = Hub::start().await;
    let role = |role: Value, status: u16| (json!({"role": role}), status);
    let roles = |roles: Value, status: u16| (json!({"role": null, "roles": roles}), status);
    let cases = [
        role(json!("platform_admin"), 200),
        role(json!(["guest", "platform_admin"]), 200),
        roles(json!("platform_admin"), 200),
        roles(json!(["guest", "platform_admin"]), 200),
        (json!({"role": "guest", "roles": ["platform_admin"]}), 200),
        (json!({"role": "platform_admin", "roles": ["guest"]}), 200),
        (json!({"role": null}), 403),
        role(json!("guest"), 403),
        role(json!(""), 403),
        role(json!("platform_admin_x"), 403),
        role(json!("x_platform_admin"), 403),
        role(json!("Platform_Admin"), 403),
        role(json!(" platform_admin"), 403),
        role(json!("platform_admin,guest"), 403),
        role(json!("guest platform_admin"), 403),
        role(json!(1), 403),
        role(json!({"platform_admin": true}), 403),
        roles(json!([]), 403),
        roles(json!([["platform_admin"]]), 403),
        roles(json!({"0": "platform_admin"}), 403),
    ];
    check_all(&hub, &cases).await;
}

#[tokio::test]
async fn the_permitted_roles_are_a_setting() {
    let config = "[auth]\npermitted_roles = [\"owner\", \"auditor\"]\npublisher_roles = []";
    let hub = Hub::with().config(config).start().await;
    let cases = [
        (json!({"role": "owner"}), 200),
        (json!({"role": "auditor"}), 200),
        (json!({"role": "platform_admin"}), 403),
        (json!({"role": "service"}), 403),
    ];
    check_all(&hub, &cases).await;
    let service = hub.api(&token::service("job"));
    let answer = service
        .post("/publish", &json!({"metric": "m", "data": 1}))
        .await;
    assert_eq!(answer.failure(), (403, "forbidden"));
}

/// Attack: a role that only looks like one, a claim written twice.
#[tokio::test]
async fn a_claim_that_is_there_twice_is_no_claim() {
    let hub = Hub::start().await;
    let exp = token::now() + 60;
    let check = async |claims: String| {
        let token = token::sign_text(r#"{"alg":"HS256"}"#, &claims);
        assert_eq!(status_for(&hub, &token).await, 401, "{claims}");
    };
    check(format!(
        r#"{{"sub":"a","role":"guest","role":"platform_admin","exp":{exp}}}"#
    ))
    .await;
    check(format!(
        r#"{{"sub":"a","sub":"b","role":"platform_admin","exp":{exp}}}"#
    ))
    .await;
    check(format!(
        r#"{{"sub":"a","role":"platform_admin","exp":1,"exp":{exp}}}"#
    ))
    .await;
}

/// Attack: a token that was made for somebody else.
#[tokio::test]
async fn audience_and_issuer_count_where_they_are_configured() {
    let config = "[auth]\naudiences = [\"hub\", \"hub2\"]\nissuers = [\"idp\"]";
    let hub = Hub::with().config(config).start().await;
    let with = |aud: Value, iss: Value, status| (json!({"aud": aud, "iss": iss}), status);
    let cases = [
        with(json!("hub"), json!("idp"), 200),
        with(json!("hub2"), json!("idp"), 200),
        with(json!(["other", "hub"]), json!("idp"), 200),
        with(json!("other"), json!("idp"), 401),
        with(json!([]), json!("idp"), 401),
        with(json!(["other"]), json!("idp"), 401),
        with(Value::Null, json!("idp"), 401),
        with(json!("HUB"), json!("idp"), 401),
        with(json!("hub"), json!("other"), 401),
        with(json!("hub"), Value::Null, 401),
    ];
    check_all(&hub, &cases).await;
}

/// Attack: a token that was made for somebody else.
#[tokio::test]
async fn audience_and_issuer_do_not_count_where_none_is_configured() {
    let hub = Hub::start().await;
    let cases = [
        (json!({"aud": "anything", "iss": "anyone"}), 200),
        (json!({"aud": ["some", "thing"]}), 200),
    ];
    check_all(&hub, &cases).await;
}
