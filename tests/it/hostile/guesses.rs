//! Reconnect tokens that are guessed.

use std::pin::pin;

use futures::future::{Either, join_all, select};

use crate::support::either::Transport;
use crate::support::hub::Hub;
use crate::support::message::text;
use crate::support::token;

const GUESS: &str = "/reconnect?token=6b1f3c52-5d0e-4f0a-9c55-0d7f3f6c1a11";

/// Attack: somebody with a good token tries one reconnect token after the other. Each further answer
/// comes later, over all connections; those who have theirs wait for nothing, though they come from
/// the same address.
#[tokio::test]
async fn who_guesses_is_answered_later_and_later_and_nobody_else_is() {
    let config = "[limits]\nfailed_resumes_per_minute = 2";
    let hub = Hub::with().config(config).start().await;
    let (ada, eve) = (token::admin("ada"), hub.api(&token::admin("eve")));
    let (_client, notice) = hub.opened(Transport::Sse, "", &ada).await;
    for answer in join_all((0..12).map(|_| eve.get(GUESS))).await {
        assert_eq!(answer.failure(), (410, "reconnect_token_invalid"));
    }
    let guess = pin!(eve.get(GUESS));
    let resume = pin!(hub.resume(Transport::Sse, text(&notice["reconnectToken"]), &ada));
    match select(guess, resume).await {
        Either::Left((answer, _)) => panic!("the guess was answered first: {answer:?}"),
        Either::Right((mut client, guess)) => {
            assert_eq!(client.opened().await["data"]["resumed"], true);
            assert_eq!(guess.await.status, 410);
        }
    }
}
