//! Publishing once, however often it is tried: the header `Idempotency-Key`, or a key in each message.
//!
//! A publisher that got no answer sends the same again with the same key, until there is one. The key is
//! its own: another publisher's same text is another key.

use std::collections::HashSet;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde_json::json;

use super::publish::{Written, invalid_at};
use super::reply::Problem;
use crate::domain::message::{Json, UserId};
use crate::store::{Fingerprint, Key, Keyed};

/// As in draft-ietf-httpapi-idempotency-key-header.
const HEADER: &str = "idempotency-key";
pub(super) const KEY_BYTES_MAX: usize = 255;
const ALLOWED: &str = "a key has 1 to 255 visible ASCII characters";

/// What the header says; `None` where there is none.
///
/// # Errors
/// 400 for one that is empty, too long, not visible ASCII, or there twice.
pub(super) struct IdempotencyKey(Option<String>);

impl FromRequest for IdempotencyKey {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut values = req.headers().get_all(HEADER);
        let invalid = || Problem::invalid(format!("Invalid header Idempotency-Key: {ALLOWED}"));
        ready(match (values.next(), values.next()) {
            (None, _) => Ok(Self(None)),
            (Some(value), None) => match value.to_str() {
                Ok(text) if is_key(text) => Ok(Self(Some(text.to_owned()))),
                _ => Err(invalid()),
            },
            (Some(_), Some(_)) => Err(invalid()),
        })
    }
}

fn is_key(text: &str) -> bool {
    (1..=KEY_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl IdempotencyKey {
    /// A key for each message that has one; nothing where none has.
    ///
    /// # Errors
    /// 400 for one that is none, for one that is there twice, and where both header and messages have
    /// some.
    pub fn of_messages(
        self,
        publisher: &UserId,
        messages: &[Written],
    ) -> Result<Vec<Option<Keyed>>, Problem> {
        let publisher = publisher.as_str();
        if let Some(header) = self.0 {
            if messages.iter().any(|message| message.key.is_some()) {
                let text = "Invalid body: either the header Idempotency-Key or a `key` in messages";
                return Err(Problem::invalid(text));
            }
            // A batch is one thing: sent again with more or fewer messages it is another.
            let count = messages.len();
            let keyed = |(index, message)| Keyed {
                key: Key::of(publisher, &header, index),
                of: fingerprint(message, count),
            };
            let all = messages.iter().enumerate().map(keyed);
            return Ok(all.map(Some).collect());
        }
        if messages.iter().all(|message| message.key.is_none()) {
            return Ok(Vec::new());
        }
        let mut met = HashSet::new();
        let keyed = |(index, message): (usize, &Written)| {
            let Some(key) = &message.key else {
                return Ok(None);
            };
            let place = format!("messages[{index}].key");
            if !is_key(key) {
                return Err(invalid_at(&place, ALLOWED));
            }
            if !met.insert(key.clone()) {
                return Err(invalid_at(&place, "another message has this key"));
            }
            Ok(Some(Keyed {
                key: Key::of(publisher, key, 0),
                of: fingerprint(message, 0),
            }))
        };
        messages.iter().enumerate().map(keyed).collect()
    }

    /// The same for an alert.
    pub fn of_alert(&self, publisher: &UserId, data: &Json) -> Vec<Option<Keyed>> {
        let keyed = |header: &String| Keyed {
            key: Key::of(publisher.as_str(), header, 0),
            of: Fingerprint::of(&[b"alert", data.as_str().as_bytes()]),
        };
        self.0.as_ref().map(keyed).map(Some).into_iter().collect()
    }
}

fn fingerprint(message: &Written, count: usize) -> Fingerprint {
    let rest = json!([message.priority, message.user, message.retain, count]).to_string();
    Fingerprint::of(&[
        message.metric.as_bytes(),
        message.data.get().as_bytes(),
        rest.as_bytes(),
    ])
}
