//! What is left of a backlog that was too small: message by message what a buffer of the session's
//! own would have kept and counted, wherever its client goes on from.

use serde_json::Value;

use super::journal::{Draft, Journal};
use super::model::{Buffer, Counts, Reader};
use super::session::Session;
use super::{Seed, seeds};
use crate::support::either::Transport;
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::id::Id;
use crate::support::rng::Rng;
use crate::support::token;

const BACKLOG: usize = 8;
/// Sessions in each round, which publishers mean or do not mean.
const SESSIONS: usize = 4;
const SUBSCRIPTIONS: [&[&str]; 7] = [
    &[],
    &["a"],
    &["a", "b"],
    &["a.*"],
    &["a.**", "b"],
    &["*"],
    &["nobody"],
];

struct Round<'a> {
    hub: &'a Hub,
    watcher: &'a Api,
    journal: &'a mut Journal,
    rng: Rng,
    sessions: Vec<Session>,
}

impl Round<'_> {
    fn transport(&mut self) -> Transport {
        self.rng.pick(&Transport::BOTH)
    }

    async fn publish(&mut self, messages: usize) {
        let mut drafts = Vec::new();
        for _ in 0..messages {
            let draft = Draft::random(&mut self.rng);
            let meant = self.rng.below(2 * SESSIONS);
            drafts.push(match self.sessions.get(meant) {
                Some(session) => draft.to(&session.reader.user),
                None if meant == SESSIONS => draft.to("nobody"),
                None => draft,
            });
        }
        self.journal.publish(&drafts).await;
        if self.rng.per_mille(200) {
            self.journal.alert().await;
        }
    }

    /// Each sees what is for it as long as it is there, and goes at a moment of its own. Gives how
    /// far each had got.
    async fn all_leave(&mut self) -> Vec<Id> {
        let mut left = Vec::new();
        for index in 0..self.sessions.len() {
            let messages = self.rng.below(8);
            self.publish(messages).await;
            let session = &mut self.sessions[index];
            let missed = session
                .reader
                .missed(&self.journal.published, session.began);
            let live = session.read(missed.len()).await;
            assert!(missed.iter().zip(&live).all(|(it, got)| it.is(got)));
            session.leave(self.watcher).await;
            left.push(
                self.journal
                    .published
                    .last()
                    .map_or(session.began, |it| it.id),
            );
        }
        left
    }

    /// What a session is told and sent when it goes on after `position`, and that it is then live.
    async fn check(&mut self, index: usize, position: Id, told: (Value, Vec<Value>), how: &str) {
        let session = &mut self.sessions[index];
        let how = format!("{how} after {position} with {:?}", session.reader);
        let missed = session.reader.missed(&self.journal.published, position);
        let expected = Buffer::filled(BACKLOG, &missed);
        let (notice, replayed) = told;
        let ids: Vec<Id> = replayed.iter().map(|it| Id::of(&it["messageId"])).collect();
        assert_eq!(ids, expected.ids(), "{how}");
        assert!(
            expected
                .kept
                .iter()
                .zip(&replayed)
                .all(|(it, got)| it.is(got))
        );
        assert_eq!(Counts::told(&notice), expected.counts, "{how}");
        let alert = self.journal.alert().await;
        let next = session.client().next().await;
        assert_eq!(Id::of(&next["messageId"]), alert, "{how}: nothing between");
    }

    /// A position that the session has been at, or could have been.
    fn earlier(&mut self, began: Id) -> Id {
        let published = &self.journal.published;
        let first = published.partition_point(|message| message.id <= began);
        let position = self.rng.between(first, published.len() - 1);
        published[position].id
    }

    async fn come_back(&mut self, index: usize, left: Id) {
        let (hub, transport) = (self.hub, self.transport());
        let told = self.sessions[index].resume(hub, transport, None).await;
        self.check(index, left, told, "by token").await;

        let (earlier, transport) = (self.earlier(self.sessions[index].began), self.transport());
        let told = self.sessions[index]
            .resume(hub, transport, Some(earlier))
            .await;
        self.check(index, earlier, told, "by token and id").await;

        self.sessions[index].leave(self.watcher).await;
        let (left, transport) = (self.journal.last(), self.transport());
        let told = self.sessions[index].resume(hub, transport, None).await;
        assert!(told.1.is_empty(), "it has missed nothing");
        self.check(index, left, told, "at once").await;

        let (earlier, transport) = (self.earlier(self.sessions[index].began), self.transport());
        let told = self.sessions[index]
            .begin_after(hub, transport, earlier)
            .await;
        self.check(index, earlier, told, "by id").await;
    }
}

async fn round(hub: &Hub, watcher: &Api, journal: &mut Journal, seed: u64) {
    let _shown = Seed(seed);
    let mut round = Round {
        hub,
        watcher,
        journal,
        rng: Rng::new(seed),
        sessions: Vec::new(),
    };
    for number in 0..SESSIONS {
        let patterns = round.rng.pick(&SUBSCRIPTIONS);
        let reader = Reader::of(&format!("user-{seed}-{number}"), patterns);
        let transport = round.transport();
        round
            .sessions
            .push(Session::open(hub, transport, reader).await);
    }
    let left = round.all_leave().await;
    for _ in 0..round.rng.below(12) {
        let messages = round.rng.between(1, 8);
        round.publish(messages).await;
    }
    round.journal.alert().await;
    for (index, left) in left.into_iter().enumerate() {
        round.come_back(index, left).await;
    }
}

#[tokio::test]
async fn a_backlog_is_what_a_buffer_of_its_own_would_have_kept_and_counted() {
    let hub = Hub::with()
        .env("MAX_BUFFER_SIZE", &BACKLOG.to_string())
        .start()
        .await;
    let watcher = hub.api(&token::admin("watcher"));
    let mut journal = Journal::new(&hub);
    for seed in seeds(25) {
        round(&hub, &watcher, &mut journal, seed).await;
    }
}
