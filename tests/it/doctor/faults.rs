//! One fault at a time in nginx's configuration: it is found, and no other.

use super::{Examined, a_hub, examine};
use crate::balancing::{Kind, Site};
use crate::support::hub::Hub;
use crate::support::message::text;
use crate::support::token;

/// What the doctor finds once `what` of the shipped file is `with`.
async fn planted(what: &str, with: &str, more: &[&str]) -> Examined {
    let hubs = [a_hub().start().await];
    behind(&hubs, what, with, more).await
}

async fn behind(hubs: &[Hub], what: &str, with: &str, more: &[&str]) -> Examined {
    let site = Site::with(Kind::Nginx, hubs, &[(what, with)]).await;
    let url = format!("http://{}", site.address);
    examine(&url, Some(&token::admin("ada")), more).await
}

impl Examined {
    /// Only these, and `line` of nginx's configuration against them.
    #[track_caller]
    fn are(&self, faults: &[&str], line: &str) {
        assert_eq!(self.faults(), faults, "{:#}", self.report);
        let has_to_be = !self.with("error").is_empty();
        assert_eq!(self.code, Some(i32::from(has_to_be)));
        for fault in faults {
            let mend = text(&self.of(fault)["mend"]["nginx"]);
            assert!(mend.contains(line), "{fault}: {mend}");
        }
    }
}

#[tokio::test]
async fn a_buffer() {
    // Over HTTP/1.1 nginx passes each chunk on in spite of this.
    let streams = "location ~ ^/api/admin/analytics/(stream|reconnect)$ {";
    let kept = format!(
        "{streams} proxy_http_version 1.0; proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;"
    );
    let examined = planted(streams, &kept, &[]).await;
    examined.are(&["stream"], "proxy_buffering off;");
    // What cannot be seen is not said to be well.
    for check in ["delivery", "compression", "last_event_id", "idle_stream"] {
        assert_eq!(examined.of(check)["verdict"], "skipped", "{check}");
    }
    assert_eq!(examined.of("websocket")["verdict"], "ok");
}

#[tokio::test]
async fn a_cut() {
    let examined = planted("90s", "2s", &["--idle", "14"]).await;
    examined.are(
        &["idle_stream", "idle_websocket"],
        "proxy_read_timeout 90s;",
    );
    let told = text(&examined.of("idle_stream")["text"]);
    assert!(
        told.contains("is cut after ") && told.contains("idle time-out"),
        "{told}"
    );
}

#[tokio::test]
async fn an_upgrade_that_is_taken_away() {
    let examined = planted(
        "proxy_set_header Upgrade $http_upgrade;",
        "proxy_set_header Upgrade \"\";",
        &[],
    )
    .await;
    examined.are(&["websocket"], "proxy_set_header Upgrade $http_upgrade;");
}

#[tokio::test]
async fn a_position_that_is_taken_away() {
    let examined = planted(
        "proxy_http_version 1.1;",
        "proxy_http_version 1.1; proxy_set_header Last-Event-ID \"\";",
        &[],
    )
    .await;
    examined.are(&["last_event_id"], "$http_last_event_id");
}

#[tokio::test]
async fn compression() {
    let on = "gzip on; gzip_types text/event-stream; gzip_proxied any; gzip_min_length 0;";
    // What the hub has compressed itself nginx lets be.
    planted("gzip off;", on, &[]).await.are(&[], "");
    let config = "[http]\ntrusted_proxies = [\"127.0.0.1\"]\n[sessions]\nconnections_max = 100\n\
                  [outgoing]\ngzip = false\n";
    let hub = Hub::with().config(config).start().await;
    let examined = behind(&[hub], "gzip off;", on, &[]).await;
    examined.are(&["compression"], "gzip off;");
}

#[tokio::test]
async fn another_host() {
    let examined = planted(
        "proxy_set_header Host $http_host;",
        "proxy_set_header Host hub.internal;",
        &[],
    )
    .await;
    examined.are(&["cookie"], "proxy_set_header Host $http_host;");
}

#[tokio::test]
async fn cookies_that_are_taken_away() {
    let examined = planted(
        "proxy_http_version 1.1;",
        "proxy_http_version 1.1; proxy_set_header Cookie \"\";",
        &[],
    )
    .await;
    examined.are(&["cookie"], "proxy_set_header Cookie");
}

#[tokio::test]
async fn too_little_room_for_a_token() {
    let with = "large_client_header_buffers 4 2k;";
    let examined = planted("large_client_header_buffers 4 16k;", with, &[]).await;
    examined.are(&["request_head"], "large_client_header_buffers 4 16k;");
}

#[tokio::test]
async fn a_token_of_browsers_that_is_taken_away() {
    let examined = planted(
        "proxy_http_version 1.1;",
        "proxy_http_version 1.1; proxy_set_header Sec-WebSocket-Protocol \"\";",
        &[],
    )
    .await;
    examined.are(&["websocket_token"], "Sec-WebSocket-Protocol");
}

#[tokio::test]
async fn a_cache() {
    let directory = tempfile::tempdir().expect("a directory");
    // nginx's workers may be somebody else.
    let path = directory.path().join("cache");
    let zone = format!(
        "server_tokens off; proxy_cache_path {} keys_zone=kept:1m;",
        path.display()
    );
    let hubs = [a_hub().start().await];
    let site = Site::with(
        Kind::Nginx,
        &hubs,
        &[
            ("server_tokens off;", &zone),
            (
                "proxy_pass http://hubs;",
                "proxy_pass http://hubs; proxy_buffering on; proxy_cache kept; proxy_cache_valid any 1m; proxy_ignore_headers Cache-Control Vary;",
            ),
        ],
    )
    .await;
    let url = format!("http://{}", site.address);
    let examined = examine(&url, Some(&token::admin("ada")), &[]).await;
    examined.are(&["cache"], "proxy_cache off;");
}

#[tokio::test]
async fn somebody_else_who_speaks_of_origins() {
    let config =
        "[http]\nallowed_origins = [\"https://a.example\"]\n[sessions]\nconnections_max = 100\n";
    let hubs = [Hub::with().config(config).start().await];
    let origin = ["--origin", "https://a.example"];
    let add = "gzip off; add_header Access-Control-Allow-Origin * always;";
    behind(&hubs, "gzip off;", add, &origin)
        .await
        .are(&["cors"], "add_header Access-Control");
    let answers = "location / { if ($request_method = OPTIONS) { return 204; }";
    behind(&hubs, "location / {", answers, &origin)
        .await
        .are(&["cors"], "answers OPTIONS");
}
