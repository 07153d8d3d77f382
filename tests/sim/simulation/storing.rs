//! The writer between the hub and what outlives it, and what it takes to die and come back.

use std::collections::BTreeSet;

use statshub::hub::restored;
use statshub::store::Saved;

use super::*;
use crate::durable::{Batch, Change};
use crate::oracle::Found;

impl Simulation {
    /// A batch goes into the log first, where there is one.
    pub(super) fn append(&mut self, batch: Batch) {
        if !self.weather.stored {
            batch
                .into_iter()
                .for_each(|message| self.hand_over(message));
            return;
        }
        if self.plant == Plant::HandedOverEarly {
            batch
                .iter()
                .for_each(|message| self.hand_over(message.clone()));
        }
        self.durable.append(batch);
    }

    /// Each part of the writer's work gets some way on.
    pub(super) fn write(&mut self) {
        if !self.weather.stored {
            return;
        }
        let rates = self.weather.rates.clone();
        if self.rng.per_mille(rates.save) {
            self.save_changed();
        }
        if self.rng.per_mille(rates.heartbeat) {
            self.save_positions();
        }
        if self.durable.has_waiting() && self.rng.per_mille(rates.failed_write) && !self.quiet {
            self.oracle.visit("a failed write");
            self.durable.fail(self.rng.between(1, 3));
            self.durable.save(Change::Anew);
            self.hub.note_all();
            self.save_changed();
        }
        if self.rng.per_mille(rates.commit) {
            let batches = if self.quiet {
                usize::MAX
            } else {
                self.rng.between(1, 4)
            };
            self.durable.commit(batches);
            let changes = self.rng.between(0, self.durable.unsaved());
            self.durable.write_sessions(changes);
        }
        if self.rng.per_mille(rates.flow) {
            let count = if self.quiet {
                usize::MAX
            } else {
                self.rng.between(1, 6)
            };
            for message in self.durable.settled(count) {
                if self.plant != Plant::HandedOverEarly {
                    self.hand_over(message);
                }
            }
        }
    }

    pub(super) fn check_saved(&self) {
        if self.weather.stored && self.durable.unsaved() == 0 && !self.hub.has_changed() {
            self.oracle.expect_saved(self.durable.snapshots(), false);
        }
    }

    fn save_changed(&mut self) {
        let mut changes = Vec::new();
        for (token, session) in self.hub.take_changed() {
            let snapshot = self.oracle.snapshot(&token);
            assert_eq!(session.is_some(), snapshot.is_some(), "{token} is known");
            changes.push(match (session, snapshot) {
                (Some(session), Some(snapshot)) => {
                    Change::Saved(Box::new(Saved::of(session)), Box::new(snapshot))
                }
                _ => Change::Forgotten(token),
            });
        }
        for change in changes {
            if !self.plant.forgets_to_save(&change, &mut self.rng) {
                self.durable.save(change);
            }
        }
    }

    fn save_positions(&mut self) {
        let mut moved: Vec<_> = self.hub.positions().collect();
        moved.sort_unstable();
        for (token, position) in moved {
            let sent = self.oracle.sent(&token).expect("it is known");
            self.durable.save(Change::Moved(token, position, sent));
        }
    }

    /// The process dies, and another goes on with what it left.
    pub(super) fn crash(&mut self) {
        self.oracle.visit("crash and recovery");
        let late = self.durable.crash(&mut self.rng);
        self.recover(&late);
    }

    /// The process ends in order.
    pub(super) fn stop(&mut self) {
        self.oracle.visit("clean stop");
        self.save_changed();
        self.save_positions();
        let late = self.durable.close();
        self.oracle.expect_saved(self.durable.snapshots(), true);
        self.recover(&late);
    }

    fn recover(&mut self, late: &[Arc<Message>]) {
        self.lose_streams();
        self.oracle.crashed(late, &self.durable.ids(), self.step);
        self.messages.extend(late.iter().cloned());
        self.durable.retain(self.weather.retention, &mut self.rng);
        let mut recovered = self.durable.read(&self.weather);
        self.mono += Duration::from_micros(1);
        let now = self.now();
        let found = Found {
            ids: self.durable.ids(),
            ids_read: self.weather.ids_at_start,
            sessions: self.durable.snapshots().collect(),
            wall_ms: now.wall_ms,
            mono: now.mono,
        };
        self.oracle.recovered(&found);
        self.plant.falsify_recovered(&mut recovered, &mut self.rng);
        self.ids = IdGenerator::above(self.plant.ids_above(recovered.last));
        self.hub = restored(self.plant.limits(&self.weather.limits), recovered, now);
        self.check_limits();
        let before = self.hub.clean_up(now);
        let idle = self.weather.limits.metric_idle_timeout;
        self.oracle.forgets(before, self.ago(idle));
        self.clients.iter_mut().for_each(Client::may_get_again);
    }

    /// Nothing is larger for having been elsewhere.
    fn check_limits(&self) {
        let limits = &self.weather.limits;
        let (history, statistics) = (self.hub.history(), self.hub.statistics());
        assert!(
            history.metrics() <= limits.history.metrics_max,
            "metrics are bounded"
        );
        assert!(
            statistics.away <= limits.away_max,
            "away sessions are bounded"
        );
        assert_eq!(statistics.away, statistics.sessions, "nobody is there yet");
        let users: BTreeSet<_> = self.oracle.known().map(|session| &session.user).collect();
        for user in users {
            let of_user = self.oracle.sessions_of(user).len();
            assert!(of_user <= 2 * limits.connections_per_user_max);
        }
    }
}
