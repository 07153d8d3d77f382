//! The last words on a stream: where its client should go from there, and when.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::json;

use crate::support::either::{Client, Transport};
use crate::support::hub::Hub;
use crate::support::message::text;
use crate::support::token;

/// What a stream said at its end.
#[derive(Debug)]
struct LastWords {
    message: serde_json::Value,
    /// Of the event that carried it; none over WebSocket.
    retry: Option<u64>,
    /// None over SSE.
    close_code: Option<u16>,
}

/// Reads to the end. An event stream ends as HTTP has it, and with one event for all it has to say.
async fn last_words(client: Client) -> LastWords {
    match client {
        Client::Sse(client) => {
            let (events, finished) = client.rest().await;
            assert!(finished, "a stream ends as HTTP says it should");
            let last = events.last().expect("last words");
            let (retry, message) = (last.retry, last.message().expect("a message"));
            let data = last.data.as_deref().unwrap_or_default();
            let line = retry.map(|retry| format!("retry: {retry}\n"));
            let expected = format!("{}data: {data}\n\n", line.unwrap_or_default());
            assert_eq!(last.raw, expected);
            LastWords {
                message,
                retry,
                close_code: None,
            }
        }
        Client::WebSocket(client) => {
            let (messages, closed) = client.closed().await;
            LastWords {
                message: messages.last().expect("last words").clone(),
                retry: None,
                close_code: closed.map(|(code, _)| code),
            }
        }
    }
}

/// Attack: one reconnect token used twice, over and over.
#[tokio::test]
async fn a_replaced_stream_is_told_to_stay_away() {
    for old in Transport::BOTH {
        for new in Transport::BOTH {
            let hub = Hub::start().await;
            let ada = token::admin("ada");
            let (client, notice) = hub.opened(old, "", &ada).await;
            let mut again = hub.resume(new, text(&notice["reconnectToken"]), &ada).await;
            again.opened().await;
            let last = last_words(client).await;
            assert_eq!(last.message["type"], "connection_replaced");
            match old {
                Transport::Sse => assert_eq!(last.retry, Some(86_400_000)),
                Transport::WebSocket => assert_eq!(last.close_code, Some(4001)),
            }
            // It was the old one's end alone.
            hub.api(&ada).publish("m", json!(1)).await;
            assert_eq!(again.next().await["type"], "metrics_update");
        }
    }
}

#[tokio::test]
async fn what_was_sent_before_a_stream_is_replaced_comes_before_it_is_told() {
    for transport in Transport::BOTH {
        let hub = Hub::start().await;
        let ada = token::admin("ada");
        let api = hub.api(&ada);
        let (mut client, notice) = hub.opened(transport, "", &ada).await;
        for number in 0..20 {
            api.publish("m", json!(number)).await;
        }
        let reconnect_token = text(&notice["reconnectToken"]);
        hub.resume(transport, reconnect_token, &ada)
            .await
            .opened()
            .await;
        for number in 0..20 {
            assert_eq!(client.next().await["data"], json!({"m": number}));
        }
        assert_eq!(client.next().await["type"], "connection_replaced");
    }
}

/// Stops a hub under streams of both transports and gives when each of them shall come back.
async fn shut_down(hub: Hub, streams: usize) -> Vec<u64> {
    let mut clients = Vec::new();
    for _ in 0..streams / 2 {
        for transport in Transport::BOTH {
            clients.push(hub.opened(transport, "", &token::admin("ada")).await.0);
        }
    }
    let stopped = tokio::spawn(hub.stop());
    let mut times = Vec::new();
    for last in join_all(clients.into_iter().map(last_words)).await {
        assert_eq!(last.message["type"], "server_shutdown");
        let reconnect_in = last.message["data"]["reconnectInMs"].as_u64();
        match last.close_code {
            Some(code) => assert_eq!(code, 1001),
            None => assert_eq!(last.retry, reconnect_in),
        }
        times.push(reconnect_in.expect("milliseconds"));
    }
    stopped.await.expect("a stop");
    times
}

/// Attack: everybody at once, after a restart.
#[tokio::test]
async fn a_stop_tells_every_client_when_to_come_back_and_no_two_the_same() {
    for (config, range) in [
        ("", 500..=5000),
        (
            "[realtime]\nreconnect_spread_min_ms = 20\nreconnect_spread_max_ms = 100",
            20..=100,
        ),
    ] {
        let start = Hub::with().env("MAX_CONNECTIONS_PER_USER", "20");
        let times = shut_down(start.config(config).start().await, 10).await;
        assert!(times.iter().all(|it| range.contains(it)), "{times:?}");
        // Spread over the whole range, or most would come at once after all.
        let distinct: BTreeSet<u64> = times.iter().copied().collect();
        assert_eq!(distinct.len(), times.len(), "{times:?}");
        let span = distinct.last().unwrap_or(&0) - distinct.first().unwrap_or(&0);
        assert!(span >= (range.end() - range.start()) / 2, "{times:?}");
    }
}

#[tokio::test]
async fn a_stop_tells_a_single_client_too() {
    for transport in Transport::BOTH {
        let hub = Hub::start().await;
        let (client, _) = hub.opened(transport, "", &token::admin("ada")).await;
        let stopped = tokio::spawn(hub.stop());
        let last = last_words(client).await;
        assert_eq!(last.message["type"], "server_shutdown");
        assert!(last.message["data"]["reconnectInMs"].is_u64(), "{last:?}");
        stopped.await.expect("a stop");
    }
}
