//! `[[metric]]` and `[[source]]`.

use std::time::Duration;

use super::*;
use crate::domain::message::Retain;

fn sources(text: &str, variables: &[(&str, &str)]) -> Result<Vec<Source>, String> {
    load(text, variables).map(|settings| settings.sources)
}

#[test]
fn a_source_has_the_keys_of_its_kind() {
    let text = "[[source]]\nmetric = \"a\"\nkind = \"host\"\n\
        [[source]]\nmetric = \"b\"\nkind = \"hub\"\ninterval_ms = 50\ntimeout_ms = 10\npriority = \"low\"\n\
        [[source]]\nmetric = \"c\"\nkind = \"sql\"\nurl = \"sqlite::memory:\"\nquery = \"SELECT 1\"\n\
        [[source]]\nmetric = \"d\"\nkind = \"http\"\nurl = \"http://x/\"\nheaders = { A-b = \"c d\" }\n";
    let sources = sources(text, &[]).unwrap();
    let kinds: Vec<_> = sources.iter().map(|source| source.kind.clone()).collect();
    let sql = SourceKind::Sql {
        url: "sqlite::memory:".into(),
        query: "SELECT 1".into(),
        rows_max: 1000,
    };
    let http = SourceKind::Http {
        url: "http://x/".into(),
        headers: environment(&[("A-b", "c d")]),
        body_bytes_max: 1 << 20,
    };
    assert_eq!(kinds, [SourceKind::Host, SourceKind::Hub, sql, http]);
    let rest = |index: usize| {
        (
            sources[index].interval,
            sources[index].timeout,
            sources[index].priority,
        )
    };
    let millis = Duration::from_millis;
    assert_eq!(rest(0), (None, millis(5000), Priority::Normal));
    assert_eq!(rest(1), (Some(millis(50)), millis(10), Priority::Low));
}

#[test]
fn a_wrong_source_says_which_and_why() {
    let check = |text: &str, line: &str| {
        let text = format!("[[source]]\nmetric = \"x\"\nkind = \"host\"\n[[source]]\n{text}");
        assert_eq!(sources(&text, &[]).unwrap_err(), line);
    };
    check(
        "kind = \"host\"",
        "source.2.metric is missing; allowed is a metric name such as credits.total: 1 to 16 segments of A-Z a-z 0-9 _ -, 128 characters in all",
    );
    check(
        "metric = \"a\"",
        "source.2.kind is missing; allowed is one of host, hub, sql, http, prometheus, redis, postgres_notify",
    );
    check(
        "metric = \"a\"\nkind = \"ftp\"",
        "source.2.kind is \"ftp\"; allowed is one of host, hub, sql, http, prometheus, redis, postgres_notify",
    );
    check(
        "metric = \"a\"\nkind = \"hub\"\nurl = \"http://x\"",
        "source.2.url is set, but a source of kind hub has no such key",
    );
    check(
        "metric = \"a\"\nkind = \"http\"\nurl = \"http://x\"\nquery = \"q\"",
        "source.2.query is set, but a source of kind http has no such key",
    );
    check(
        "metric = \"a\"\nkind = \"http\"",
        "source.2.url is missing; allowed is a URL that begins with https:// or http://",
    );
    check(
        "metric = \"a\"\nkind = \"sql\"\nquery = \"q\"",
        "source.2.url is missing; allowed is the URL of a database, here or in the environment as DATABASE_URL",
    );
    check(
        "metric = \"a\"\nkind = \"sql\"\nurl = \"sqlite:x\"",
        "source.2.query is missing; allowed is one SQL query",
    );
    check(
        "metric = \"a\"\nkind = \"sql\"\nurl = \"http://u:hunter2@x\"",
        "source.2.url is \"http://***@x/\"; allowed is a URL that begins with postgres://, mysql:// or sqlite:",
    );
    check(
        "metric = \"a\"\nkind = \"sql\"\nurl = \"postgres://u:${PW}@x\"",
        "source.2.url needs the environment variable PW, which is not set",
    );
    check(
        "metric = \"a\"\nkind = \"http\"\nurl = \"http://x\"\nheaders = { A = \"${TOK}\" }",
        "source.2.headers.A needs the environment variable TOK, which is not set",
    );
    check(
        "metric = \"a\"\nkind = \"http\"\nurl = \"http://x\"\nheaders = { \"A:\" = \"hunter2\" }",
        "source.2.headers is { \"A:\" = \"***\" }; allowed is a table of header names, each with a text of printable ASCII",
    );
    check(
        "metric = \"x\"\nkind = \"hub\"",
        "source.2.metric is \"x\"; allowed is each once, and source.1 has it",
    );
    check(
        "metrics = \"x\"",
        "unknown key source.metrics; the nearest known one is source.metric",
    );
}

#[test]
fn variables_are_filled_in_where_secrets_are() {
    let url = |written: &str, password: &str| {
        let text =
            format!("[[source]]\nmetric = \"a\"\nkind = \"sql\"\nquery = \"q\"\nurl = {written:?}");
        match sources(&text, &[("PW", password)]).unwrap().remove(0).kind {
            SourceKind::Sql { url, .. } => url,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(url("postgres://u:${PW}@x/${PW}", "p"), "postgres://u:p@x/p");
    assert_eq!(
        url("postgres://u:${PW}@x", "${PW}$"),
        "postgres://u:${PW}$@x",
        "once"
    );
    assert_eq!(url("postgres://u:$${PW}@x", "p"), "postgres://u:${PW}@x");
    assert_eq!(
        url("postgres://u:${a b}${@x", "p"),
        "postgres://u:${a b}${@x",
        "no names"
    );
    let secret = "[auth]\nsecret = \"${MY_SECRET}\"";
    let with = parse(
        secret,
        &environment(&[("MY_SECRET", SECRET)]),
        &Overrides::default(),
    );
    assert_eq!(with.unwrap().auth.keys, AuthKeys::Secret(SECRET.to_owned()));
    assert_eq!(
        load_alone(secret).unwrap_err(),
        "auth.secret needs the environment variable MY_SECRET, which is not set"
    );
}

#[test]
fn a_database_of_the_environment_serves_sources_that_name_none() {
    let text = "[[source]]\nmetric = \"a\"\nkind = \"sql\"\nquery = \"q\"";
    let kind = sources(text, &[("DATABASE_URL", "postgres://db/x")])
        .unwrap()
        .remove(0)
        .kind;
    assert!(matches!(kind, SourceKind::Sql { url, .. } if url == "postgres://db/x"));
    let error = load("", &[("DATABASE_URL", "mongodb://u:hunter2@db")]).unwrap_err();
    assert_eq!(
        error,
        "DATABASE_URL is \"mongodb://***@db\"; allowed is a URL that begins with postgres://, mysql:// or sqlite:"
    );
    assert_eq!(load("", &[("DATABASE_URL", "")]), load("", &[]));
}

#[test]
fn metrics_are_declared_in_order() {
    let text = "[[metric]]\nname = \"a.*\"\nretain = \"latest\"\n[[metric]]\nname = \"**\"\npriority = \"high\"";
    let declared: Vec<_> = load(text, &[])
        .unwrap()
        .metrics
        .into_iter()
        .map(|metric| (metric.name.to_string(), metric.retain, metric.priority))
        .collect();
    assert_eq!(
        declared,
        [
            ("a.*".to_owned(), Some(Retain::Latest), None),
            ("**".to_owned(), None, Some(Priority::High)),
        ]
    );
    let twice = format!("{text}\n[[metric]]\nname = \"a.*\"");
    assert_eq!(
        load(&twice, &[]).unwrap_err(),
        "metric.3.name is \"a.*\"; allowed is each once, and metric.1 has it"
    );
    assert_eq!(
        load("[[metric]]\nretain = \"all\"", &[]).unwrap_err(),
        "metric.1.name is missing; allowed is a metric name, in which * may stand for a segment and ** for all at the end"
    );
}

#[test]
fn other_servers_are_sources_too() {
    let text = "[[source]]\nmetric = \"a\"\nkind = \"prometheus\"\nurl = \"http://x/metrics\"\n\
        selector = 'up{job=\"a\"}'\naggregate = \"sum\"\nseries_max = 3\nheaders = { A = \"b\" }\n\
        [[source]]\nmetric = \"b\"\nkind = \"redis\"\nurl = \"rediss://:${PW}@x/2\"\nca_file = \"ca.pem\"\nkeys = [\"k\", \"l\"]\n\
        [[source]]\nmetric = \"c\"\nkind = \"redis\"\nurl = \"redis://x\"\nkey = \"k\"\nfields_max = 7\n\
        [[source]]\nmetric = \"d\"\nkind = \"postgres_notify\"\nchannel = \"orders\"\n\
        [[outbox]]\nname = \"e\"\n\
        [[outbox]]\nname = \"f\"\nurl = \"postgres://y\"\ntable = \"app.out\"\nchannel = \"c\"\nrows_max = 5\n";
    let variables = [("PW", "a@b"), ("DATABASE_URL", "postgres://db/x")];
    let sources = sources(text, &variables).unwrap();
    let kinds: Vec<_> = sources.into_iter().map(|source| source.kind).collect();
    let redis = |url: &str| RedisUrl::parse(url).unwrap();
    let outbox = |url: &str, table: &str, channel: &str, rows_max| SourceKind::PostgresOutbox {
        url: url.into(),
        table: table.into(),
        channel: channel.into(),
        rows_max,
    };
    assert_eq!(
        kinds,
        [
            SourceKind::Prometheus {
                url: "http://x/metrics".into(),
                selector: Selector::parse("up{job=\"a\"}").unwrap(),
                aggregate: Some(SeriesAggregate::Sum),
                series_max: 3,
                headers: environment(&[("A", "b")]),
                body_bytes_max: 1 << 20,
            },
            SourceKind::Redis {
                url: redis("rediss://:a%40b@x/2"),
                ca_file: Some("ca.pem".into()),
                keys: RedisKeys::Several(vec!["k".into(), "l".into()]),
                fields_max: 1000,
                body_bytes_max: 1 << 20,
            },
            SourceKind::Redis {
                url: redis("redis://x"),
                ca_file: None,
                keys: RedisKeys::One("k".into()),
                fields_max: 7,
                body_bytes_max: 1 << 20,
            },
            SourceKind::PostgresNotify {
                url: "postgres://db/x".into(),
                channel: "orders".into(),
            },
            outbox("postgres://db/x", "statshub_outbox", "statshub_outbox", 100),
            outbox("postgres://y", "app.out", "c", 5),
        ]
    );
    let settings = load(text, &variables).unwrap();
    assert!(
        !settings.masked().contains("a%40b"),
        "{}",
        settings.masked()
    );
    let printed = settings.printed();
    assert_eq!(load(&printed, &[]).unwrap().sources, settings.sources);
}

#[test]
fn what_is_wrong_with_other_servers_is_said() {
    let source =
        |kind: &str, rest: &str| format!("[[source]]\nmetric = \"a\"\nkind = \"{kind}\"\n{rest}");
    let check = |text: &str, line: &str| assert_eq!(sources(text, &[]).unwrap_err(), line);
    let web = "url = \"http://x\"";
    check(
        &source("prometheus", web),
        "source.1.selector is missing; allowed is a selector such as http_requests_total{job=\"api\",code=~\"5..\"}, without functions and ranges",
    );
    check(
        &source("prometheus", &format!("{web}\nselector = \"rate(a[5m])\"")),
        "source.1.selector is \"rate(a[5m])\"; allowed is a selector such as http_requests_total{job=\"api\",code=~\"5..\"}, without functions and ranges",
    );
    check(
        &source("http", &format!("{web}\nselector = \"a\"")),
        "source.1.selector is set, but a source of kind http has no such key",
    );
    check(
        &source("redis", "key = \"k\""),
        "source.1.url is missing; allowed is the URL of one server, redis://host:port or rediss://host:port, also with user:password@ before the host",
    );
    check(
        &source(
            "redis",
            "url = \"redis-cluster://u:hunter2@x\"\nkey = \"k\"",
        ),
        "source.1.url is \"redis-cluster://***@x:6379\"; allowed is the URL of one server, redis://host:port or rediss://host:port, also with user:password@ before the host",
    );
    check(
        &source("redis", "url = \"redis://u:1?hunter2@x/y\"\nkey = \"k\""),
        "source.1.url is \"***\"; allowed is the URL of one server, redis://host:port or rediss://host:port, also with user:password@ before the host",
    );
    check(
        &source("redis", "url = \"redis://x\""),
        "source.1.key is missing; allowed is a key, or a list of them as keys",
    );
    check(
        &source("redis", "url = \"redis://x\"\nkey = \"k\"\nkeys = [\"l\"]"),
        "source.1.keys is set, but there is a key as well; one of the two is enough",
    );
    check(
        &source(
            "redis",
            &format!("url = \"redis://x\"\nkeys = [{}]", "\"k\",".repeat(1001)),
        ),
        "source.1.keys is a list of 1001; allowed is a list of at most 1000",
    );
    check(
        &source("postgres_notify", "channel = \"c\""),
        "source.1.url is missing; allowed is a URL that begins with postgres://, here or in the environment as DATABASE_URL",
    );
    check(
        &source("postgres_notify", "url = \"postgres://x\""),
        "source.1.channel is missing; allowed is the name of a channel, 1 to 63 bytes without control characters",
    );
    let outbox = |rest: &str| format!("[[outbox]]\n{rest}");
    check(
        &outbox("url = \"postgres://x\""),
        "outbox.1.name is missing; allowed is a metric name such as credits.total: 1 to 16 segments of A-Z a-z 0-9 _ -, 128 characters in all",
    );
    check(
        &outbox("name = \"a\""),
        "outbox.1.url is missing; allowed is a URL that begins with postgres://, here or in the environment as DATABASE_URL",
    );
    check(
        &outbox("name = \"a\"\nurl = \"postgres://x\"\ntable = \"a.b.c\""),
        "outbox.1.table is \"a.b.c\"; allowed is the name of a table as it is in the catalogue, also with its schema before it, such as app.statshub_outbox",
    );
    check(
        "[[source]]\nmetric = \"a\"\nkind = \"host\"\n[[outbox]]\nname = \"a\"\nurl = \"postgres://x\"",
        "outbox.1.name is \"a\"; allowed is a name that no source has, and source.1 has it",
    );
    check(
        "[[outbox]]\nname = \"a\"\nurl = \"postgres://x\"\n[[outbox]]\nname = \"a\"\nurl = \"postgres://x\"",
        "outbox.2.name is \"a\"; allowed is each once, and outbox.1 has it",
    );
    let mysql = load(&outbox("name = \"a\""), &[("DATABASE_URL", "mysql://x")]);
    assert!(mysql.unwrap_err().starts_with("outbox.1.url is missing"));
}
