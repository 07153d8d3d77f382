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
        "source.2.kind is missing; allowed is one of host, hub, sql, http",
    );
    check(
        "metric = \"a\"\nkind = \"ftp\"",
        "source.2.kind is \"ftp\"; allowed is one of host, hub, sql, http",
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
