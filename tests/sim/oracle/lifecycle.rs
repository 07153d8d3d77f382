//! How streams end, sessions are forgotten and subscriptions change.

use super::*;

impl Oracle {
    pub fn lagging(&mut self, key: ConnectionKey) {
        if let Some(index) = self.by_key(key) {
            self.falls_behind(index);
        }
    }

    /// The hub forgets what is idle up to `before`: as much as it may by the time, which is `by_time`,
    /// and nothing that a session is owed and was not sent.
    pub fn forgets(&mut self, before: MessageId, by_time: MessageId) {
        let unsent = |session: &Session| {
            let mut ids = session.owed.iter().map(|owed| owed.id);
            ids.find(|id| *id > session.sent_high)
        };
        let needed = self.known().filter_map(unsent).min();
        assert!(before <= by_time);
        assert!(needed.is_none_or(|id| before < id), "{needed:?} goes");
        assert!(!self.known.is_empty() || before == by_time);
        self.log.forget_idle(before);
    }

    pub(super) fn falls_behind(&mut self, index: usize) {
        let from = self.sessions[index].sent_low;
        self.sessions[index].fell_behind_late = self.may_not_know(index, from);
    }

    pub fn disconnected(&mut self, key: ConnectionKey, mono: Duration, wall_ms: u64) {
        let Some(index) = self.by_key(key) else {
            return;
        };
        self.sessions[index].place = Place::Away {
            since: mono,
            wall_ms,
        };
        self.falls_behind(index);
        let user = self.sessions[index].user.clone();
        self.limit_away_of(&user);
        self.limit_away(self.limits.away_max, |_| true);
    }

    pub(super) fn limit_away_of(&mut self, user: &UserId) {
        let max = 2 * self.limits.connections_per_user_max;
        self.limit_away(max, |session| session.user == *user);
    }

    pub(super) fn limit_away(&mut self, max: usize, counts: impl Fn(&Session) -> bool) {
        let mut away: Vec<(Duration, Uuid, usize)> = Vec::new();
        for index in &self.known {
            let session = &self.sessions[*index];
            if let (Place::Away { since, .. }, true) = (session.place, counts(session)) {
                away.push((since, session.token, *index));
            }
        }
        away.sort();
        let excess = away.len().saturating_sub(max);
        for (_, _, index) in away.into_iter().take(excess) {
            self.visit("too many away");
            self.forget(index);
        }
    }

    pub fn forget(&mut self, index: usize) {
        self.sessions[index].place = Place::Forgotten;
        self.known.retain(|known| *known != index);
    }

    pub fn ticked(&mut self, wall_ms: u64, mono: Duration, effects: &[Effect]) {
        let expired: Vec<(ConnectionKey, Goodbye)> = self
            .known()
            .filter(|session| session.expires_at_ms <= wall_ms)
            .filter_map(|session| session.live_key())
            .map(|key| (key, Goodbye::TokenExpired))
            .collect();
        if !expired.is_empty() {
            self.visit("token expired");
        }
        self.expect_closes(effects, expired);
        let timeout = self.limits.session_timeout;
        let old: Vec<usize> = self
            .known
            .iter()
            .copied()
            .filter(|i| matches!(self.sessions[*i].place, Place::Away { since, .. } if mono - since > timeout))
            .collect();
        for index in old {
            self.visit("away too long");
            self.forget(index);
        }
    }

    pub fn operator_disconnected(&mut self, user: &UserId, effects: &[Effect]) -> usize {
        let chosen: Vec<usize> = self
            .known
            .iter()
            .copied()
            .filter(|i| self.sessions[*i].user == *user)
            .collect();
        let closes: Vec<_> = chosen
            .iter()
            .filter_map(|i| self.sessions[*i].live_key())
            .map(|key| (key, Goodbye::Disconnected))
            .collect();
        if !closes.is_empty() {
            self.visit("disconnected by an operator");
        }
        self.expect_closes(effects, closes);
        chosen.iter().for_each(|index| self.forget(*index));
        chosen.len()
    }

    pub fn drains(&mut self, effects: &[Effect]) {
        let live: BTreeSet<_> = self.known().filter_map(Session::live_key).collect();
        let told = |effect: &Effect| match effect {
            Effect::Close(key, Goodbye::Shutdown { .. }) => Some(*key),
            _ => None,
        };
        assert_eq!(
            effects.iter().filter_map(told).collect::<BTreeSet<_>>(),
            live
        );
        self.closing(effects);
        self.draining = true;
    }

    /// Exactly these streams are told to end, for these reasons.
    pub(super) fn expect_closes(
        &mut self,
        effects: &[Effect],
        expected: impl IntoIterator<Item = (ConnectionKey, Goodbye)>,
    ) {
        let mut expected: Vec<_> = expected.into_iter().collect();
        expected.sort_by_key(|(key, _)| *key);
        let mut closes: Vec<_> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Close(key, goodbye) => Some((*key, *goodbye)),
                _ => None,
            })
            .collect();
        closes.sort_by_key(|(key, _)| *key);
        assert_eq!(closes, expected, "streams told to end");
        self.closing(effects);
    }

    fn closing(&mut self, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Close(closed, _) = effect
                && let Some(index) = self.by_key(*closed)
            {
                self.sessions[index].place = Place::Connected {
                    key: *closed,
                    closing: true,
                };
            }
        }
    }

    pub fn subscribed(&mut self, session: usize, patterns: &[usize]) {
        let first = self.next_pattern + 1;
        self.next_pattern += patterns.len() as u64;
        let session = &mut self.sessions[session];
        for (pattern, number) in patterns.iter().zip(first..) {
            if !session.patterns.iter().any(|(_, known)| known == pattern) {
                session.patterns.push((number, *pattern));
                let Some(unnamed) = session.unnamed else {
                    continue;
                };
                // It was getting these all along.
                for owed in session
                    .owed
                    .iter_mut()
                    .filter(|owed| owed.by.contains(&unnamed))
                {
                    let name = self.log.all[owed.index]
                        .topic
                        .metric()
                        .expect("a metric")
                        .as_str();
                    if names::matches(names::PATTERNS[*pattern], name) {
                        owed.by.push(number);
                    }
                }
            }
        }
        session.unnamed = session.unnamed.filter(|_| patterns.is_empty());
    }

    pub fn unsubscribed(&mut self, session: usize, patterns: &[usize]) {
        let session = &mut self.sessions[session];
        session
            .patterns
            .retain(|(_, known)| !patterns.contains(known));
        if patterns
            .iter()
            .any(|pattern| names::PATTERNS[*pattern] == "**")
        {
            session.unnamed = None;
        }
    }

    pub fn sessions_of(&self, user: &UserId) -> Vec<usize> {
        self.known
            .iter()
            .copied()
            .filter(|i| self.sessions[*i].user == *user)
            .collect()
    }

    /// The process died.
    pub fn restarted(&mut self, origin: MessageId) {
        self.log.lose_everything(origin);
        for index in std::mem::take(&mut self.known) {
            self.sessions[index].place = Place::Forgotten;
        }
        self.draining = false;
    }
}
