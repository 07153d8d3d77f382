//! What hubs ask each other, and the small things that they share: tickets, rates.

use std::time::Duration;

use redis::{Cmd, FromRedisValue, Pipeline, ScriptInvocation};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{Away, Redis};
use crate::domain::message::{MessageId, Transport, UserId};

/// How long an answer waits for whoever asked.
const ANSWERS_KEPT: Duration = Duration::from_secs(10);
/// How often it is looked for answers: at first, and at most.
const LOOKS_EVERY_MIN: Duration = Duration::from_millis(1);
const LOOKS_EVERY_MAX: Duration = Duration::from_millis(20);

/// What a question is to be remembered for, so that it also reaches sessions that no hub has at present.
#[derive(Debug, Clone)]
pub enum Remembered<'a> {
    /// What a user's sessions receive.
    Changes(&'a UserId),
    /// Whose streams are ended.
    Ends,
}

/// What a shared bucket gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    Taken(u32),
    /// Nothing: there will be something after so long.
    Wait(Duration),
}

impl Redis {
    /// Asks all hubs, this one too, and waits for their answers, at most for `patience`; the answers that
    /// came, and from how many hubs there should be one.
    ///
    /// # Errors
    /// Redis is away. The question may be in the log nevertheless.
    pub async fn ask(
        &self,
        question: &str,
        remembered: Option<(Remembered<'_>, &str, Duration)>,
        patience: Duration,
    ) -> Result<(Vec<String>, usize), Away> {
        let inner = &*self.inner;
        let keys = &inner.keys;
        let answers = keys.answers(Uuid::new_v4().simple());
        let session = self.session()?;
        let mut call = inner.scripts.ask.prepare_invoke();
        for key in [&keys.nodes, &keys.log, &keys.head] {
            call.key(key);
        }
        call.arg(&session.epoch)
            .arg(format!("{answers} {question}"));
        match remembered {
            Some((what, words, kept)) => {
                let list = match what {
                    Remembered::Changes(user) => keys.changes(user),
                    Remembered::Ends => keys.ended.clone(),
                };
                call.key(list).arg(words).arg(kept.as_millis() as u64);
            }
            None => {
                call.arg("").arg(0);
            }
        }
        let (_, nodes): (String, Vec<String>) = self.invoke(&call).await?;
        let until = Instant::now() + patience;
        let mut every = LOOKS_EVERY_MIN;
        let mut came: Vec<String> = Vec::with_capacity(nodes.len());
        loop {
            sleep(every).await;
            let mut more = redis::cmd("LRANGE");
            more.arg(&answers).arg(came.len()).arg(-1);
            came.extend(self.query::<Vec<String>>(&mut more).await?);
            if came.len() >= nodes.len() || Instant::now() >= until {
                return Ok((came, nodes.len()));
            }
            every = (2 * every).min(LOOKS_EVERY_MAX);
        }
    }

    /// Answers a question; `to` is what stood before it.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn answer(&self, to: &str, answer: &str) -> Result<(), Away> {
        let kept = ANSWERS_KEPT.as_millis() as i64;
        let mut pipe = redis::pipe();
        pipe.rpush(to, answer).ignore().pexpire(to, kept).ignore();
        self.query_all(&pipe).await
    }

    /// How many live connections of one transport a user has, over all hubs that are there.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn connections_of(&self, user: &UserId, transport: Transport) -> Result<usize, Away> {
        let nodes = self.nodes().await?;
        let key = self.inner.keys.live(user);
        let held: Vec<String> = self.query(redis::cmd("HVALS").arg(key)).await?;
        let is_one = |held: &&String| {
            let mut words = held.split(' ');
            let node = words.next().unwrap_or_default();
            nodes.iter().any(|(name, _)| name == node) && words.next() == Some(transport.as_str())
        };
        Ok(held.iter().filter(is_one).count())
    }

    /// The hubs that are there, and what each says about itself.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn nodes(&self) -> Result<Vec<(String, String)>, Away> {
        let keys = &self.inner.keys;
        let mut pipe = redis::pipe();
        pipe.cmd("TIME")
            .zrange_withscores(&keys.nodes, 0, -1)
            .hgetall(&keys.about);
        type Answer = (
            (u64, u64),
            Vec<(String, f64)>,
            std::collections::HashMap<String, String>,
        );
        let ((seconds, micros), leases, mut about): Answer = self.query_all(&pipe).await?;
        let now_ms = (seconds * 1000 + micros / 1000) as f64;
        let there = leases.into_iter().filter(|(_, ends)| *ends > now_ms);
        let there = there.map(|(node, _)| {
            let words = about.remove(&node).unwrap_or_default();
            (node, words)
        });
        Ok(there.collect())
    }

    /// A hub that stops is not there any more, at once.
    ///
    /// # Errors
    /// Redis is away: its lease runs out.
    pub async fn leave(&self) -> Result<(), Away> {
        let inner = &*self.inner;
        inner.leases.stop();
        let mut call = inner.scripts.leave.prepare_invoke();
        for key in [&inner.keys.nodes, &inner.keys.about, &inner.keys.sources] {
            call.key(key);
        }
        call.arg(&inner.node);
        self.invoke(&call).await
    }

    /// Forgets values of metrics that nobody has updated since `before`, for hubs that start.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn forget_idle(&self, before: MessageId) -> Result<(), Away> {
        let mut cursor = "0".to_owned();
        loop {
            let mut call = self.inner.scripts.tidy.prepare_invoke();
            call.key(&self.inner.keys.latest)
                .arg(&cursor)
                .arg(before.to_string());
            cursor = self.invoke(&call).await?;
            if cursor == "0" {
                return Ok(());
            }
        }
    }

    /// Keeps a ticket; `hash` names it.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn put_ticket(&self, hash: &str, words: &str, ttl: Duration) -> Result<(), Away> {
        let key = self.inner.keys.ticket(hash);
        let ttl_ms = (ttl.as_millis() as u64).max(1);
        self.query(redis::cmd("SET").arg(key).arg(words).arg("PX").arg(ttl_ms))
            .await
    }

    /// Uses a ticket up: of all hubs and callers one gets it.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn take_ticket(&self, hash: &str) -> Result<Option<String>, Away> {
        let key = self.inner.keys.ticket(hash);
        self.query(redis::cmd("GETDEL").arg(key)).await
    }

    /// The session that a ticket has opened, and its user.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn opened_by(&self, hash: &str) -> Result<Option<(Uuid, UserId)>, Away> {
        let keys = &self.inner.keys;
        let token: Option<String> = self.query(redis::cmd("GET").arg(keys.spent(hash))).await?;
        let Some(token) = token.and_then(|token| Uuid::try_parse(&token).ok()) else {
            return Ok(None);
        };
        let user: Option<String> = self
            .query(redis::cmd("HGET").arg(keys.session(token)).arg("user"))
            .await?;
        let user = user.as_deref().and_then(UserId::parse);
        Ok(user.map(|user| (token, user)))
    }

    /// Takes from what a user may do: up to `wanted`, of a bucket of `burst` that gains `per_second`.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn spend(
        &self,
        user: &UserId,
        per_second: u32,
        burst: u32,
        wanted: u32,
    ) -> Result<Spent, Away> {
        let every_us = (1_000_000 / u64::from(per_second.max(1))).max(1);
        let mut call = self.inner.scripts.spend.prepare_invoke();
        call.key(self.inner.keys.rate(user))
            .arg(every_us)
            .arg(burst)
            .arg(wanted);
        let (taken, wait_us): (u32, u64) = self.invoke(&call).await?;
        Ok(match taken {
            0 => Spent::Wait(Duration::from_micros(wait_us)),
            taken => Spent::Taken(taken),
        })
    }

    pub(super) async fn query<T: FromRedisValue>(&self, command: &mut Cmd) -> Result<T, Away> {
        let session = self.session()?;
        let answer = command.query_async(&mut session.commands.clone()).await;
        answer.map_err(|error| Self::failed(&session, &error))
    }

    async fn query_all<T: FromRedisValue>(&self, pipe: &Pipeline) -> Result<T, Away> {
        let session = self.session()?;
        let answer = pipe.query_async(&mut session.commands.clone()).await;
        answer.map_err(|error| Self::failed(&session, &error))
    }

    pub(super) async fn invoke<T: FromRedisValue>(
        &self,
        call: &ScriptInvocation<'_>,
    ) -> Result<T, Away> {
        let session = self.session()?;
        let answer = call.invoke_async(&mut session.commands.clone()).await;
        answer.map_err(|error| Self::failed(&session, &error))
    }
}
