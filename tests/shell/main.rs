//! The actor shell under virtual time: hours of timers in milliseconds, the same each time.

mod world;

use std::time::Duration;

use statshub::domain::hub::Refusal;
use statshub::domain::message::{Priority, Transport};
use statshub::hub::Error;
use tokio::time::sleep;
use world::{End, World, run};

const HOUR: Duration = Duration::from_secs(3600);
const LONG: Duration = Duration::from_secs(1_000_000);

async fn seconds(count: u64) {
    sleep(Duration::from_secs(count)).await;
}

#[test]
fn ten_hours_bring_their_heartbeats_and_the_position_moves_along() {
    run(|| async {
        let world = World::new("");
        let client = world.connect(Transport::Sse, LONG).await;
        for hour in 0..10 {
            world.publish("a", hour, Priority::Normal).await;
            sleep(HOUR).await;
        }
        assert_eq!(client.values("a"), (0..10).collect::<Vec<_>>());
        let heartbeats = client.came_with("\"type\":\"heartbeat\"");
        // The last one falls on the very end.
        assert!(
            (1199..=1200).contains(&heartbeats.len()),
            "{}",
            heartbeats.len()
        );
        assert_eq!(heartbeats[0].0 % 30_000, heartbeats[1198].0 % 30_000);
        assert!(
            client.came_with("event: cursor").is_empty(),
            "everything that passed was for it"
        );
        assert_eq!(client.ended(), None);
    });
}

#[test]
fn a_position_moves_past_what_is_for_others_before_the_next_heartbeat() {
    run(|| async {
        let world = World::new("");
        let client = world.connect(Transport::Sse, LONG).await;
        let narrow = statshub::domain::pattern::Pattern::parse("b").unwrap();
        let change = statshub::domain::hub::Change::Subscribe;
        let key = client.connection.key;
        let changed = world
            .hub
            .change_connection(key, change, vec![narrow.into()])
            .await;
        changed.unwrap();
        let id = world.publish("a", 1, Priority::Normal).await;
        seconds(31).await;
        let cursors = client.came_with("event: cursor");
        assert_eq!(cursors.len(), 1);
        assert_eq!(cursors[0].1, format!("event: cursor\nid: {id}\ndata:\n\n"));
        seconds(60).await;
        assert_eq!(client.came_with("event: cursor").len(), 1, "nothing passed");
    });
}

/// Attack: a stream kept open beyond the end of its token.
#[test]
fn a_stream_ends_with_its_token_and_its_session_goes_on_with_another() {
    run(|| async {
        let world = World::new("");
        for transport in [Transport::Sse, Transport::Websocket] {
            let client = world.connect(transport, Duration::from_secs(100)).await;
            let began = world.elapsed_ms();
            let hears = client.connection.clone();
            for _ in 0..11 {
                hears.heard();
                seconds(10).await;
            }
            let (ended, how) = client.ended().unwrap();
            assert_eq!(how, End::Clean);
            assert!((100_000..101_000).contains(&(ended - began)), "{ended}");
            assert_eq!(client.came_with("token_expired").len(), 1);
            world.publish("a", 7, Priority::Normal).await;
            let token = client.token;
            let again = world.resume(transport, token, None).await.unwrap();
            seconds(1).await;
            assert_eq!(again.values("a"), [7]);
            again.leave().await;
        }
    });
}

#[test]
fn an_away_session_waits_for_its_time_and_no_longer() {
    run(|| async {
        let world = World::new("[sessions]\ntimeout_ms = 600000\n");
        let client = world.connect(Transport::Sse, LONG).await;
        let token = client.token;
        seconds(1).await;
        client.leave().await;
        world.publish("a", 1, Priority::Normal).await;
        seconds(590).await;
        let client = world.resume(Transport::Sse, token, None).await.unwrap();
        seconds(1).await;
        assert_eq!(client.values("a"), [1]);
        client.leave().await;
        seconds(602).await;
        let refused = world.resume(Transport::Sse, token, None).await.err();
        assert_eq!(refused, Some(Error::Refused(Refusal::UnknownToken)));
    });
}

#[test]
fn a_client_that_reads_nothing_is_hung_up_on_and_loses_nothing() {
    run(|| async {
        let world = World::new("");
        let client = world.connect(Transport::Sse, LONG).await;
        seconds(1).await;
        client.stop_reading();
        world.publish("a", 1, Priority::Normal).await;
        seconds(59).await;
        assert_eq!(client.ended(), None);
        seconds(3).await;
        assert_eq!(client.ended().map(|(_, how)| how), Some(End::Cut));
        let token = client.token;
        let again = world.resume(Transport::Sse, token, None).await.unwrap();
        seconds(1).await;
        assert_eq!(again.values("a"), [1]);
    });
}

#[test]
fn a_slow_client_gets_its_backlog_as_soon_as_it_reads_again() {
    run(|| async {
        let config = "[outgoing]\nqueue_messages_max = 16\n[sessions]\nbacklog_messages_max = 20\n";
        let world = World::new(config);
        let client = world.connect(Transport::Sse, LONG).await;
        let other = world.connect(Transport::Sse, LONG).await;
        seconds(1).await;
        client.stop_reading();
        for value in 0..100 {
            let priority = if value % 10 == 0 {
                Priority::Critical
            } else {
                Priority::Normal
            };
            world.publish("a", value, priority).await;
        }
        seconds(1).await;
        assert_eq!(other.values("a").len(), 100, "nobody else is held up");
        client.read_again();
        seconds(1).await;
        let values = client.values("a");
        let critical = values.iter().filter(|value| *value % 10 == 0).count();
        assert_eq!(critical, 10, "{values:?}");
        assert!(values.is_sorted() && values.contains(&99));
        let told = client.came_with("messages_dropped");
        let dropped = format!("\"droppedMessagesCount\":{}", 100 - values.len());
        assert!(told.len() == 1 && told[0].1.contains(&dropped), "{told:?}");
        world.publish("a", 100, Priority::Normal).await;
        seconds(1).await;
        assert_eq!(client.values("a").last(), Some(&100), "it is live again");
    });
}

#[test]
fn a_silent_websocket_is_dropped_after_two_pings_and_one_that_answers_is_not() {
    run(|| async {
        let world = World::new("");
        let silent = world.connect(Transport::Websocket, LONG).await;
        let answers = world.connect(Transport::Websocket, LONG).await;
        for _ in 0..13 {
            seconds(5).await;
            answers.connection.heard();
        }
        let (ended, how) = silent.ended().unwrap();
        assert_eq!(how, End::Cut);
        assert!((60_000..62_000).contains(&ended), "{ended}");
        assert_eq!(answers.ended(), None);
    });
}

#[test]
fn a_stream_without_output_gets_a_comment_every_fifteen_seconds() {
    run(|| async {
        let world = World::new("[realtime]\nheartbeat_interval_ms = 3600000\n");
        let client = world.connect(Transport::Sse, LONG).await;
        seconds(100).await;
        let comments: Vec<u64> = client
            .came_with(":\n\n")
            .into_iter()
            .map(|(at, _)| at)
            .collect();
        assert_eq!(comments.len(), 6, "{comments:?}");
        assert!((15_000..17_000).contains(&comments[0]), "{comments:?}");
    });
}

#[test]
fn a_drain_tells_everybody_a_time_of_its_own_and_lets_nobody_in() {
    run(|| async {
        let world = World::new("");
        let mut clients = Vec::new();
        for _ in 0..5 {
            clients.push(world.connect(Transport::Sse, LONG).await);
        }
        world.hub.drain();
        seconds(1).await;
        let mut times: Vec<String> = clients
            .iter()
            .map(|client| {
                assert_eq!(client.ended().map(|(_, how)| how), Some(End::Clean));
                client.came_with("server_shutdown").remove(0).1
            })
            .map(|text| text.lines().next().unwrap_or_default().to_owned())
            .collect();
        times.sort();
        times.dedup();
        assert_eq!(times.len(), 5, "{times:?}");
        assert!(times.iter().all(|line| line.starts_with("retry: ")));
        assert_eq!(world.hub.streams(), 0);
        let token = clients[0].token;
        let refused = world.resume(Transport::Sse, token, None).await.err();
        assert_eq!(refused, Some(Error::Refused(Refusal::Draining)));
    });
}

#[test]
fn the_same_day_goes_by_in_the_same_way_twice() {
    let day = || {
        let trace = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let out = trace.clone();
        run(|| async move {
            let world = World::new("[outgoing]\nqueue_messages_max = 16\n");
            let client = world.connect(Transport::Sse, LONG).await;
            for step in 0..300 {
                match step % 60 {
                    20 => client.stop_reading(),
                    40 => client.read_again(),
                    _ => {}
                }
                world.publish("a", step, Priority::Normal).await;
                seconds(1).await;
            }
            out.replace(client.trace());
        });
        trace.take()
    };
    let first = day();
    assert!(first.len() > 250);
    assert_eq!(first, day());
}
