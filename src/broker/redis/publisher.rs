//! Appends to the log: whatever has come while one call was under way goes with the next.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, RedisError, RedisResult, Value, cmd};
use tokio::sync::{mpsc, oneshot};

use super::entry::{how, write_topic};
use super::keys::Keys;
use super::link::Acknowledged;
use super::scripts::Scripts;
use super::status::Status;
use crate::config;
use crate::domain::message::MessageId;
use crate::trace;
use crate::wire::message::Publication;

/// Messages in one call, so that it blocks Redis for a few milliseconds at most; one batch may be larger.
const MESSAGES_MAX: usize = 500;

/// What one publisher wants in the log, whole or not at all.
#[derive(Debug)]
pub struct Append {
    pub publications: Vec<Publication>,
    /// One a publication, or nothing at all: the publisher's key and the fingerprint of what it stands for,
    /// in hexadecimal digits.
    pub keys: Vec<Option<(String, String)>>,
    /// In milliseconds since the Unix epoch.
    pub wall_ms: u64,
    /// What it means for the alerts; only with one publication.
    pub alert: Option<AlertNote>,
    /// Of the source that it was read from.
    pub held: Option<Held>,
    /// For the spans of the hubs that read it.
    pub trace: trace::Context,
}

/// What a message means for the alerts.
#[derive(Debug, Clone)]
pub struct AlertNote {
    /// For every hub that reads it.
    pub text: String,
    /// The alert that changes, from which state and to which.
    pub change: Option<(MessageId, &'static str, &'static str)>,
}

/// The right to read a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub source: String,
    pub fence: u64,
}

/// Why nothing was appended, or why nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAppended {
    #[error("{0}")]
    Away(String),
    #[error("the key stands for another message")]
    KeyReused,
    #[error("the alert is not any more as it was")]
    AlertChanged,
    #[error("another hub reads the source")]
    NotHeld,
}

/// The ids, or why not.
pub type Appended = Result<Vec<MessageId>, NotAppended>;

/// What waits to be appended.
#[derive(Debug)]
pub(super) struct Wanted {
    pub append: Append,
    pub answer: oneshot::Sender<Appended>,
}

impl Wanted {
    pub fn refuse(self, reason: &str) {
        // Here and below: it fails when the publisher has gone.
        let _ = self.answer.send(Err(NotAppended::Away(reason.to_owned())));
    }
}

pub(super) struct Publisher<'a> {
    pub connection: MultiplexedConnection,
    pub keys: &'a Keys,
    pub scripts: &'a Scripts,
    pub settings: &'a config::Redis,
    pub key_ttl: Duration,
    pub epoch: &'a str,
    pub node: &'a str,
    pub status: &'a Status,
    pub acknowledged: &'a mut Acknowledged,
}

/// Of one batch: ids, or a word.
enum Answer {
    Ids(Vec<MessageId>),
    Word(String),
}

impl FromRedisValue for Answer {
    fn from_redis_value(value: Value) -> Result<Self, redis::ParsingError> {
        match value {
            Value::Array(_) => {
                let texts: Vec<String> = FromRedisValue::from_redis_value(value)?;
                let ids = texts.iter().map(|text| MessageId::parse(text));
                let ids: Option<Vec<_>> = ids.collect();
                ids.map(Self::Ids).ok_or_else(|| "no id".into())
            }
            other => FromRedisValue::from_redis_value(other).map(Self::Word),
        }
    }
}

impl Publisher<'_> {
    /// Appends for ever.
    pub async fn run(&mut self, wanted: &mut mpsc::Receiver<Wanted>) -> RedisResult<()> {
        let mut left = None;
        loop {
            let first = match left.take() {
                Some(first) => first,
                None => match wanted.recv().await {
                    Some(first) => first,
                    None => return Ok(()),
                },
            };
            let mut messages = first.append.publications.len();
            let mut group = vec![first];
            while let Ok(next) = wanted.try_recv() {
                messages += next.append.publications.len();
                if messages > MESSAGES_MAX {
                    left = Some(next);
                    break;
                }
                group.push(next);
            }
            self.append(group).await?;
        }
    }

    async fn append(&mut self, group: Vec<Wanted>) -> RedisResult<()> {
        match self.call(&group).await {
            Ok((entries, answers)) => {
                self.status.stands(None, entries);
                let away = answers.iter().find_map(|answer| match answer {
                    Err(NotAppended::Away(reason)) => Some(reason.as_str()),
                    _ => None,
                });
                self.status.appended(group.len(), away);
                let ids = answers.iter().flatten().flatten();
                if let Some(newest) = ids.max().copied() {
                    self.acknowledge(newest);
                }
                for (wanted, answer) in group.into_iter().zip(answers) {
                    let _ = wanted.answer.send(answer);
                }
                Ok(())
            }
            Err(error) => {
                let reason = said(&error);
                self.status.appended(0, Some(&reason));
                group.into_iter().for_each(|wanted| wanted.refuse(&reason));
                match is_passing(&error) {
                    true => Ok(()),
                    false => Err(error),
                }
            }
        }
    }

    /// An idempotent publish may be answered with an id of an earlier epoch.
    fn acknowledge(&mut self, newest: MessageId) {
        let before = self.acknowledged.as_ref().map(|(id, _)| *id);
        if before.is_none_or(|before| before < newest) {
            *self.acknowledged = Some((newest, self.epoch.to_owned()));
        }
    }

    /// How many entries there ever were, and what became of each batch.
    async fn call(&mut self, group: &[Wanted]) -> RedisResult<(u64, Vec<Appended>)> {
        let call = self.invocation(group);
        let (entries, answers): (u64, Vec<Answer>) =
            call.invoke_async(&mut self.connection.clone()).await?;
        let enough = match self.settings.acknowledge {
            config::Acknowledge::Primary => true,
            config::Acknowledge::Replicated => self.are_replicated().await?,
        };
        let appended = |answer| match answer {
            Answer::Ids(_) if !enough => {
                let text = "too few replicas have confirmed the message in time; it may be delivered \
                            nevertheless";
                Err(NotAppended::Away(text.to_owned()))
            }
            Answer::Ids(ids) => Ok(ids),
            Answer::Word(word) => Err(match word.as_str() {
                "KEY" => NotAppended::KeyReused,
                "ALERT" => NotAppended::AlertChanged,
                _ => NotAppended::NotHeld,
            }),
        };
        Ok((entries, answers.into_iter().map(appended).collect()))
    }

    /// Whether as many replicas as wanted have all that was appended over this connection.
    async fn are_replicated(&mut self) -> RedisResult<bool> {
        let within = self.settings.timeout.as_millis() as u64 / 2;
        let mut wait = cmd("WAIT");
        let replicas: u32 = wait
            .arg(self.settings.replicas)
            .arg(within)
            .query_async(&mut self.connection)
            .await?;
        Ok(replicas >= self.settings.replicas)
    }

    fn invocation(&self, group: &[Wanted]) -> redis::ScriptInvocation<'_> {
        let keys = self.keys;
        let mut call = self.scripts.append.prepare_invoke();
        for key in [&keys.log, &keys.head, &keys.latest, &keys.sources] {
            call.key(key);
        }
        let mut named = 4;
        let mut name = |call: &mut redis::ScriptInvocation<'_>, key: String| {
            call.key(key);
            named += 1;
            named
        };
        call.arg(self.epoch)
            .arg(self.node)
            .arg(self.settings.log_messages_max)
            .arg(self.key_ttl.as_millis() as u64);
        for Wanted { append, .. } in group {
            call.arg(append.publications.len()).arg(append.wall_ms);
            let alert = append.alert.as_ref();
            call.arg(alert.map_or("", |alert| &alert.text));
            match alert.and_then(|alert| alert.change) {
                Some((id, from, to)) => {
                    let number = name(&mut call, keys.alert(id));
                    call.arg(number).arg(from).arg(to);
                }
                None => {
                    call.arg(0).arg("").arg("");
                }
            }
            match &append.held {
                Some(held) => call.arg(&held.source).arg(held.fence),
                None => call.arg("").arg(""),
            };
            call.arg(append.trace.traceparent().unwrap_or_default());
            for (index, publication) in append.publications.iter().enumerate() {
                call.arg(write_topic(&publication.topic))
                    .arg(how(publication))
                    .arg(publication.data.as_str());
                match append.keys.get(index).and_then(Option::as_ref) {
                    Some((key, of)) => {
                        let number = name(&mut call, keys.published(key));
                        call.arg(number).arg(of);
                    }
                    None => {
                        call.arg(0).arg("");
                    }
                }
            }
        }
        call
    }
}

/// Whether Redis is there and only does not take anything at the moment.
pub(super) fn is_passing(error: &RedisError) -> bool {
    let code = error.code().unwrap_or_default();
    ["OOM", "MISCONF", "NOREPLICAS"].contains(&code)
}

/// In words, with Redis' own code, for publishers and operators.
pub(super) fn said(error: &RedisError) -> String {
    match error.is_timeout() {
        true => "Redis does not answer in time".to_owned(),
        false => format!("Redis: {error}"),
    }
}
