//! Keys behind a URL that rotates, fails, dawdles and lies.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use actix_rt::time::sleep;
use actix_web::{App, HttpResponse, HttpServer, web};
use futures::future::join_all;

use super::*;

pub(super) const HOUR: Duration = Duration::from_secs(3600);

fn unknown(kid: &str) -> Result<Identity, Refusal> {
    Err(Refusal::Unauthenticated(Reason::unknown_key(kid)))
}

/// What the JWKS server answers.
#[derive(Clone)]
pub(super) enum Answer {
    Keys(String),
    Status(u16),
    Slow(Duration, String),
    RedirectTo(String),
}

/// A real HTTP server whose answer can be changed, and that counts requests.
#[derive(Clone)]
pub(super) struct Server {
    answer: Arc<Mutex<Answer>>,
    requests: Arc<AtomicUsize>,
    url: String,
}

impl Server {
    pub fn start(answer: Answer) -> Self {
        let answer = Arc::new(Mutex::new(answer));
        let requests = Arc::new(AtomicUsize::new(0));
        let state = web::Data::new((answer.clone(), requests.clone()));
        let app = move || {
            App::new()
                .app_data(state.clone())
                .default_service(web::to(serve))
        };
        let server = HttpServer::new(app)
            .workers(1)
            .disable_signals()
            .bind(("127.0.0.1", 0))
            .unwrap();
        let url = format!("http://user:CANARY@{}/jwks?key=CANARY", server.addrs()[0]);
        actix_rt::spawn(server.run());
        Self {
            answer,
            requests,
            url,
        }
    }

    pub fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    pub fn requests(&self) -> usize {
        self.requests.load(SeqCst)
    }

    pub fn settings(&self, refresh: Duration, cool_down: Duration) -> crate::config::Auth {
        let algorithms = vec![Algorithm::RS256];
        settings(AuthKeys::JwksUrl {
            url: self.url.clone(),
            algorithms,
            refresh,
            cool_down,
            keep: HOUR,
        })
    }

    fn authenticator(&self, cool_down: Duration) -> Authenticator {
        Authenticator::start(&self.settings(HOUR, cool_down)).unwrap()
    }
}

type ServerState = (Arc<Mutex<Answer>>, Arc<AtomicUsize>);

async fn serve(state: web::Data<ServerState>) -> HttpResponse {
    let (answer, requests) = &**state;
    requests.fetch_add(1, SeqCst);
    let answer = answer.lock().unwrap().clone();
    match answer {
        Answer::Keys(text) => HttpResponse::Ok().body(text),
        Answer::Status(status) => {
            HttpResponse::build(status.try_into().unwrap()).body("<html>CANARY</html>")
        }
        Answer::Slow(pause, text) => {
            sleep(pause).await;
            HttpResponse::Ok().body(text)
        }
        Answer::RedirectTo(url) => HttpResponse::Found()
            .insert_header(("location", url))
            .finish(),
    }
}

/// Waits for what a background thread will do soon.
pub(super) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(10), "never: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

pub(super) async fn verify(
    authenticator: &Authenticator,
    token: &str,
) -> Result<Identity, Refusal> {
    authenticator.verify(token, NOW_MS).await
}

#[actix_rt::test]
async fn the_first_tokens_wait_for_the_first_fetch_and_share_it() {
    let slow = Answer::Slow(Duration::from_millis(200), document(&[rsa("rsa_a", "a")]));
    let server = Server::start(slow);
    let authenticator = server.authenticator(HOUR);
    let token = rs256("rsa_a", "a");
    let results = join_all((0..100).map(|_| verify(&authenticator, &token))).await;
    assert!(results.iter().all(Result::is_ok));
    for _ in 0..100 {
        verify(&authenticator, &token).await.unwrap();
    }
    assert_eq!(server.requests(), 1);
    let state = authenticator.key_state();
    assert_eq!((state.keys, state.last_error), (1, None));
    assert!(state.last_refresh_ms.is_some());
    assert_eq!(state.source, "JWKS URL at 127.0.0.1");
}

/// Attack: a flood of unknown `kid`s, to make the hub flood the issuer.
#[actix_rt::test]
async fn a_flood_of_unknown_kids_fetches_once_a_cool_down() {
    let server = Server::start(Answer::Keys(document(&[rsa("rsa_a", "a")])));
    let authenticator = server.authenticator(HOUR);
    verify(&authenticator, &rs256("rsa_a", "a")).await.unwrap();
    let flood = (0..500).map(|i| {
        let authenticator = authenticator.clone();
        async move {
            let kid = format!("kid{i}");
            assert_eq!(
                verify(&authenticator, &rs256("rsa_b", &kid)).await,
                unknown(&kid)
            );
        }
    });
    join_all(flood).await;
    assert_eq!(server.requests(), 1, "within the cool-down");

    let authenticator = server.authenticator(Duration::from_millis(300));
    verify(&authenticator, &rs256("rsa_a", "a")).await.unwrap();
    sleep(Duration::from_millis(350)).await;
    let before = server.requests();
    let tokens: Vec<_> = (0..100)
        .map(|i| rs256("rsa_b", &format!("kid{i}")))
        .collect();
    let began = Instant::now();
    join_all(tokens.iter().map(|token| verify(&authenticator, token))).await;
    let windows = began.elapsed().as_millis() / 300 + 1;
    let fetches = (server.requests() - before) as u128;
    assert!((1..=windows).contains(&fetches), "{fetches} in {windows}");
}

/// Attack: a flood of unknown `kid`s, to make the hub flood the issuer.
#[actix_rt::test]
async fn a_foreign_algorithm_or_garbage_never_fetches() {
    let server = Server::start(Answer::Keys(document(&[rsa("rsa_a", "a")])));
    let authenticator = server.authenticator(Duration::ZERO);
    verify(&authenticator, &rs256("rsa_a", "a")).await.unwrap();
    let before = server.requests();
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let hs256 = sign(&with_kid(Algorithm::HS256, "new"), &claims(|_| {}), &key);
    for token in [&hs256, "garbage", ".."] {
        verify(&authenticator, token).await.unwrap_err();
    }
    assert_eq!(server.requests(), before);
}

#[actix_rt::test]
async fn a_new_key_is_found_at_once_and_the_old_one_works_while_it_is_listed() {
    let server = Server::start(Answer::Keys(document(&[rsa("rsa_a", "a")])));
    let authenticator = server.authenticator(Duration::ZERO);
    verify(&authenticator, &rs256("rsa_a", "a")).await.unwrap();
    server.answer(Answer::Keys(document(&[
        rsa("rsa_a", "a"),
        rsa("rsa_b", "b"),
    ])));
    verify(&authenticator, &rs256("rsa_b", "b")).await.unwrap();
    verify(&authenticator, &rs256("rsa_a", "a")).await.unwrap();
    server.answer(Answer::Keys(document(&[rsa("rsa_b", "b")])));
    assert_eq!(
        verify(&authenticator, &rs256("rsa_a", "c")).await,
        unknown("c")
    );
    assert_eq!(
        verify(&authenticator, &rs256("rsa_a", "a")).await,
        unknown("a")
    );
}

#[actix_rt::test]
async fn keys_are_refreshed_without_being_asked() {
    let server = Server::start(Answer::Keys(document(&[rsa("rsa_a", "a")])));
    let authenticator =
        Authenticator::start(&server.settings(Duration::from_millis(20), HOUR)).unwrap();
    eventually("a third fetch", || server.requests() >= 3).await;
    server.answer(Answer::Keys(document(&[
        rsa("rsa_a", "a"),
        rsa("rsa_b", "b"),
    ])));
    eventually("two keys", || authenticator.key_state().keys == 2).await;
    drop(authenticator);
    sleep(Duration::from_millis(100)).await;
    let after = server.requests();
    sleep(Duration::from_millis(100)).await;
    assert_eq!(server.requests(), after, "nobody wants keys any more");
}

/// Failure: the issuer is down, slow, or answers nonsense.
#[actix_rt::test]
async fn the_last_good_keys_stay_while_the_url_is_out_of_order() {
    let good = Answer::Keys(document(&[rsa("rsa_a", "a")]));
    let server = Server::start(good.clone());
    let authenticator = server.authenticator(Duration::ZERO);
    let token = rs256("rsa_a", "a");
    verify(&authenticator, &token).await.unwrap();
    for (answer, expected) in [
        (Answer::Status(500), "500"),
        (Answer::Status(404), "404"),
        (
            Answer::Keys("<html>CANARY</html>".into()),
            "no JWKS document",
        ),
        (Answer::Keys(document(&[])), "none of the JWKS keys"),
        (
            Answer::Keys(document(&[json!({"kty": "oct", "k": "AAAA"})])),
            "none of the JWKS keys",
        ),
        (
            Answer::Keys(" ".repeat(10 << 20)),
            "larger than 65536 bytes",
        ),
        (Answer::RedirectTo("http://127.0.0.1:1/".into()), "error"),
    ] {
        server.answer(answer);
        assert_eq!(
            verify(&authenticator, &rs256("rsa_a", "x")).await,
            unknown("x")
        );
        verify(&authenticator, &token).await.unwrap();
        let state = authenticator.key_state();
        let error = state.last_error.unwrap();
        assert!(
            state.keys == 1 && error.contains(expected),
            "{error:?} lacks {expected:?}"
        );
        assert!(
            !error.contains("CANARY") && !error.contains('\n'),
            "{error:?}"
        );
    }
    server.answer(good);
    assert_eq!(
        verify(&authenticator, &rs256("rsa_a", "x")).await,
        unknown("x")
    );
    assert_eq!(authenticator.key_state().last_error, None);
}

/// Failure: the issuer is down, slow, or answers nonsense.
#[actix_rt::test]
async fn without_any_keys_the_answer_is_unavailable_until_the_url_works() {
    let server = Server::start(Answer::Status(503));
    let authenticator = server.authenticator(HOUR);
    let token = rs256("rsa_a", "a");
    let refusal = verify(&authenticator, &token).await.unwrap_err();
    assert!(
        matches!(&refusal, Refusal::Unavailable(why) if why.contains("503")),
        "{refusal}"
    );
    assert_eq!(authenticator.key_state().keys, 0);
    server.answer(Answer::Keys(document(&[rsa("rsa_a", "a")])));
    eventually("keys", || authenticator.key_state().keys == 1).await;
    verify(&authenticator, &token).await.unwrap();
}

/// Failure: the issuer is down, slow, or answers nonsense.
#[actix_rt::test]
async fn a_slow_url_holds_up_only_tokens_that_need_it_and_not_for_ever() {
    let server = Server::start(Answer::Keys(document(&[rsa("rsa_a", "a")])));
    let authenticator = server.authenticator(Duration::ZERO);
    let token = rs256("rsa_a", "a");
    verify(&authenticator, &token).await.unwrap();
    server.answer(Answer::Slow(HOUR, String::new()));
    let began = Instant::now();
    let stranger = rs256("rsa_a", "x");
    let waiting = verify(&authenticator, &stranger);
    let known = async {
        sleep(Duration::from_millis(50)).await;
        verify(&authenticator, &token).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(2));
    };
    let (refused, ()) = futures::join!(waiting, known);
    assert_eq!(refused, unknown("x"));
    assert!((4..8).contains(&began.elapsed().as_secs()));
    assert!(
        authenticator
            .key_state()
            .last_error
            .unwrap()
            .contains("within 5 s")
    );
}

#[actix_rt::test]
async fn a_client_that_goes_away_takes_no_fetch_with_it_and_another_runtime_may_wait_too() {
    let slow = Answer::Slow(Duration::from_millis(300), document(&[rsa("rsa_a", "a")]));
    let server = Server::start(slow);
    let authenticator = server.authenticator(HOUR);
    let token = rs256("rsa_a", "a");
    let gone =
        tokio::time::timeout(Duration::from_millis(50), verify(&authenticator, &token)).await;
    assert!(gone.is_err(), "dropped while it waited");
    let (elsewhere, its_token) = (authenticator.clone(), token.clone());
    let elsewhere = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async { verify(&elsewhere, &its_token).await })
    });
    verify(&authenticator, &token).await.unwrap();
    elsewhere.join().unwrap().unwrap();
    assert_eq!(server.requests(), 1);
}

#[actix_rt::test]
async fn a_reload_while_the_url_is_down_keeps_its_keys_but_not_those_of_another_url() {
    let server = Server::start(Answer::Keys(document(&[rsa("rsa_a", "a")])));
    let authenticator = server.authenticator(HOUR);
    let token = rs256("rsa_a", "a");
    verify(&authenticator, &token).await.unwrap();
    server.answer(Answer::Status(500));
    authenticator.reload(&server.settings(HOUR, HOUR)).unwrap();
    verify(&authenticator, &token).await.unwrap();
    let other = Server::start(Answer::Keys(document(&[rsa("rsa_b", "b")])));
    authenticator.reload(&other.settings(HOUR, HOUR)).unwrap();
    assert_eq!(verify(&authenticator, &token).await, unknown("a"));
    verify(&authenticator, &rs256("rsa_b", "b")).await.unwrap();
}

#[actix_rt::test]
async fn unknown_kids_during_a_fetch_are_served_by_it_and_ask_for_no_other() {
    let keys = document(&[rsa("rsa_a", "a")]);
    let server = Server::start(Answer::Keys(keys.clone()));
    let authenticator = server.authenticator(HOUR);
    verify(&authenticator, &rs256("rsa_a", "a")).await.unwrap();
    server.answer(Answer::Slow(Duration::from_millis(200), keys));
    authenticator.reload(&server.settings(HOUR, HOUR)).unwrap();
    let stranger = rs256("rsa_b", "x");
    let results = join_all((0..50).map(|_| verify(&authenticator, &stranger))).await;
    assert!(results.iter().all(|it| *it == unknown("x")));
    sleep(Duration::from_millis(100)).await;
    assert_eq!(server.requests(), 2);
}

#[test]
fn a_url_that_cannot_work_stops_the_start() {
    for (url, expected) in [
        ("", "no URL"),
        ("jwks", "no URL"),
        ("file:///etc/passwd", "neither http nor https"),
    ] {
        let keys = AuthKeys::JwksUrl {
            url: url.into(),
            algorithms: vec![Algorithm::RS256],
            refresh: HOUR,
            cool_down: HOUR,
            keep: HOUR,
        };
        let error = format!("{:#}", Authenticator::start(&settings(keys)).err().unwrap());
        assert!(error.contains(expected), "{error}");
    }
}
