//! Where a credential may be, and which place decides where several have one.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use reqwest::{Method, RequestBuilder};

use crate::support::http::{Api, status_of};
use crate::support::hub::Hub;
use crate::support::token;

/// Streams that are let in stay for a moment, and each test opens many.
async fn hub() -> Hub {
    Hub::with()
        .env("MAX_CONNECTIONS_PER_USER", "1000")
        .start()
        .await
}

/// Replaces `GOOD` and `BAD` by a token that is.
fn filled(text: &str) -> String {
    static USERS: AtomicUsize = AtomicUsize::new(0);
    let user = format!("user{}", USERS.fetch_add(1, Relaxed));
    // In this order, since a good token may have the other word in it.
    text.replace("BAD", "no.good.token")
        .replace("GOOD", &token::admin(&user))
}

async fn check(request: RequestBuilder, headers: &[(&str, &str)], expected: u16) {
    let mut request = request;
    for (name, value) in headers {
        request = request.header(*name, filled(value));
    }
    let shown = format!("{request:?} {headers:?}");
    assert_eq!(status_of(request).await, expected, "{shown}");
}

const AUTHORIZATION: &str = "authorization";
const COOKIE: &str = "cookie";

type Case = (&'static str, &'static [(&'static str, &'static str)], bool);

/// Query, headers, and whether they let in: the same for both transports.
const ON_STREAMS: [Case; 22] = [
    ("", &[], false),
    ("", &[(AUTHORIZATION, "Bearer GOOD")], true),
    ("", &[(AUTHORIZATION, "bearer GOOD")], true),
    ("", &[(AUTHORIZATION, "GOOD")], false),
    ("", &[(AUTHORIZATION, "Bearer")], false),
    (
        "",
        &[
            (AUTHORIZATION, "Bearer GOOD"),
            (AUTHORIZATION, "Bearer GOOD"),
        ],
        false,
    ),
    ("", &[(COOKIE, "access_token=GOOD")], true),
    ("", &[(COOKIE, "theme=dark; access_token=GOOD; x=y")], true),
    ("", &[(COOKIE, "token=GOOD")], false),
    ("?access_token=GOOD", &[], true),
    ("?token=GOOD", &[], true),
    ("?jwt=GOOD", &[], false),
    ("?ticket=GOOD", &[], false),
    // The first place that has something decides, for better or worse.
    (
        "",
        &[(AUTHORIZATION, "Bearer GOOD"), (COOKIE, "access_token=BAD")],
        true,
    ),
    (
        "",
        &[(AUTHORIZATION, "Bearer BAD"), (COOKIE, "access_token=GOOD")],
        false,
    ),
    ("?access_token=BAD", &[(AUTHORIZATION, "Bearer GOOD")], true),
    (
        "?access_token=GOOD",
        &[(AUTHORIZATION, "Bearer BAD")],
        false,
    ),
    ("?access_token=BAD", &[(COOKIE, "access_token=GOOD")], true),
    ("?access_token=GOOD", &[(COOKIE, "access_token=BAD")], false),
    ("?access_token=GOOD&token=BAD", &[], true),
    ("?access_token=BAD&token=GOOD", &[], false),
    (
        "?token=BAD&ticket=BAD",
        &[(AUTHORIZATION, "Bearer GOOD")],
        true,
    ),
];

/// Attack: several credentials, one of them bad, or one in the wrong place.
#[tokio::test]
async fn a_stream_takes_header_then_cookie_then_query() {
    let hub = hub().await;
    let api = hub.anonymous();
    for (query, headers, lets_in) in ON_STREAMS {
        let query = filled(query);
        let request = api.request(Method::GET, &format!("/stream{query}"));
        check(request, headers, if lets_in { 200 } else { 401 }).await;
        let upgrade = api.upgrade(&query);
        check(upgrade, headers, if lets_in { 101 } else { 401 }).await;
    }
    hub.stop().await;
}

/// Whether each endpoint that is no stream lets these in.
async fn check_plain(api: &Api, query: &str, headers: &[(&str, &str)], expected: u16) {
    for path in [
        "/metrics",
        "/connections",
        "/connection-stats",
        "/websocket-stats",
    ] {
        let request = api.request(Method::GET, &format!("{path}{}", filled(query)));
        check(request, headers, expected).await;
    }
    let request = api.request(Method::POST, &format!("/ticket{}", filled(query)));
    check(request, headers, expected).await;
}

/// Attack: several credentials, one of them bad, or one in the wrong place.
#[tokio::test]
async fn an_endpoint_that_is_no_stream_takes_nothing_from_the_query() {
    let hub = hub().await;
    let api = hub.anonymous();
    check_plain(&api, "", &[(AUTHORIZATION, "Bearer GOOD")], 200).await;
    check_plain(&api, "", &[(COOKIE, "access_token=GOOD")], 200).await;
    let both = [(AUTHORIZATION, "Bearer BAD"), (COOKIE, "access_token=GOOD")];
    check_plain(&api, "", &both, 401).await;
    check_plain(&api, "?access_token=GOOD", &[], 401).await;
    check_plain(&api, "?token=GOOD", &[], 401).await;
    check_plain(
        &api,
        "?access_token=BAD",
        &[(AUTHORIZATION, "Bearer GOOD")],
        200,
    )
    .await;
    let protocol = [("sec-websocket-protocol", "statshub, bearer.GOOD")];
    check_plain(&api, "", &protocol, 401).await;
}

#[tokio::test]
async fn on_reconnect_the_token_in_the_query_is_the_reconnect_token() {
    let hub = hub().await;
    let ada = token::admin("ada");
    let mut stream = hub.sse("/stream", &ada).await;
    stream.opened().await;
    let reconnect_token = stream.reconnect_token().to_owned();
    let api = hub.anonymous();
    let request = |query: String| api.request(Method::GET, &format!("/reconnect?{query}"));
    check(request(format!("token={ada}")), &[], 401).await;
    check(request(format!("token={reconnect_token}")), &[], 401).await;
    let with_token = request(format!("token={reconnect_token}&access_token={ada}"));
    check(with_token, &[], 200).await;
    let bearer = format!("Bearer {ada}");
    let request = request(format!("token={reconnect_token}"));
    check(request.header(AUTHORIZATION, bearer), &[], 200).await;
}

#[tokio::test]
async fn a_websocket_client_may_send_its_token_as_a_second_subprotocol() {
    let hub = hub().await;
    let mut client = hub.websocket_by_subprotocol("", &token::admin("ada")).await;
    assert_eq!(client.opened().await["data"]["userId"], "ada");
    let api = hub.anonymous();
    let check = async |query: &str, protocols: &str, headers: &[(&str, &str)], expected: u16| {
        let request = api.upgrade(&filled(query));
        let request = request.header("sec-websocket-protocol", filled(protocols));
        check(request, headers, expected).await;
    };
    check("", "statshub, bearer.GOOD", &[], 101).await;
    check("", "statshub,bearer.GOOD", &[], 101).await;
    check("", "statshub, bearer.BAD", &[], 401).await;
    check("", "statshub, GOOD", &[], 401).await;
    check("", "statshub", &[], 401).await;
    check(
        "",
        "statshub, bearer.BAD",
        &[(AUTHORIZATION, "Bearer GOOD")],
        101,
    )
    .await;
    check(
        "",
        "statshub, bearer.GOOD",
        &[(AUTHORIZATION, "Bearer BAD")],
        401,
    )
    .await;
    check("?token=BAD", "statshub, bearer.GOOD", &[], 401).await;
}

/// Attack: reading credentials out of logs, errors or the trail (the canary).
#[tokio::test]
async fn the_answer_never_repeats_the_token_as_a_subprotocol() {
    let hub = hub().await;
    let ada = token::admin("ada");
    let offered = format!("statshub, bearer.{ada}");
    let headers = [("sec-websocket-protocol", offered.as_str())];
    let client = hub.websocket_with("", &headers).await.expect("an upgrade");
    let shown = format!("{:?}", client.headers);
    assert!(!shown.contains(&ada), "{shown}");
}

/// Attack: reading credentials out of logs, errors or the trail (the canary).
#[tokio::test]
async fn no_place_leaves_a_token_in_the_log() {
    let hub = Hub::with()
        .env("RUST_LOG", "trace")
        .env("MAX_CONNECTIONS_PER_USER", "1000")
        .start()
        .await;
    let api = hub.anonymous();
    for (query, headers, _) in ON_STREAMS {
        let mut request = api.request(Method::GET, &format!("/stream{}", filled(query)));
        for (name, value) in headers {
            request = request.header(*name, filled(value));
        }
        status_of(request).await;
        status_of(api.upgrade(&filled(query))).await;
        status_of(api.request(Method::GET, &format!("/metrics{}", filled(query)))).await;
        status_of(api.request(Method::GET, &format!("/nowhere{}", filled(query)))).await;
    }
    hub.websocket_by_subprotocol("", &token::admin("ada")).await;
    hub.stop().await;
}
