//! What hubs may read of each other in Redis.

use std::time::Duration;

use redis::{FromRedisValue, Value};
use uuid::Uuid;

use super::Opened;
use super::entry::{self, Control, Entry};
use super::reader::{Found, parsed};
use super::sessions;
use crate::domain::message::{Json, Message, MessageId, Topic};
use crate::domain::time::Now;
use crate::wire::message::Publication;

const NOW: Now = Now {
    wall_ms: 1_700_000_000_000,
    mono: Duration::ZERO,
};

/// Parts apart by 0xff, the first with a letter before it: `e`, an entry of the log, its id and then its fields,
/// each with the letter of its name; `l`, a topic and the newest value kept of it; `s`, the answer to whoever
/// opens a stream. What is taken reads back from how this program writes it, and a message is one event.
pub fn entry(data: &[u8]) {
    let mut parts = data.split(|byte| *byte == 0xff);
    match parts.next() {
        Some([b'e', id @ ..]) => logged(id, parts),
        Some([b'l', topic @ ..]) => latest(topic, parts.next().unwrap_or_default()),
        Some([b's', word @ ..]) => opened(word, parts),
        _ => {}
    }
}

fn text(bytes: &[u8]) -> Value {
    Value::BulkString(bytes.to_vec())
}

fn logged<'a>(id: &'a [u8], fields: impl Iterator<Item = &'a [u8]>) {
    let pairs = fields.filter_map(|field| field.split_at_checked(1));
    let pairs = pairs.flat_map(|(name, value)| [text(name), text(value)]);
    let Some((before, read)) = found(id, pairs.collect()) else {
        return;
    };
    assert_eq!(read.id().to_string().as_bytes(), id);
    assert_eq!(MessageId::parse(&before.to_string()), Some(before));
    match &read {
        Entry::Message(logged) => {
            check(&logged.message);
            let how = format!("{} {}", how(&logged.message), logged.wall_ms);
            let value = logged.message.value();
            let topic = entry::write_topic(&logged.message.topic);
            let before = before.to_string();
            let written = [
                ("p", before.as_bytes()),
                ("t", topic.as_bytes()),
                ("h", how.as_bytes()),
                ("d", &value),
            ];
            let pairs = written.into_iter();
            let pairs = pairs.flat_map(|(name, value)| [text(name.as_bytes()), text(value)]);
            let again = found(id, pairs.collect());
            let Some((_, Entry::Message(again))) = again else {
                panic!("{again:?}");
            };
            assert_eq!(again.message.sse, logged.message.sse);
            assert_eq!(again.message.topic, logged.message.topic);
        }
        Entry::Control(_, Control::Taken { token, .. }) => assert!(!token.to_string().is_empty()),
        Entry::Control(..) => {}
    }
}

fn found(id: &[u8], pairs: Vec<Value>) -> Option<(MessageId, Entry)> {
    let answered = Value::Array(vec![text(id), Value::Array(pairs)]);
    let found = Found::from_redis_value(answered);
    assert!(
        found.is_ok() || str::from_utf8(id).is_err(),
        "others may be read"
    );
    parsed(found.ok()?, NOW)
}

fn how(message: &Message) -> String {
    entry::how(&Publication {
        topic: message.topic.clone(),
        data: Json::trusted(String::new()),
        priority: message.priority,
        retain: message.retain,
    })
}

/// A browser reads it as one event of this id with one line of data, whatever is in it.
fn check(message: &Message) {
    let event = str::from_utf8(&message.sse).expect("text");
    let lines: Vec<&str> = event.split(['\n', '\r']).collect();
    let [id, data, "", ""] = lines[..] else {
        panic!("{event:?}");
    };
    assert_eq!(id, format!("id: {}", message.id));
    assert!(data.starts_with("data: {") && data.ends_with('}'));
}

fn latest(topic: &[u8], kept: &[u8]) {
    let (Ok(topic), Ok(kept)) = (str::from_utf8(topic), str::from_utf8(kept)) else {
        return;
    };
    if let Some(message) = entry::latest(topic, kept, NOW) {
        check(&message);
        if message.topic != Topic::Alerts {
            assert_eq!(entry::write_topic(&message.topic), topic);
        }
    }
}

fn opened<'a>(word: &'a [u8], parts: impl Iterator<Item = &'a [u8]>) {
    let list = |part: &[u8]| Value::Array(part.split(|byte| *byte == 0xfe).map(text).collect());
    let of = |(index, part): (usize, &[u8])| if index < 5 { text(part) } else { list(part) };
    let answer = [text(word)].into_iter().chain(parts.enumerate().map(of));
    let token = Uuid::from_u128(7);
    if let Some(Opened::Open {
        taken_over: Some(session),
        ..
    }) = sessions::read(answer.collect(), token)
    {
        assert!(session.token == token && !session.record.is_empty());
    }
}
