//! What moves between the hub and its workers.

use super::*;

impl Simulation {
    pub fn report(&mut self, worker: usize, report: Report) {
        self.to_hub[worker].push(self.step, report);
    }

    pub(super) fn move_channels(&mut self) {
        for worker in 0..WORKERS {
            for report in self.to_hub[worker].arriving(self.step, &self.weather, &mut self.rng) {
                self.hear(report);
            }
        }
        for worker in 0..WORKERS {
            if self.plant == Plant::SlowClientDelaysOthers
                && self.workers[worker].has_somebody_stuck()
            {
                continue;
            }
            let mut reports = Vec::new();
            for effect in self.to_worker[worker].arriving(self.step, &self.weather, &mut self.rng) {
                self.workers[worker].apply(&effect, &mut self.oracle, &mut reports, &self.weather);
            }
            reports
                .into_iter()
                .for_each(|report| self.report(worker, report));
        }
    }

    pub(super) fn drive_workers(&mut self) {
        for worker in 0..WORKERS {
            let mut reports = Vec::new();
            self.workers[worker].drive(
                self.step,
                &mut self.oracle,
                &mut reports,
                &mut self.rng,
                &self.weather,
            );
            reports
                .into_iter()
                .for_each(|report| self.report(worker, report));
            if self.rng.per_mille(self.weather.rates.cursor) {
                self.workers[worker].move_cursors();
            }
        }
    }

    fn hear(&mut self, mut report: Report) {
        let last = self.oracle.log.last;
        let heard = self.plant.falsify_report(&mut report, last, &mut self.rng);
        match report {
            Report::Disconnected(key, _) if !heard => {
                self.oracle.disconnected(key, self.mono, self.wall_ms);
            }
            _ if !heard => {}
            Report::Connect(request) => self.connect(request),
            Report::Lagging(key, position) => {
                self.hub.lagging(key, position);
                self.oracle.lagging(key);
            }
            Report::Drained(key) => {
                let ((), effects) = self.ask(|hub, _, effects| hub.drained(key, effects));
                self.oracle.drained(key, &effects);
                self.forward(effects);
            }
            Report::Disconnected(key, position) => {
                let ((), effects) = self.ask(|hub, now, _| hub.disconnected(key, position, now));
                self.oracle.disconnected(key, self.mono, self.wall_ms);
                self.forward(effects);
            }
            Report::Change(key, change, patterns) => {
                let parsed = names::selectors(&patterns);
                let (result, effects) = self
                    .ask(|hub, _, effects| hub.change_connection(key, change, &parsed, effects));
                assert_eq!(result, Ok(()));
                if let Some(session) = self.oracle.by_key(key) {
                    self.change_session(session, change, &patterns);
                }
                self.forward(effects);
            }
            Report::Refresh(token, user, expires_at_ms) => self.refresh(token, user, expires_at_ms),
        }
    }

    fn refresh(&mut self, token: Uuid, user: usize, expires_at_ms: u64) {
        let identity = identity(user, expires_at_ms);
        let expected = match self.oracle.known().find(|session| session.token == token) {
            None => Err(RefreshError::UnknownSession),
            Some(session) if session.user != identity.user => Err(RefreshError::OtherUser),
            Some(session) if expires_at_ms < session.expires_at_ms => {
                Err(RefreshError::ExpiresEarlier)
            }
            Some(_) => Ok(expires_at_ms),
        };
        let (result, effects) =
            self.ask(|hub, _, effects| hub.refresh(token, identity.into(), effects));
        assert_eq!(result, expected);
        self.oracle.visit(match result {
            Ok(_) => "refreshed",
            Err(RefreshError::UnknownSession) => "refresh of an unknown session",
            Err(RefreshError::OtherUser) => "refresh by another user",
            Err(RefreshError::ExpiresEarlier) => "refresh that expires earlier",
        });
        if result.is_ok() {
            let session = self
                .oracle
                .sessions
                .iter_mut()
                .find(|session| session.token == token);
            session.expect("it is known").expires_at_ms = expires_at_ms;
        }
        self.forward(effects);
    }

    fn connect(&mut self, request: Request) {
        let socket = &self.workers[usize::from(request.key.worker())].sockets[&request.key];
        let progress = socket.progress.clone();
        let mut user = request.user;
        let opening = match request.ask.clone() {
            Ask::New { patterns, ticket } => Opening::New {
                identity: identity(user, request.expires_at_ms).into(),
                selectors: names::selectors(&patterns),
                ticket,
            },
            Ask::Token { token, ticket } => {
                if self.plant == Plant::TokenOfAnotherUser
                    && let Some(session) = self.hub.session(&token)
                {
                    let owner = session.user().clone();
                    user = (0..self.weather.users)
                        .find(|user| names::user(*user) == owner)
                        .expect("a user");
                }
                Opening::Resume {
                    identity: identity(user, request.expires_at_ms).into(),
                    token,
                    ticket,
                }
            }
            Ask::Ticket { ticket, token } => Opening::ByTicket { ticket, token },
        };
        let connect = Connect {
            key: request.key,
            transport: request.transport,
            opening,
            last_event_id: self.plant.last_event_id(&request, &self.messages),
            progress,
            remote: [127, 0, 0, 1].into(),
            user_agent: Arc::from(""),
            fresh_token: request.fresh_token,
            fresh_connection_id: request.fresh_connection_id,
        };
        let (result, effects) = self.ask(|hub, now, effects| hub.connect(connect, now, effects));
        self.note(u64::from(result.is_ok()));
        self.oracle
            .connected(&request, &result, &effects, self.wall_ms);
        self.answered(&request, result);
        self.forward(effects);
    }
}

fn identity(user: usize, expires_at_ms: u64) -> Identity {
    Identity {
        user: names::user(user),
        role: "platform_admin".into(),
        expires_at_ms,
        issued_at_ms: None,
        token_id: None,
    }
}
