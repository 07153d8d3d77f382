//! The layers together, over real sockets: what a client sees when it misbehaves.

mod answers;
mod bodies;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Actor;
use actix_web::dev::{Server, ServerHandle};
use actix_web::http::header::HeaderValue;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::body::{JsonBody, QueryOf};
use super::endpoint::{Endpoint, not_found};
use super::reply::{self, Problem};
use super::state::{Parts, State};
use super::{client, limit, middleware};
use crate::auth::Authenticator;
use crate::config::{self, Overrides, Settings};
use crate::domain::message::UserId;
use crate::hub::{self, Clock, HubHandle};
use crate::rules::Rules;
use crate::source::{HubStats, Sources, Surroundings};
use crate::telemetry::audit::Audit;

const BODY_TIMEOUT: Duration = Duration::from_millis(200);
const ORIGIN: &str = "https://admin.example";
const SECRET: &str = "a secret of thirty-two bytes at least, CANARY";

/// Small limits, no rates.
pub fn settings() -> Settings {
    let text = format!("[auth]\nsecret = {SECRET:?}");
    let settings = Settings::parse("test", &text, &BTreeMap::new(), &Overrides::default());
    let mut settings = settings.unwrap();
    settings.http.body_bytes_max = 1000;
    settings.http.query_bytes_max = 100;
    settings.http.body_timeout = BODY_TIMEOUT;
    settings.http.allowed_origins = vec![ORIGIN.to_owned()];
    settings.limits.per_ip_per_second = 0;
    settings.limits.per_user_per_second = 0;
    settings
}

pub fn http_settings() -> config::Http {
    settings().http
}

/// A state with a hub and no sources, of the settings above.
pub fn state() -> web::Data<State> {
    state_with(settings(), Audit::disabled())
}

pub fn state_with(settings: Settings, audit: Audit) -> web::Data<State> {
    let (settings, clock) = (Arc::new(settings), Clock::system());
    let hub = hub::Hub::new(settings.clone(), clock).start();
    let hub = HubHandle::new(hub, &settings, clock, None, None);
    let authenticator = Authenticator::start(&settings.auth).unwrap();
    let stats: HubStats = Arc::new(|| Box::pin(async { anyhow::bail!("no source asks") }));
    let (sink, _) = tokio::sync::mpsc::channel(1);
    let surroundings = Surroundings::alone(sink, stats);
    let interval = settings.realtime.update_interval;
    let sources = Sources::start(&[], interval, surroundings).unwrap();
    let arbiter = actix_rt::Arbiter::new();
    let rules = Rules::start(&settings, Vec::new(), hub.clone(), &arbiter);
    let state = State::new(
        settings.clone(),
        Parts {
            hub,
            sources,
            aggregates: crate::aggregate::testing::start(&settings.aggregates, 1000).0,
            rules,
        },
        authenticator,
        audit,
        None,
        super::reload::reloads().0,
    );
    state.stage.run();
    web::Data::new(state)
}

#[derive(Deserialize)]
struct Count {
    n: u32,
}

async fn double(JsonBody(count): JsonBody<Count>) -> HttpResponse {
    reply::ok(json!({"n": count.n * 2}))
}

async fn page(QueryOf(count): QueryOf<Count>) -> HttpResponse {
    reply::ok(count.n)
}

async fn whoami(req: HttpRequest) -> HttpResponse {
    client::remember_user(&req, UserId::parse("u\u{202e}1").unwrap());
    let (id, remote) = (client::request_id(&req), client::remote(&req));
    reply::ok(json!({"id": &*id, "remote": remote}))
}

async fn guarded() -> Result<HttpResponse, Problem> {
    Err(Problem::unauthenticated(HeaderValue::from_static("Bearer")))
}

async fn broken() -> HttpResponse {
    panic!("CANARY: this text must stay inside")
}

async fn upgrade(req: HttpRequest) -> Result<HttpResponse, actix_web::Error> {
    Ok(actix_http::ws::handshake(req.head()).map(|_| HttpResponse::Ok().finish())?)
}

async fn plain_error() -> Result<HttpResponse, actix_web::Error> {
    Err(actix_web::error::ErrorBadGateway(
        "CANARY: told by a stranger",
    ))
}

/// A server of its own for each test, stopped with it.
struct Hub {
    address: SocketAddr,
    handle: ServerHandle,
}

impl Hub {
    fn start() -> Self {
        Self::limited(0, 0)
    }

    fn limited(per_ip_per_second: u32, per_ip_burst: u32) -> Self {
        let mut settings = settings();
        settings.limits.per_ip_per_second = per_ip_per_second;
        settings.limits.per_ip_burst = per_ip_burst;
        let state = state_with(settings, Audit::disabled());
        let server = HttpServer::new(move || {
            App::new()
                .app_data(state.clone())
                .service(Endpoint::at("/double").post(double))
                .service(Endpoint::at("/page").get(page))
                .service(Endpoint::at("/whoami").get(whoami))
                .service(Endpoint::at("/guarded").get(guarded))
                .service(Endpoint::at("/broken").get(broken))
                .service(Endpoint::at("/upgrade").get(upgrade))
                .service(Endpoint::at("/plain-error").get(plain_error))
                .service(Endpoint::at("/health").get(whoami))
                .default_service(web::to(not_found))
                .wrap(from_fn(limit::per_ip))
                .wrap(middleware::cors(state.clone()))
                .wrap(from_fn(middleware::outermost))
        });
        let server = server
            .workers(1)
            .disable_signals()
            .bind(("127.0.0.1", 0))
            .unwrap();
        let address = server.addrs()[0];
        let server: Server = server.run();
        let handle = server.handle();
        actix_rt::spawn(server);
        Self { address, handle }
    }

    async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap(), Vec::new())
    }

    /// One request on a connection of its own.
    async fn ask(&self, request: &str) -> Answer {
        let mut client = self.connect().await;
        client.send(request).await;
        client.answer().await
    }

    async fn get(&self, path: &str, headers: &str) -> Answer {
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\nhost: hub\r\n{headers}\r\n"
        ))
        .await
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

struct Client(TcpStream, Vec<u8>);

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Value,
}

impl Client {
    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next answer: a head, and a JSON body of its `Content-Length`.
    async fn answer(&mut self) -> Answer {
        let head_end = loop {
            if let Some(end) = self.1.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(self.more().await, "closed before an answer");
        };
        let head: Vec<u8> = self.1.drain(..head_end).collect();
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let status = head[9..12].parse().unwrap();
        let length = header(&head, "content-length").map_or(0, |text| text.parse().unwrap());
        while self.1.len() < length {
            assert!(self.more().await, "closed in an answer");
        }
        let body: Vec<u8> = self.1.drain(..length).collect();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Answer { status, head, body }
    }

    /// Whether anything came before the server closed.
    async fn more(&mut self) -> bool {
        let read = self.0.read_buf(&mut self.1);
        let read = tokio::time::timeout(Duration::from_secs(5), read).await;
        read.expect("silent for 5 s").is_ok_and(|bytes| bytes > 0)
    }

    /// Whether the server closes, having sent nothing more.
    async fn is_closed(&mut self) -> bool {
        !self.more().await && self.1.is_empty()
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(key, _)| *key == name).map(|(_, value)| value)
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// Checks what every refusal has.
    #[track_caller]
    fn refuses(&self, status: u16, code: &str) -> &Self {
        assert_eq!(
            (self.status, &self.body["code"]),
            (status, &json!(code)),
            "{self:?}"
        );
        assert_eq!(self.body["success"], false);
        assert!(!self.body.to_string().contains("CANARY"), "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"));
        self.has_common_headers()
    }

    #[track_caller]
    fn has_common_headers(&self) -> &Self {
        assert_eq!(
            self.header("x-content-type-options"),
            Some("nosniff"),
            "{self:?}"
        );
        assert_eq!(self.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(self.header("cache-control"), Some("no-store"));
        let framing = self.header("content-security-policy");
        assert_eq!(framing, Some("frame-ancestors 'none'"));
        assert!(self.header("x-request-id").is_some_and(|id| !id.is_empty()));
        self
    }
}

fn post(path: &str, framing: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: hub\r\ncontent-type: application/json\r\n{framing}\r\n\r\n{body}"
    )
}

const CHUNKED: &str = "transfer-encoding: chunked";
