//! A source of kind `http` against a real HTTP server.

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

use super::*;

async fn slow() -> HttpResponse {
    tokio::time::sleep(Duration::from_secs(60)).await;
    HttpResponse::Ok().finish()
}

async fn seen(request: HttpRequest) -> HttpResponse {
    let header = |name: &str| {
        let value = request.headers().get(name);
        value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let names = ["x-key", "authorization", "accept"];
    let headers = names.map(|name| (name.to_owned(), json!(header(name))));
    HttpResponse::Ok().json(Value::Object(headers.into_iter().collect()))
}

/// Starts a server; gives its host and port.
fn serve() -> String {
    let moved = |to: &'static str| {
        move || async move {
            HttpResponse::Found()
                .insert_header(("Location", to))
                .finish()
        }
    };
    let server = HttpServer::new(move || {
        App::new()
            .route("/seen", web::get().to(seen))
            .route("/slow", web::get().to(slow))
            .route("/500", web::get().to(HttpResponse::InternalServerError))
            .route(
                "/html",
                web::get().to(|| async { HttpResponse::Ok().body("<html></html>") }),
            )
            .route(
                "/huge",
                web::get()
                    .to(|| async { HttpResponse::Ok().body(format!("\"{}\"", "x".repeat(2000))) }),
            )
            .route("/moved", web::get().to(moved("/seen")))
            .route("/away", web::get().to(moved("http://example.invalid/")))
            .route("/loop", web::get().to(moved("/loop")))
    })
    .workers(1)
    .disable_signals()
    .bind("127.0.0.1:0")
    .unwrap();
    let address = server.addrs()[0].to_string();
    actix::spawn(server.run());
    address
}

#[actix::test]
async fn http_answers_are_json_or_an_error_without_credentials() {
    let address = serve();
    let kind = |url: String| SourceKind::Http {
        url,
        headers: BTreeMap::from([("X-Key".to_owned(), "k1".to_owned())]),
        body_bytes_max: 1000,
    };
    let own =
        json!({"x-key": "k1", "authorization": "Basic bWU6c2VjcmV0", "accept": "application/json"});
    let seen = format!("http://me:secret@{address}/seen?secret=1");
    assert_eq!(read(kind(seen)).await, Ok(own));
    let moved = read(kind(format!("http://{address}/moved"))).await.unwrap();
    assert_eq!(moved["x-key"], "k1", "the same server may redirect");
    for (path, expected) in [
        ("500", "answered 500"),
        ("missing", "answered 404"),
        (
            "html",
            "answered no JSON: expected value at line 1 column 1",
        ),
        ("huge", "answered more than 1000 bytes"),
        ("away", "answered 302"),
        ("loop", "answered 302"),
        ("slow", "no answer within 300ms"),
    ] {
        let url = format!("http://me:secret@{address}/{path}?secret=1");
        let error = read_within(kind(url), Duration::from_millis(300))
            .await
            .unwrap_err();
        assert!(
            error.contains(expected) && !error.contains("secret"),
            "{path}: {error}"
        );
    }
    let error = read(kind("http://me:secret@127.0.0.1:1/a?secret=1".to_owned())).await;
    assert_eq!(
        error.unwrap_err(),
        "http://127.0.0.1:1/a: Connection refused (os error 111)"
    );
}
