//! `token`: what it prints works at the hub of the same settings, as whom and for as long as it says.

use serde_json::Value;

use super::command;
use crate::support::hub::{Hub, Start};
use crate::support::token;

/// The token that these words print.
async fn printed(words: &[&str]) -> String {
    let said = command(&[&["token"], words].concat()).says().await;
    let jwt = said.result().to_owned();
    assert_eq!(said.stderr, "", "nothing but the token");
    assert!(
        jwt.starts_with("eyJ") && !jwt.contains(char::is_whitespace),
        "{jwt:?}"
    );
    jwt
}

/// What a token says.
fn claims(jwt: &str) -> Value {
    let key = jsonwebtoken::DecodingKey::from_secret(token::SECRET.as_bytes());
    let validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
    jsonwebtoken::decode::<Value>(jwt, &key, &validation)
        .expect("a good token")
        .claims
}

#[tokio::test]
async fn it_is_an_admins_for_an_hour_unless_said_otherwise() {
    for (words, role, seconds) in [
        (&["--user", "ada"][..], "platform_admin", 3600),
        (&["--user", "ada", "--ttl", "90s"], "platform_admin", 90),
        (&["--user", "ada", "--ttl", "7d"], "platform_admin", 604_800),
        (
            &["--role", "service", "--ttl", "1h 30m", "--user", "ada"],
            "service",
            5400,
        ),
    ] {
        let before = token::now();
        let claims = claims(&printed(words).await);
        let after = token::now();
        assert_eq!(
            (&claims["sub"], &claims["role"]),
            (&"ada".into(), &role.into())
        );
        let expires = claims["exp"].as_u64().expect("a time");
        let lives = before + seconds..=after + seconds;
        assert!(lives.contains(&expires), "{expires} is not in {lives:?}");
    }
}

#[tokio::test]
async fn what_it_prints_works_at_the_hub() {
    let hub = Hub::start().await;
    let admin = printed(&["--user", "ada"]).await;
    let notice = hub.sse("/stream", &admin).await.opened().await;
    assert_eq!(notice["data"]["userId"], "ada");
    let service = hub.api(&printed(&["--user", "job", "--role", "service"]).await);
    service.publish("m", 1.into()).await;
    assert_eq!(service.get("/metrics").await.status, 403);
    let guest = hub.api(&printed(&["--user", "gus", "--role", "guest"]).await);
    assert_eq!(guest.get("/metrics").await.status, 403);
}

#[tokio::test]
async fn without_a_secret_there_is_nothing_to_sign_with() {
    let bare = || -> Start { command(&["token", "--user", "ada"]).without_env("JWT_SECRET") };
    let said = bare().says().await;
    assert!(said.failure(2).contains("JWT_SECRET"), "{said:?}");
    let public = format!(
        "[auth]\npublic_key_file = {:?}\nalgorithm = \"RS256\"",
        token::public_key("rsa_a")
    );
    let said = bare().config(&public).says().await;
    assert!(said.failure(1).contains("public keys"), "{said:?}");
}

#[tokio::test]
async fn the_secret_may_stand_in_a_named_file() {
    let file = format!("[auth]\nsecret = {:?}", token::SECRET);
    let words = ["token", "--user", "ada", "--config", "hub.toml"];
    let start = command(&words)
        .without_env("JWT_SECRET")
        .file("hub.toml", &file);
    let said = start.says().await;
    assert_eq!(claims(said.result())["sub"], "ada");
}
