//! Nothing is missed and nothing comes twice, while a publisher goes on at full speed.

use serde_json::Value;

use super::flood::{Flood, Reader, with_room};
use crate::support::either::{Client, Transport};
use crate::support::hub::Hub;
use crate::support::message::text;
use crate::support::token;

/// Streams that are opened or resumed, and how many messages are read on each.
const STREAMS: usize = 12;
const READ: usize = 40;

#[tokio::test]
async fn between_a_snapshot_and_what_comes_live() {
    let hub = with_room().start().await;
    let flood = Flood::start(&hub).await;
    for round in 0..2 * STREAMS {
        let transport = Transport::BOTH[round % 2];
        let metrics = ["", "?metrics=n"][round / 2 % 2];
        let mut client = hub.open(transport, metrics, &token::admin("ada")).await;
        let mut reader = Reader::default();
        let notice = reader.open(&mut client).await;
        assert_eq!(notice["resumed"], false);
        for _ in 0..READ {
            reader.step(&mut client).await;
        }
    }
    flood.stop().await;
}

/// A session that is broken off and resumed again and again.
struct Session {
    client: Client,
    reader: Reader,
    reconnect_token: String,
}

impl Session {
    async fn open(hub: &Hub, transport: Transport) -> Self {
        let mut client = hub
            .open(transport, "?metrics=n", &token::admin("ada"))
            .await;
        let mut reader = Reader::default();
        let notice = reader.open(&mut client).await;
        Self {
            client,
            reader,
            reconnect_token: text(&notice["reconnectToken"]).to_owned(),
        }
    }

    async fn read(&mut self, count: usize) {
        for _ in 0..count {
            self.reader.step(&mut self.client).await;
        }
    }

    /// Reads on, and then knows nothing of what came last, as if that had been lost on the way.
    async fn read_and_lose(&mut self, count: usize) {
        let known = self.reader.clone();
        self.read(count).await;
        self.reader = known;
    }

    /// Goes on by the next stream; gives the old one, and the notice of the new one.
    async fn go_on(&mut self, mut next: Client) -> (Client, Value) {
        let notice = self.reader.open(&mut next).await;
        assert_eq!(notice["resumed"], true);
        (std::mem::replace(&mut self.client, next), notice)
    }
}

#[tokio::test]
async fn between_what_is_replayed_and_what_comes_live() {
    for transport in Transport::BOTH {
        let hub = with_room().start().await;
        let flood = Flood::start(&hub).await;
        let ada = token::admin("ada");
        let mut session = Session::open(&hub, transport).await;
        for round in 0..STREAMS {
            session.read(READ).await;
            session.read_and_lose(10).await;
            // Sometimes by the other transport, sometimes as a new session.
            let last = &session.reader.id;
            let by =
                Transport::BOTH[usize::from((round % 4 == 3) == (transport == Transport::Sse))];
            let next = match round % 3 {
                2 => {
                    let query = format!("?metrics=n&lastEventId={last}");
                    hub.open(by, &query, &ada).await
                }
                _ => {
                    hub.resume_after(by, &session.reconnect_token, last, &ada)
                        .await
                }
            };
            let (old, notice) = session.go_on(next).await;
            let replayed = notice["replayedMessagesCount"].as_u64();
            assert!(replayed.is_some_and(|count| count >= 10), "{notice}");
            old.reset();
        }
        session.read(READ).await;
        // Up to the very end.
        let end = flood.stop().await;
        while session.reader.number < end {
            session.read(1).await;
        }
    }
}

#[tokio::test]
async fn a_client_that_says_nothing_goes_on_after_what_was_sent() {
    for transport in Transport::BOTH {
        let hub = with_room().start().await;
        let flood = Flood::start(&hub).await;
        let mut session = Session::open(&hub, transport).await;
        for _ in 0..STREAMS {
            session.read(READ).await;
            let next = hub
                .resume(transport, &session.reconnect_token, &token::admin("ada"))
                .await;
            session.go_on(next).await.0.reset();
            // What was in flight is lost, and nothing that was read comes again.
            session.reader.skip(&mut session.client).await;
        }
        session.read(READ).await;
        flood.stop().await;
    }
}

#[tokio::test]
async fn a_stream_that_is_replaced_and_the_next_one_leave_nothing_out_between_them() {
    for transport in Transport::BOTH {
        let hub = with_room().start().await;
        let flood = Flood::start(&hub).await;
        let mut session = Session::open(&hub, transport).await;
        for _ in 0..STREAMS {
            session.read(READ).await;
            let next = hub
                .resume(transport, &session.reconnect_token, &token::admin("ada"))
                .await;
            let at = session.reader.number;
            let (old, _) = session.go_on(next).await;
            session.reader.skip(&mut session.client).await;
            let (rest, _) = old.ended().await;
            check_rest(&rest, at, session.reader.number);
        }
        flood.stop().await;
    }
}

/// The last of an old stream, whose reader was `at`, without a gap up to where the new one began.
fn check_rest(rest: &[Value], at: u64, began: u64) {
    let (last, updates) = rest.split_last().expect("last words");
    assert_eq!(last["type"], "connection_replaced");
    let numbers: Vec<u64> = updates
        .iter()
        .map(|it| it["data"]["n"].as_u64().expect("a number"))
        .collect();
    let expected: Vec<u64> = (at + 1..).take(numbers.len()).collect();
    assert_eq!(numbers, expected);
    assert!(at + numbers.len() as u64 + 1 >= began, "{at} {began}");
}
