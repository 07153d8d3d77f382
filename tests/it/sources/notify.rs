//! A source of kind `postgres_notify` against a real PostgreSQL.

use super::*;

fn kind(url: &str) -> SourceKind {
    SourceKind::PostgresNotify {
        url: url.to_owned(),
        channel: "Orders of today".to_owned(),
    }
}

async fn next(readings: &mut mpsc::Receiver<Reading>) -> (String, String) {
    let reading = tokio::time::timeout(Duration::from_secs(30), readings.recv()).await;
    let draft = reading.expect("in time").expect("a reading").draft;
    (draft.metric.to_string(), draft.data.as_str().to_owned())
}

fn told(data: &str) -> (String, String) {
    ("orders".to_owned(), data.to_owned())
}

async fn tell(admin: &mut PgConnection, payload: &str) {
    let notify = sqlx::query("SELECT pg_notify('Orders of today', $1)").bind(payload);
    notify.execute(admin).await.unwrap();
}

#[actix::test]
async fn each_notification_is_an_update_at_once_and_in_order() {
    let postgres = postgres::Postgres::start();
    let mut admin = PgConnection::connect(&postgres.url()).await.unwrap();
    let settings = [source("orders", kind(&postgres.url()), TIMEOUT)];
    let (sources, mut readings) = start(&settings, Duration::from_secs(3600));
    let state = || sources.states().remove(0);
    until(|| Some(()).filter(|()| state().connected == Some(true))).await;
    for (payload, data) in [
        (r#"{"id": 1}"#, r#"{"id":1}"#),
        ("an order", r#""an order""#),
        ("", "null"),
    ] {
        tell(&mut admin, payload).await;
        assert_eq!(next(&mut readings).await, told(data));
    }
    admin.execute("BEGIN").await.unwrap();
    for number in 0..50 {
        tell(&mut admin, &number.to_string()).await;
    }
    admin
        .execute("NOTIFY \"orders of today\"; COMMIT")
        .await
        .unwrap();
    for number in 0..50 {
        assert_eq!(next(&mut readings).await, told(&number.to_string()));
    }
    let state = until(|| Some(state()).filter(|state| state.polls == 53)).await;
    assert_eq!(
        (state.kind, state.failures, state.stale),
        ("postgres_notify", 0, false)
    );
    assert!(state.last_success.is_some() && readings.try_recv().is_err());
}

/// Failure: a source's database is down, slow, or answers without end.
#[actix::test]
async fn a_connection_that_breaks_is_told_and_made_anew() {
    let mut postgres = postgres::Postgres::start();
    let mut setting = source("orders", kind(&postgres.url()), TIMEOUT);
    setting.interval = Some(Duration::from_millis(50));
    let (sources, mut readings) = start(&[setting], Duration::from_secs(3600));
    let state = || sources.states().remove(0);
    let connected = |wanted| move |state: &SourceState| state.connected == Some(wanted);
    until(|| Some(state()).filter(connected(true))).await;
    let mut admin = PgConnection::connect(&postgres.url()).await.unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'statshub'";
    admin.execute(end).await.unwrap();
    until(|| Some(state()).filter(|state| state.failures > 0)).await;
    until(|| Some(state()).filter(connected(true))).await;
    tell(&mut admin, "1").await;
    assert_eq!(next(&mut readings).await, told("1"));

    postgres.stop();
    let failures = state().failures;
    let down = until(|| Some(state()).filter(|state| state.failures > failures)).await;
    assert!(down.last_error_at > down.last_success, "{down:?}");
    postgres.start_again();
    until(|| Some(state()).filter(connected(true))).await;
    let mut admin = PgConnection::connect(&postgres.url()).await.unwrap();
    tell(&mut admin, "2").await;
    assert_eq!(next(&mut readings).await, told("2"));
    let back = state();
    assert!(back.last_success > back.last_error_at, "{back:?}");
    sources.stop();
    let listening = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'statshub'";
    let began = Instant::now();
    while sqlx::query_scalar::<_, i64>(listening)
        .fetch_one(&mut admin)
        .await
        .unwrap()
        > 0
    {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "it stays connected"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
