//! For how long keys are believed that nobody can ask for any more, and whom they are taken from.

use super::jwks_url::{Answer, HOUR, Server, eventually, verify};
use super::*;

/// Attack: whoever has a key that was withdrawn keeps the hub from hearing of it.
#[actix_rt::test]
async fn keys_that_cannot_be_fetched_anew_serve_for_so_long_and_no_longer() {
    let keys = document(&[rsa("rsa_a", "a")]);
    let server = Server::start(Answer::Keys(keys.clone()));
    let mut settings = server.settings(Duration::from_millis(20), HOUR);
    let AuthKeys::JwksUrl { keep, .. } = &mut settings.keys else {
        panic!("a URL");
    };
    *keep = Duration::from_millis(300);
    let authenticator = Authenticator::start(&settings).unwrap();
    let token = rs256("rsa_a", "a");
    verify(&authenticator, &token).await.unwrap();
    server.answer(Answer::Status(500));
    eventually("a fetch that fails", || {
        authenticator.key_state().last_error.is_some()
    })
    .await;
    eventually("keys that are too old", || {
        authenticator.key_state().keys == 0
    })
    .await;
    let refusal = verify(&authenticator, &token).await.unwrap_err();
    assert!(
        matches!(&refusal, Refusal::Unavailable(why) if why.contains("500")),
        "{refusal}"
    );
    // A reload makes them no younger.
    authenticator.reload(&settings).unwrap();
    verify(&authenticator, &token).await.unwrap_err();
    server.answer(Answer::Keys(keys));
    eventually("keys", || authenticator.key_state().keys == 1).await;
    verify(&authenticator, &token).await.unwrap();
}

/// Attack: somebody in between who has no certificate, and hands out keys without one.
#[actix_rt::test]
async fn a_url_that_promises_tls_is_asked_for_nothing_without_it() {
    let server = Server::start(Answer::Keys(document(&[rsa("rsa_a", "a")])));
    let mut settings = server.settings(HOUR, HOUR);
    let AuthKeys::JwksUrl { url, .. } = &mut settings.keys else {
        panic!("a URL");
    };
    *url = url.replace("http://", "https://");
    let authenticator = Authenticator::start(&settings).unwrap();
    let refusal = verify(&authenticator, &rs256("rsa_a", "a")).await;
    assert!(
        matches!(refusal, Err(Refusal::Unavailable(_))),
        "{refusal:?}"
    );
    assert_eq!(server.requests(), 0);
}
