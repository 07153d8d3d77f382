//! The canary: a hub that logs everything is shown every kind of credential, in every place one may
//! be put, rightly and wrongly; then none of them is found in anything that it wrote or tells.

use std::fs;

use reqwest::{Method, RequestBuilder};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::http::{Api, respond};
use crate::support::hub::Hub;
use crate::support::jwks::JwksServer;
use crate::support::{eventually, in_time, token};

const SECRET: &str = "CANARY-secret-0123456789-abcdefghij";
const PROMETHEUS: &str = "CANARY-prometheus-0123456789";
const URL_USER: &str = "CANARYuser";
const URL_PASSWORD: &str = "CANARYpassword";
const URL_KEY: &str = "CANARYkey";
const HEADER: &str = "CANARYheader";
const SHORT: &str = "CANARYshort";

/// Everything that nobody but its owner may see.
#[derive(Default)]
struct Credentials(Vec<String>);

impl Credentials {
    fn add(&mut self, credential: &str) -> String {
        self.0.push(credential.to_owned());
        credential.to_owned()
    }

    /// A token; what counts of it is also its signature alone.
    fn jwt(&mut self, claims: &Value, secret: &str) -> String {
        let jwt = token::sign_with(&Default::default(), claims, secret);
        let signature = jwt.rsplit('.').next().expect("a signature").to_owned();
        self.add(&signature);
        self.add(&jwt)
    }

    /// Those that are in `text`, as they are or as a URL has them.
    fn in_text(&self, text: &str) -> Vec<&str> {
        let is_there = |credential: &&String| {
            let encoded: String =
                url::form_urlencoded::byte_serialize(credential.as_bytes()).collect();
            text.contains(credential.as_str()) || text.contains(&encoded)
        };
        self.0.iter().filter(is_there).map(String::as_str).collect()
    }
}

fn claims(user: &str, role: &str, exp: u64) -> Value {
    json!({"sub": user, "role": role, "exp": exp, "jti": "CANARY"})
}

/// A hub with a secret wherever settings can have one, that writes down all it can. One of its
/// sources reaches `server`, the other one nobody.
async fn hub(server: &JwksServer) -> Hub {
    let server = server.url.trim_start_matches("http://");
    let config = format!(
        "[audit]\nfile = \"audit.jsonl\"\n[prometheus]\ntoken = \"{PROMETHEUS}\"\n\
         [limits]\nfailed_resumes_per_minute = 1000000\n\
         [sessions]\nconnections_per_user_max = 1000\n\
         [[source]]\nmetric = \"web\"\nkind = \"http\"\ninterval_ms = 50\n\
         url = \"http://{URL_USER}:{URL_PASSWORD}@{server}?key={URL_KEY}\"\n\
         headers = {{ Authorization = \"Bearer ${{API_TOKEN}}\", x-key = \"{HEADER}\" }}\n\
         [[source]]\nmetric = \"db\"\nkind = \"sql\"\ninterval_ms = 50\ntimeout_ms = 500\nquery = \"SELECT 1\"\n"
    );
    Hub::with()
        .env("RUST_LOG", "trace")
        .env("JWT_SECRET", SECRET)
        .env("API_TOKEN", HEADER)
        .env(
            "DATABASE_URL",
            &format!("postgres://{URL_USER}:{URL_PASSWORD}@127.0.0.1:1/db?sslmode=disable"),
        )
        .config(&config)
        .start()
        .await
}

/// What a request was answered with, head and body; a stream's body is left unread.
async fn said(request: RequestBuilder) -> String {
    let response = respond(request).await;
    let head = format!("{:?}", response.headers());
    if head.contains("text/event-stream") || response.status() == 101 {
        return String::new();
    }
    let body = in_time("a body", response.text()).await;
    head + &body.expect("a body")
}

/// Endpoints of all kinds, a stream's and others, by their methods.
const GET: &str = "/stream /reconnect /websocket /metrics /connections /connection-stats \
    /websocket-stats /websocket-info /nowhere /api/health /publish";
const POST: &str = "/publish /alerts /subscribe /unsubscribe /refresh /ticket /disconnect \
    /test-connection";
const PARAMETERS: &str = "access_token token ticket reconnectToken lastEventId metrics user";

/// Puts `credential` into every place of a request to every endpoint; what comes back goes to `told`.
async fn show_everywhere(hub: &Hub, credential: &str, told: &mut Vec<String>) {
    let api = hub.anonymous();
    for path in GET.split_whitespace() {
        for parameter in PARAMETERS.split_whitespace() {
            let request = api.request(Method::GET, path);
            told.push(said(request.query(&[(parameter, credential)])).await);
        }
        for (name, value) in [
            ("authorization", format!("Bearer {credential}")),
            ("authorization", format!("bearer  {credential}")),
            ("authorization", format!("Basic {credential}")),
            ("cookie", format!("a=b; access_token={credential}")),
            ("last-event-id", credential.to_owned()),
        ] {
            told.push(said(api.request(Method::GET, path).header(name, value)).await);
        }
    }
    let wrong = json!({"reconnectToken": credential, "token": credential, "metrics": credential});
    for path in POST.split_whitespace() {
        for body in [wrong.to_string(), format!("{{\"token\": \"{credential}\"")] {
            let request = api.request(Method::POST, path).bearer_auth(credential);
            told.push(
                said(
                    request
                        .header("content-type", "application/json")
                        .body(body),
                )
                .await,
            );
        }
    }
    for offered in ["statshub, bearer.", "bearer.", "statshub,bearer."] {
        let offered = format!("{offered}{credential}");
        told.push(said(api.upgrade("").header("sec-websocket-protocol", offered)).await);
    }
    let scrape = api.request_at(Method::GET, "/metrics");
    told.push(said(scrape.bearer_auth(credential)).await);
}

/// A stream by each way in, resumed by each way back; adds what only the hub knows.
async fn live(hub: &Hub, credentials: &mut Credentials, jwt: &str) {
    let api = hub.api(jwt);
    let ticket = api.post("/ticket", &json!({})).await.data()["ticket"].clone();
    let ticket = credentials.add(ticket.as_str().expect("a ticket"));
    for query in [
        format!("ticket={ticket}"),
        format!("access_token={jwt}"),
        format!("token={jwt}"),
    ] {
        let mut stream = hub.sse_with(&format!("/stream?{query}"), &[]).await;
        assert_eq!(stream.head.status, 200);
        stream.opened().await;
        let reconnect = credentials.add(stream.reconnect_token());
        stream.reset();
        let again = hub
            .sse_with(&format!("/stream?{query}&lastEventId=1-0"), &[])
            .await;
        assert_eq!(again.head.status, 200, "{query}");
        let path = format!("/reconnect?token={reconnect}&access_token={jwt}");
        let mut resumed = hub.sse_with(&path, &[]).await;
        assert_eq!(resumed.head.status, 200);
        resumed.opened().await;
        let body = json!({"reconnectToken": reconnect});
        assert_eq!(api.post("/refresh", &body).await.status, 200);
    }
    let mut socket = hub.websocket_by_subprotocol("", jwt).await;
    let opened = socket.opened().await;
    let reconnect = opened["data"]["reconnectToken"].as_str().expect("a token");
    let reconnect = credentials.add(reconnect);
    for message in [
        json!({"type": "refresh", "data": {"token": jwt}}),
        json!({"type": "refresh", "token": jwt}),
        json!({"type": jwt, "data": {"token": jwt}}),
        json!({"type": "subscribe", "data": {"metrics": {"token": jwt}}}),
    ] {
        socket.send(&message).await;
        socket.next().await;
    }
    let query = format!("?reconnectToken={reconnect}&access_token={jwt}");
    let mut resumed = hub.websocket_with(&query, &[]).await.expect("an upgrade");
    resumed.opened().await;
}

/// What the hub tells of itself, once both of its sources have failed and have something to tell.
async fn ask(hub: &Hub, api: &Api, told: &mut Vec<String>) {
    eventually("both sources to have failed", async || {
        let health = api.get("/api/health").await.data()["checks"].clone();
        let sources = health["sources"].as_array().expect("a list").clone();
        sources
            .iter()
            .all(|it| it["failures"].as_u64() > Some(0))
            .then_some(())
    })
    .await;
    for path in [
        "/api/health",
        "/connections",
        "/connection-stats",
        "/websocket-stats",
        "/websocket-info",
    ] {
        told.push(said(api.request(Method::GET, path)).await);
    }
    let scrape = hub
        .anonymous()
        .request_at(Method::GET, "/metrics")
        .bearer_auth(PROMETHEUS);
    told.push(said(scrape).await);
}

/// Attack: reading credentials out of logs, errors or the trail (the canary).
#[tokio::test]
async fn no_credential_is_in_anything_that_the_hub_writes_or_tells() {
    let server = JwksServer::start().await;
    let mut hub = hub(&server).await;
    let mut credentials = Credentials::default();
    for secret in [
        SECRET,
        PROMETHEUS,
        URL_USER,
        URL_PASSWORD,
        URL_KEY,
        HEADER,
        SHORT,
    ] {
        credentials.add(secret);
    }
    let hour = token::now() + 3600;
    let admin = credentials.jwt(&claims("ada", "platform_admin", hour), SECRET);
    let shown = [
        admin.clone(),
        credentials.jwt(&claims("job", "service", hour), SECRET),
        credentials.jwt(&claims("gus", "guest", hour), SECRET),
        credentials.jwt(&claims("ada", "platform_admin", 1), SECRET),
        credentials.jwt(
            &claims("ada", "platform_admin", hour),
            "another-secret-0123456789-abcdefgh",
        ),
        credentials.add("7c9e6679-7425-40de-944b-e07fc1f90ae7"),
        credentials.add("CANARY.no.token-0123456789/+abc"),
        PROMETHEUS.to_owned(),
    ];
    let mut told = Vec::new();
    for credential in &shown {
        show_everywhere(&hub, credential, &mut told).await;
    }
    live(&hub, &mut credentials, &admin).await;
    let api = hub.api(&admin);
    // An operator's mistake is told, and not what was mistaken.
    hub.reload(&format!("[auth]\nsecret = \"{SHORT}\""));
    hub.logged("the settings stay as they were").await;
    ask(&hub, &api, &mut told).await;
    assert!(server.requests() > 0, "with the credentials of its URL");
    hub.signal(Signal::TERM);
    let ended = hub.ended().await;
    let audit = fs::read_to_string(hub.path("audit.jsonl")).expect("a trail");
    assert!(ended.stderr.contains(" TRACE ") && audit.contains("\"action\":\"resume\""));
    assert!(told.iter().any(|it| it.contains("statshub_connections")));
    for (place, text) in [
        ("standard output", &ended.stdout),
        ("the log", &ended.stderr),
        ("the audit trail", &audit),
        ("the answers", &told.concat()),
    ] {
        let leaked = credentials.in_text(text);
        let where_it_is = |line: &&str| leaked.iter().any(|it| line.contains(it));
        let lines: Vec<_> = text.lines().filter(where_it_is).take(5).collect();
        assert!(leaked.is_empty(), "{leaked:?} in {place}: {lines:#?}");
    }
}

#[test]
fn a_credential_is_found_however_it_is_written() {
    let mut credentials = Credentials::default();
    let jwt = credentials.jwt(&claims("ada", "guest", 1), SECRET);
    credentials.add("a/b+c");
    for (text, found) in [
        ("nothing".to_owned(), 0),
        (format!("x{jwt}y"), 2),
        (
            format!("…{}", jwt.rsplit('.').next().unwrap_or_default()),
            1,
        ),
        ("a/b+c".to_owned(), 1),
        ("?x=a%2Fb%2Bc&".to_owned(), 1),
    ] {
        assert_eq!(credentials.in_text(&text).len(), found, "{text}");
    }
}
