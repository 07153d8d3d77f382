//! A source of kind `redis` against a real Redis.

use statshub::config::{RedisKeys, RedisUrl};

use super::*;
use crate::support::redis::Redis;

fn kind(url: &str, keys: RedisKeys) -> SourceKind {
    SourceKind::Redis {
        url: RedisUrl::parse(url).expect(url),
        ca_file: None,
        keys,
        fields_max: 3,
        body_bytes_max: 1024,
    }
}

fn one(key: &str) -> RedisKeys {
    RedisKeys::One(key.to_owned())
}

#[actix::test]
async fn what_a_key_gives_is_decided_by_its_type() {
    let redis = Redis::start().await;
    let url = format!("redis://{}", redis.address());
    for words in [
        &["SET", "number", "42"][..],
        &["SET", "json", r#"{"a": [1, null]}"#],
        &["SET", "text", "zoë"],
        &["SET", "empty", ""],
        &["HSET", "hash", "n", "1.5", "name", "ada"],
        &["RPUSH", "list", "a", "b", "b"],
        &["SADD", "set", "a", "b"],
        &["ZADD", "zset", "1", "a"],
        &["XADD", "stream", "*", "a", "1"],
    ] {
        redis.ask(words).await;
    }
    let expected = json!({
        "number": 42, "json": {"a": [1, null]}, "text": "zoë", "empty": "", "hash": {"n": 1.5, "name": "ada"},
        "list": 3, "set": 2, "zset": 1, "stream": 1, "missing": null,
    });
    let keys: Vec<String> = expected.as_object().unwrap().keys().cloned().collect();
    let all = read(kind(&url, RedisKeys::Several(keys.clone()))).await;
    assert_eq!(all.as_ref(), Ok(&expected));
    for key in &keys {
        assert_eq!(
            read(kind(&url, one(key))).await,
            Ok(expected[key].clone()),
            "{key}"
        );
    }
}

#[actix::test]
async fn what_is_too_much_or_has_no_form_is_an_error() {
    let redis = Redis::start().await;
    let url = format!("redis://{}", redis.address());
    let (fits, long) = ("x".repeat(1024), "x".repeat(1025));
    for words in [
        &["SET", "fits", &fits][..],
        &["SET", "long", &long],
        &["HSET", "wide", "a", "1", "b", "2", "c", "3", "d", "4"],
        &["HSET", "heavy", "a", &long],
    ] {
        redis.ask(words).await;
    }
    redis.ask(&["SETRANGE", "binary", "0", "a"]).await;
    redis.ask(&["SETBIT", "binary", "0", "1"]).await;
    assert_eq!(read(kind(&url, one("fits"))).await, Ok(json!(fits)));
    let two = RedisKeys::Several(vec!["fits".to_owned(), "number".to_owned()]);
    redis.ask(&["SET", "number", "1"]).await;
    for (keys, expected) in [
        (one("long"), "more than 1024 bytes"),
        (two, "more than 1024 bytes"),
        (one("heavy"), "more than 1024 bytes"),
        (
            one("wide"),
            "the hash \"wide\" has 4 fields: read another key or raise fields_max, which is 3",
        ),
        (one("binary"), "no UTF-8"),
    ] {
        let error = read(kind(&url, keys)).await.expect_err(expected);
        assert!(error.contains(expected), "{error}");
    }
}

/// Failure: a source's database is down, slow, or answers without end.
#[actix::test]
async fn a_redis_that_hangs_refuses_or_is_gone_is_told_and_read_again() {
    let mut redis = Redis::with().password("secret-secret").start().await;
    let url = |password: &str| format!("redis://:{password}@{}", redis.address());
    let wrong = read(kind(&url("another-secret"), one("n")))
        .await
        .unwrap_err();
    assert!(
        wrong.contains("AuthenticationFailed") && !wrong.contains("secret"),
        "{wrong}"
    );

    let mut source = source(
        "n",
        kind(&url("secret-secret"), one("n")),
        Duration::from_millis(300),
    );
    source.interval = Some(Duration::from_millis(20));
    redis.ask(&["SET", "n", "1"]).await;
    let (sources, mut readings) = start(&[source], TIMEOUT);
    let state = || sources.states().remove(0);
    until(|| Some(()).filter(|()| state().polls > 2)).await;
    redis.pause();
    until(|| {
        state()
            .last_error
            .filter(|error| error.contains("no answer within"))
    })
    .await;
    redis.go_on();
    let failures = state().failures;
    until(|| Some(()).filter(|()| state().polls > failures + 5)).await;
    redis.kill();
    let gone = until(|| {
        state()
            .last_error
            .filter(|error| !error.contains("no answer"))
    })
    .await;
    assert!(!gone.contains("secret"), "{gone}");
    redis.again().await;
    redis.ask(&["SET", "n", "2"]).await;
    let is_two = |reading: &Reading| reading.draft.data.as_str() == "2";
    until(|| readings.try_recv().ok().filter(is_two)).await;
}

#[actix::test]
async fn over_tls_the_authority_named_is_trusted_and_no_other() {
    let redis = Redis::with().tls().start().await;
    redis.ask(&["SET", "n", "7"]).await;
    let url = format!("rediss://localhost:{}", redis.tls_address().port());
    let authority = redis.certificates.as_ref().map(|it| it.authority());
    let with = |ca_file| match kind(&url, one("n")) {
        SourceKind::Redis {
            url,
            keys,
            fields_max,
            body_bytes_max,
            ..
        } => SourceKind::Redis {
            url,
            ca_file,
            keys,
            fields_max,
            body_bytes_max,
        },
        other => other,
    };
    assert_eq!(read(with(authority)).await, Ok(json!(7)));
    let error = read(with(None)).await.unwrap_err();
    assert!(error.contains("certificate"), "{error}");
}
