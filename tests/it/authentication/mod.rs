//! Chapter 2 of the wire contract: who is let in, by what, where it may be, and for how long.

mod check_token;
mod claims;
mod expiry;
mod keys;
mod origins;
mod places;
mod refresh;
mod roles;
mod rotation;
mod tickets;
mod tokens;

use serde_json::{Value, json};

use crate::support::http::{Answer, Api};
use crate::support::hub::Hub;
use crate::support::token;

/// Claims that let their bearer in everywhere, with those of `more` over them; null takes one out.
fn claims(more: Value) -> Value {
    let mut claims = json!({"sub": "ada", "role": "platform_admin", "exp": token::now() + 3600});
    let all = claims.as_object_mut().expect("an object");
    for (name, value) in more.as_object().expect("an object") {
        all.insert(name.clone(), value.clone());
    }
    all.retain(|_, value| *value != Value::Null);
    claims
}

/// What `hub` makes of `token` on an endpoint for everyone who is permitted; a refusal is held to
/// what all refusals of its kind say.
async fn status_for(hub: &Hub, token: &str) -> u16 {
    let answer = hub.api(token).get("/metrics").await;
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    match answer.status {
        401 => {
            assert_eq!(answer.failure(), (401, "unauthenticated"));
            assert!(challenge.contains(r#"error="invalid_token""#), "{answer:?}");
        }
        403 => {
            assert_eq!(answer.failure(), (403, "forbidden"));
            assert!(
                challenge.contains(r#"error="insufficient_scope""#),
                "{answer:?}"
            );
        }
        _ => {}
    }
    answer.status
}

/// Whom the hub takes the bearer for.
async fn user_of(api: &Api) -> String {
    let answer: Answer = api.post("/test-connection", &json!({})).await;
    answer.data()["userId"].as_str().expect("a user").to_owned()
}
