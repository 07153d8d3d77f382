//! Sources: each read is a trace, which goes on at whoever is asked.

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use opentelemetry_semantic_conventions::attribute as known;
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, Executor, SqliteConnection};

use super::collector::{Collector, SpanKind, StatusCode};
use super::hub;

/// Starts a server that says what `traceparent` it was sent; gives its address.
fn serve() -> String {
    let echo = |request: HttpRequest| async move {
        let header = request.headers().get("traceparent");
        let text = header.map(|value| value.to_str().expect("a text").to_owned());
        HttpResponse::Ok().json(json!({ "traceparent": text }))
    };
    let server = HttpServer::new(move || App::new().route("/read", web::get().to(echo)));
    let server = server.workers(1).disable_signals();
    let server = server.bind("127.0.0.1:0").expect("a port");
    let address = server.addrs()[0].to_string();
    actix::spawn(server.run());
    address
}

#[actix::test]
async fn a_read_over_http_is_a_trace_that_the_server_is_told_of() {
    let collector = Collector::start();
    let address = serve();
    let config = format!(
        "[[source]]\nmetric = \"echo\"\nkind = \"http\"\nurl = \"http://me:CANARY@{address}/read?key=CANARY\"\n\
         [[source]]\nmetric = \"none\"\nkind = \"http\"\nurl = \"http://{address}/none\"\n"
    );
    let hub = hub(&collector).config(&config).start().await;
    let publish = collector.span("publish echo").await;
    let deliver = collector.span("deliver echo").await;
    let reads = collector.spans_when("GET", 2).await;
    let of = |metric| {
        let of = |it: &&super::collector::Span| it.says("statshub.source.metric") == Some(metric);
        reads.iter().find(of).expect(metric)
    };
    let read = of("echo");
    assert_eq!((read.kind, &*read.parent), (SpanKind::Client, ""));
    assert_eq!(read.says(known::HTTP_RESPONSE_STATUS_CODE), Some("200"));
    let shown = format!("http://{address}/read");
    assert_eq!(read.says(known::URL_FULL), Some(&*shown));
    assert_eq!((&publish.trace, &publish.parent), (&read.trace, &read.id));
    assert_eq!(deliver.trace, read.trace);
    let token = crate::support::token::admin("ada");
    let values = hub.api(&token).get("/metrics").await;
    let told = &values.data()["echo"]["value"]["traceparent"];
    assert_eq!(told, &format!("00-{}-{}-01", read.trace, read.id));

    let failed = of("none");
    assert_eq!(failed.says(known::HTTP_RESPONSE_STATUS_CODE), Some("404"));
    assert_eq!(failed.status, StatusCode::Error);
    hub.stop().await;
    assert!(!format!("{:?}", collector.spans()).contains("CANARY"));
}

#[actix::test]
async fn a_query_is_a_trace_of_its_own() {
    let collector = Collector::start();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("app.db");
    let options = SqliteConnectOptions::new().filename(&file);
    let options = options.create_if_missing(true);
    let mut database = SqliteConnection::connect_with(&options)
        .await
        .expect("a database");
    database
        .execute("CREATE TABLE t (v INTEGER)")
        .await
        .expect("a table");
    let config = format!(
        "[[source]]\nmetric = \"rows\"\nkind = \"sql\"\nurl = \"sqlite:{}\"\nquery = \"SELECT count(*) AS n FROM t\"\n",
        file.display()
    );
    let hub = hub(&collector).config(&config).start().await;
    let publish = collector.span("publish rows").await;
    let read = collector.span("query rows").await;
    assert_eq!((read.kind, &*read.parent), (SpanKind::Client, ""));
    assert_eq!(read.says(known::DB_SYSTEM_NAME), Some("sqlite"));
    assert_eq!((&publish.trace, &publish.parent), (&read.trace, &read.id));
    hub.stop().await;
}
