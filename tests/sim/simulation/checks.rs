//! What must hold after every step, and at the end.

use super::*;

impl Simulation {
    pub(super) fn check(&self) {
        assert!(self.hub.is_consistent());
        assert_eq!(self.hub.live(), self.oracle.live(), "live connections");
        let history = self.hub.history();
        assert_eq!(history.last(), self.oracle.log.last);
        assert!(
            history.bytes() <= self.weather.limits.history.bytes_max,
            "bytes are bounded"
        );
        if self.plant == Plant::Nothing {
            assert_eq!(history.bytes(), self.oracle.log.bytes);
        }
        for session in self.oracle.known() {
            assert!(
                self.hub.session(&session.token).is_some(),
                "{} is known",
                session.token
            );
        }
        if self.step.is_multiple_of(16) {
            self.check_saved();
            let statistics = self.hub.statistics();
            assert_eq!(statistics.sessions, self.oracle.known().count(), "sessions");
            for (user, live) in &statistics.connections_by_user {
                assert_eq!(*live, self.oracle.live_of(user));
            }
        }
        // There and back again, in case its queue was full for a moment.
        let bound = 4 * self.weather.delay_max + 8;
        for worker in &self.workers {
            assert!(worker.is_consistent());
            for (key, socket) in &worker.sockets {
                if socket.ended || !self.oracle.streams.contains_key(key) {
                    continue;
                }
                if let Some((id, since)) = self.oracle.waiting_since(*key)
                    && socket.is_prompt_since(since)
                    && self.oracle.by_key(*key).is_some()
                {
                    assert!(
                        self.step - since <= bound,
                        "{id:?} of step {since} has not gone out at step {}",
                        self.step
                    );
                }
            }
        }
    }

    /// Nothing goes wrong any more; soon everything has arrived.
    pub(super) fn calm_down(&mut self) {
        self.quiet = true;
        if self.oracle.draining {
            self.end();
        }
        self.weather.rates.flow = 1000;
        self.weather.rates.commit = 1000;
        self.weather.rates.notice = 1000;
        for step in 0..QUIET_STEPS {
            if step == QUIET_STEPS - 20 {
                self.weather.rates.cursor = 0;
            }
            self.step();
        }
        for client in &self.clients {
            assert!(
                client.has_stream() || client.was_refused_for_room,
                "found no way back: {client:?}"
            );
        }
        for worker in &self.workers {
            for (key, socket) in &worker.sockets {
                if !socket.ended
                    && self
                        .oracle
                        .by_key(*key)
                        .is_some_and(|s| self.oracle.sessions[s].is_live())
                {
                    let waiting = self.oracle.waiting_since(*key);
                    assert!(waiting.is_none(), "{waiting:?} never arrived on {key:?}");
                    assert!(socket.is_settled(), "something is stuck on {key:?}");
                }
            }
        }
    }
}
