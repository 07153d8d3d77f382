//! `JWT_SECRET`, `HOST`, `PORT`, `DATABASE_URL`, `REDIS_URL`, `RUST_LOG`, `OTEL_EXPORTER_OTLP_ENDPOINT`. What is no good secret is
//! in the chapter on authentication.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tokio::net::TcpStream;

use crate::support::eventually;
use crate::support::hub::Hub;
use crate::support::token;

#[tokio::test]
async fn the_secret_goes_over_whichever_key_the_file_names() {
    let public = format!(
        "[auth]\npublic_key_file = {:?}\nalgorithm = \"RS256\"",
        token::public_key("rsa_a")
    );
    let hub = Hub::with().config(&public).start().await;
    assert_eq!(
        hub.api(&token::admin("ada")).get("/metrics").await.status,
        200
    );
    let claims = json!({"sub": "ada", "role": "platform_admin", "exp": token::now() + 60});
    let other = token::sign_as("rsa_a", jsonwebtoken::Algorithm::RS256, None, &claims);
    assert_eq!(hub.api(&other).get("/metrics").await.status, 401);
}

#[tokio::test]
async fn it_listens_on_the_host_and_nowhere_else() {
    for (host, expected) in [("127.0.0.2", [127, 0, 0, 2]), ("localhost", [127, 0, 0, 1])] {
        let hub = Hub::with().env("HOST", host).start().await;
        let expected = Ipv4Addr::from(expected);
        if hub.address.is_ipv4() {
            assert_eq!(hub.address.ip(), expected);
            let answer = hub.anonymous().get("/api/health").await;
            assert_eq!(answer.status, 200);
            let other = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 3), hub.port()));
            assert!(TcpStream::connect(other).await.is_err(), "{host}");
        } else {
            assert!(hub.address.ip().is_loopback(), "{}", hub.address);
        }
    }
}

#[tokio::test]
async fn it_listens_on_the_port_and_says_so_where_that_is_taken() {
    let mut hub = Hub::start().await;
    let port = hub.port();
    // The address and nothing else: neither a backtrace nor a word of what was started by then.
    for dev in [false, true] {
        let start = Hub::with()
            .env("PORT", &port.to_string())
            .config("[audit]\nenabled = false");
        let start = if dev { start.arg("--dev") } else { start };
        let said = start.says().await;
        let line = said.failure(1);
        assert!(line.contains(&hub.address.to_string()), "{line}");
    }
    hub.crash().await;
    let hub = hub.again().await;
    assert_eq!(hub.port(), port, "which is free again");
}

#[tokio::test]
async fn a_host_that_is_none_of_this_machine_is_named() {
    let start = Hub::with()
        .env("HOST", "192.0.2.1")
        .config("[audit]\nenabled = false");
    let said = start.says().await;
    assert!(said.failure(1).contains("192.0.2.1"), "{said:?}");
}

#[tokio::test]
async fn the_database_url_is_that_of_sql_sources_without_one_of_their_own() {
    let folder = tempfile::tempdir().expect("a directory");
    let urls: Vec<String> = ["default", "own"]
        .map(|name| format!("sqlite:{}/{name}.db", folder.path().display()))
        .into();
    for (url, rows) in urls.iter().zip([3, 1]) {
        let options: SqliteConnectOptions = url.parse().expect("a URL");
        let mut database = SqliteConnection::connect_with(&options.create_if_missing(true))
            .await
            .expect("a database");
        sqlx::query("CREATE TABLE users (id INTEGER)")
            .execute(&mut database)
            .await
            .expect("a table");
        for id in 0..rows {
            let insert = sqlx::query("INSERT INTO users VALUES (?)").bind(id);
            insert.execute(&mut database).await.expect("a row");
        }
        database.close().await.expect("a database");
    }
    let query = "query = \"SELECT count(*) AS n FROM users\"";
    let config = format!(
        "[[source]]\nmetric = \"default\"\nkind = \"sql\"\n{query}\n\
         [[source]]\nmetric = \"own\"\nkind = \"sql\"\n{query}\nurl = {:?}\n",
        urls[1]
    );
    let hub = Hub::with()
        .env("DATABASE_URL", &urls[0])
        .config(&config)
        .start()
        .await;
    let api = hub.api(&token::admin("ada"));
    let values: Value = eventually("both to be read", async || {
        let values = api.get("/metrics").await.data().clone();
        (values.as_object().map(serde_json::Map::len) == Some(2)).then_some(values)
    })
    .await;
    assert_eq!(values["default"]["value"], json!({"n": 3}));
    assert_eq!(values["own"]["value"], json!({"n": 1}));

    let said = Hub::with().config(&config).says().await;
    let line = said.failure(2);
    assert!(
        line.contains("source.1.url") && line.contains("DATABASE_URL"),
        "{line}"
    );
}

/// Nobody listens there: it serves streams, and says what ails it, but for the password.
#[tokio::test]
async fn a_hub_that_is_to_be_one_of_several_does_not_take_messages_alone() {
    let url = "redis://:hunter2@127.0.0.1:9";
    let said = Hub::with()
        .env("REDIS_URL", "redis://:hunter2@")
        .says()
        .await;
    let line = said.failure(2);
    assert!(
        line.contains("REDIS_URL") && !line.contains("hunter2"),
        "{line}"
    );

    let hub = Hub::with().env("REDIS_URL", url).start().await;
    let api = hub.api(&token::admin("ada"));
    let answer = api
        .post("/publish", &json!({"metric": "m", "data": 1}))
        .await;
    assert_eq!(answer.failure(), (503, "unavailable"));
    assert!(answer.retry_after() > 0);
    let health = api.get("/api/health").await;
    assert_eq!(health.data()["status"], "degraded");
    let redis = &health.data()["checks"]["redis"];
    assert!(!redis["lastError"].is_null(), "{redis}");
    let printed = hub.stderr();
    assert!(!printed.contains("hunter2"), "{printed}");
    hub.stop().await;

    Hub::with().env("REDIS_URL", "").start().await.stop().await;
}

#[tokio::test]
async fn an_audit_trail_that_is_required_cannot_be_switched_off() {
    let config = "[audit]\nenabled = false\nrequired = true\n";
    let said = Hub::with().config(config).says().await;
    let line = said.failure(2);
    assert!(line.contains("audit.enabled"), "{line}");
}

#[tokio::test]
async fn the_log_is_in_json_where_that_is_wanted_and_changes_while_running() {
    let json = "[audit]\nenabled = false\n[log]\nformat = \"json\"\n";
    let hub = Hub::with().config(json).start().await;
    hub.api(&token::admin("ada")).get("/metrics").await;
    hub.logged("\"answered\"").await;
    let log = hub.stderr();
    let events = log
        .lines()
        .map(|line| serde_json::from_str(line).expect(line));
    let events: Vec<Value> = events.collect();
    let access = events.iter().find(|it| it["target"] == "statshub::access");
    let access = access.expect("an event of the access log");
    assert_eq!(
        (&access["method"], &access["status"], &access["user"]),
        (&json!("GET"), &json!(200), &json!("ada")),
    );
    hub.reload("[audit]\nenabled = false\n");
    hub.logged(" statshub::app::reload settings read again; changed: log.format")
        .await;
}

/// A build that has traces is asked in `tests/features`.
#[cfg(not(feature = "otel"))]
#[tokio::test]
async fn a_hub_without_traces_says_so_where_they_are_wanted() {
    let endpoint = "http://127.0.0.1:4318";
    let start = Hub::with().env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    let hub = start.start().await;
    let line = hub.logged("traces.endpoint").await;
    assert!(
        line.contains(" WARN ") && line.contains("--features otel"),
        "{line}"
    );
    hub.api(&token::admin("ada")).publish("a", json!(1)).await;
    hub.stop().await;
}

#[tokio::test]
async fn the_log_has_what_its_filter_lets_through() {
    let log_of = async |filter: &str| -> String {
        let hub = Hub::with()
            .env("RUST_LOG", filter)
            .config("[audit]\nenabled = false")
            .start()
            .await;
        hub.api(&token::admin("ada")).get("/metrics").await;
        hub.stop().await.stderr
    };
    let access = " statshub::access ";
    let log = log_of("info").await;
    assert!(log.contains(access) && !log.contains(" DEBUG "), "{log}");
    let log = log_of("statshub=debug").await;
    assert!(
        log.contains(access) && log.contains(" DEBUG statshub"),
        "{log}"
    );
    let log = log_of("info,statshub::access=off").await;
    assert!(!log.contains(access) && log.contains(" INFO "), "{log}");
    assert_eq!(log_of("error").await, "");
}
