//! `publish`: one value of one metric, as any publisher would send it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{command, nobody};
use crate::support::command::Said;
use crate::support::hub::{Hub, Start};
use crate::support::token;

fn at(hub: &Hub, words: &[&str]) -> Start {
    let url = hub.url("");
    command(&[&["publish"], words, &["--url", &url]].concat())
}

/// The id of the message that was taken.
async fn published(start: Start) -> String {
    let said: Said = start.says().await;
    let id = said.result().to_owned();
    assert_eq!(
        said.stdout.lines().count(),
        1,
        "the id and nothing else: {said:?}"
    );
    assert!(
        said.stderr.contains("durability process"),
        "what it is worth: {said:?}"
    );
    id
}

#[tokio::test]
async fn a_message_arrives_as_it_was_written() {
    let hub = Hub::start().await;
    let mut stream = hub.sse("/stream", &token::admin("ada")).await;
    stream.opened().await;
    for (words, data, priority) in [
        (&["m", "{\"n\": 12}"][..], "{\"n\":12}", "normal"),
        (&["m", "-1.50"], "-1.50", "normal"),
        (&["m", "null"], "null", "normal"),
        (
            &["m", "\"text\"", "--priority", "critical"],
            "\"text\"",
            "critical",
        ),
        (&["--priority", "low", "m", "[1]"], "[1]", "low"),
    ] {
        let id = published(at(&hub, words)).await;
        let event = loop {
            let event = stream.next_event().await.expect("an event");
            if event.id.as_deref() == Some(&*id) {
                break event;
            }
        };
        assert!(
            event.raw.contains(&format!("{{\"m\":{data}}}")),
            "{}",
            event.raw
        );
        assert_eq!(event.message().expect("a message")["priority"], priority);
    }
}

#[tokio::test]
async fn a_message_to_one_user_is_for_that_user_only() {
    let hub = Hub::start().await;
    let mut streams = Vec::new();
    for user in ["ada", "bob"] {
        let mut stream = hub.sse("/stream", &token::admin(user)).await;
        stream.opened().await;
        streams.push(stream);
    }
    published(at(&hub, &["secret", "1", "--user", "bob"])).await;
    published(at(&hub, &["open", "2"])).await;
    let mut first = Vec::new();
    for stream in &mut streams {
        first.push(stream.next_message("metrics_update").await["data"].clone());
    }
    assert_eq!(first, [json!({"open": 2}), json!({"secret": 1})]);
}

#[tokio::test]
async fn the_hub_is_where_settings_or_the_url_say_also_behind_a_prefix() {
    let hub = Hub::start().await;
    let port = hub.port().to_string();
    published(command(&["publish", "m", "1"]).env("PORT", &port)).await;
    let everywhere = command(&["publish", "m", "2"])
        .env("PORT", &port)
        .env("HOST", "0.0.0.0");
    published(everywhere).await;
    published(at(&hub, &["m", "3"]).env("PORT", "1")).await;
    let url = hub.url("/nowhere");
    let said = command(&["publish", "m", "4", "--url", &url]).says().await;
    assert!(said.failure(1).contains("404"), "{said:?}");
}

#[tokio::test]
async fn the_token_is_the_one_given_or_else_one_of_its_own() {
    let hub = Hub::start().await;
    let bare = |words: &[&str]| at(&hub, words).without_env("JWT_SECRET");
    let service = token::service("job");
    published(bare(&["m", "1", "--token", &service])).await;
    published(bare(&["m", "2"]).env("STATSHUB_TOKEN", &service)).await;
    let refused = bare(&["m", "3", "--token", "no.good.token"]).env("STATSHUB_TOKEN", &service);
    let said = refused.says().await;
    assert!(said.failure(1).contains("401"), "{said:?}");
    let said = bare(&["m", "4"]).says().await;
    assert!(said.failure(2).contains("--token"), "{said:?}");
    let guest = token::token("gus", "guest", std::time::Duration::from_secs(60));
    let said = bare(&["m", "5", "--token", &guest]).says().await;
    let line = said.failure(1);
    assert!(line.contains("403") && !line.contains(&guest), "{line}");
}

#[tokio::test]
async fn a_refusal_is_one_line_in_the_words_of_the_hub() {
    let hub = Hub::with()
        .config("[http]\nmessage_bytes_max = 16")
        .start()
        .await;
    let said = at(&hub, &["m", "\"longer than sixteen bytes\""])
        .says()
        .await;
    assert!(said.failure(1).contains("413"), "{said:?}");
    let hub = Hub::with().env("REAL_TIME_ENABLED", "false").start().await;
    let said = at(&hub, &["m", "1"]).says().await;
    let line = said.failure(1);
    assert!(
        line.contains("503") && line.contains("try again in "),
        "{line}"
    );
}

#[tokio::test]
async fn a_hub_that_is_away_or_is_none_is_one_line() {
    let url = format!("http://{}", nobody().await);
    let said = command(&["publish", "m", "1", "--url", &url]).says().await;
    assert!(said.failure(1).contains(&url), "{said:?}");
    // Something else answers there, and it answers 200.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let other = async {
        let (mut socket, _) = listener.accept().await.expect("a client");
        let _ = socket.read(&mut [0; 4096]).await;
        let page = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>";
        let _ = socket.write_all(page.as_bytes()).await;
        let _ = socket.read(&mut [0; 4096]).await;
    };
    let asking = command(&["publish", "m", "1", "--url", &url]);
    let (said, ()) = tokio::join!(asking.says(), other);
    assert!(
        said.failure(1).contains("not the answer of a hub"),
        "{said:?}"
    );
}

#[tokio::test]
async fn a_message_of_which_nobody_knows_whether_it_was_taken_is_not_sent_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = requests.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            // It takes the request and breaks off.
            let read = socket.read(&mut [0; 4096]).await.unwrap_or(0);
            counted.fetch_add(usize::from(read > 0), SeqCst);
        }
    });
    command(&["publish", "m", "1", "--url", &url])
        .says()
        .await
        .failure(1);
    assert_eq!(requests.load(SeqCst), 1);
}
