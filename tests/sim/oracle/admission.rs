//! Who may have a stream, and what it begins with.

use super::backlogs::ids;
use super::*;

impl Oracle {
    /// Checks the answer to a request and what the stream begins with.
    pub fn connected(
        &mut self,
        request: &Request,
        result: &Result<Uuid, Refusal>,
        effects: &[Effect],
        wall_ms: u64,
    ) {
        let expected = self.refusal(request, wall_ms);
        assert_eq!(result.as_ref().err(), expected.as_ref(), "{request:?}");
        self.visit(match result {
            Ok(_) if request.last.is_some() => "accepted with lastEventId",
            Ok(_) => "accepted",
            Err(Refusal::ConnectionLimit) => "connection limit",
            Err(Refusal::HubFull) => "hub full",
            Err(Refusal::UnknownToken) => "unknown token",
            Err(Refusal::UnknownTicket) => "unknown ticket",
            Err(Refusal::TooManyPatterns) => "too many patterns",
            Err(Refusal::TooManyViews | Refusal::HubViews) => "too many views",
            Err(Refusal::Draining) => "draining",
        });
        let Ok(token) = result else {
            assert!(effects.is_empty(), "a refusal has no effects");
            return;
        };
        let (index, previous) = match &request.ask {
            Ask::New { .. } => {
                assert_eq!(*token, request.fresh_token);
                (self.begin_session(request), None)
            }
            Ask::Token { .. } | Ask::Ticket { .. } => {
                let index = self.by_token(token).expect("it was there, or refused");
                (index, Some(self.sessions[index].connection_id))
            }
        };
        let replaced = match self.sessions[index].place {
            Place::Connected {
                key,
                closing: false,
            } if previous.is_some() => Some((key, Goodbye::Replaced)),
            _ => None,
        };
        self.expect_closes(effects, replaced);
        let attach = effects.iter().find_map(|effect| match effect {
            Effect::Attach(attach) if attach.key == request.key => Some(attach),
            _ => None,
        });
        let attach = attach.expect("a stream that was accepted begins");
        let resumed = self.check_opening(index, request, previous, attach);
        self.visit(match (&request.ask, resumed) {
            (Ask::New { .. }, true) => "new session from a position",
            (Ask::New { .. }, false) => "new session",
            (Ask::Ticket { .. }, _) => "resumed by ticket",
            (Ask::Token { .. }, true) => "resumed",
            (Ask::Token { .. }, false) => "resumed with a snapshot",
        });
        if replaced.is_some() {
            self.visit("replaced");
        }

        let number = self.number();
        let session = &mut self.sessions[index];
        if session.transport != request.transport {
            session.transport = request.transport;
            session.tests_by = number;
        }
        if !matches!(request.ask, Ask::Ticket { .. }) {
            session.expires_at_ms = request.expires_at_ms;
        }
        if let Ask::Token {
            ticket: Some(ticket),
            ..
        } = &request.ask
        {
            session.ticket = Some(*ticket);
        }
        session.connection_id = request.fresh_connection_id;
        session.snapshot_pending = !resumed;
        session.newest_stream = request.key;
        session.place = Place::Connected {
            key: request.key,
            closing: false,
        };
        self.streams.insert(
            request.key,
            Stream {
                session: index,
                accounted: MessageId::ZERO,
                last_id: MessageId::ZERO,
                untaken: 0,
                opened: false,
            },
        );
    }

    fn refusal(&self, request: &Request, wall_ms: u64) -> Option<Refusal> {
        if self.draining {
            return Some(Refusal::Draining);
        }
        let mut user = names::user(request.user);
        let mut own = 0;
        match &request.ask {
            Ask::New { .. } => {}
            Ask::Token { token, .. } => match self.by_token(token) {
                Some(index) if self.sessions[index].user == user => {
                    own = usize::from(self.sessions[index].is_live());
                }
                _ => return Some(Refusal::UnknownToken),
            },
            Ask::Ticket { ticket, token } => {
                match self.known().find(|session| session.ticket == Some(*ticket)) {
                    Some(session)
                        if session.expires_at_ms > wall_ms
                            && token.is_none_or(|token| token == session.token) =>
                    {
                        own = usize::from(session.is_live());
                        user = session.user.clone();
                    }
                    _ => return Some(Refusal::UnknownTicket),
                }
            }
        }
        if self.live_of(&user) - own >= self.limits.connections_per_user_max {
            return Some(Refusal::ConnectionLimit);
        }
        (self.live() - own >= self.limits.connections_max).then_some(Refusal::HubFull)
    }

    fn begin_session(&mut self, request: &Request) -> usize {
        let Ask::New { patterns, ticket } = &request.ask else {
            unreachable!("only new sessions begin");
        };
        let began = request
            .last
            .filter(|id| self.log.covers(*id))
            .unwrap_or(self.log.last);
        let unnamed = patterns.is_empty().then(|| self.number());
        let mut distinct: Vec<usize> = Vec::new();
        patterns.iter().for_each(|p| {
            if !distinct.contains(p) {
                distinct.push(*p);
            }
        });
        let patterns = distinct.into_iter().map(|p| (self.number(), p)).collect();
        let mut session = Session {
            token: request.fresh_token,
            user: names::user(request.user),
            transport: request.transport,
            place: Place::Connected {
                key: request.key,
                closing: false,
            },
            expires_at_ms: request.expires_at_ms,
            ticket: *ticket,
            connection_id: request.fresh_connection_id,
            patterns,
            unnamed,
            tests_by: self.number(),
            began,
            owed: Vec::new(),
            sent_low: began,
            sent_high: began,
            snapshot_pending: false,
            newest_stream: request.key,
            fell_behind_late: false,
        };
        let start = self.log.all.partition_point(|message| message.id <= began);
        for index in start..self.log.all.len() {
            let by = session.wants(&self.log.all[index].topic);
            if !by.is_empty() {
                session.owed.push(Owed {
                    index,
                    id: self.log.all[index].id,
                    by,
                });
            }
        }
        self.sessions.push(session);
        self.known.push(self.sessions.len() - 1);
        self.sessions.len() - 1
    }

    fn check_opening(
        &mut self,
        index: usize,
        request: &Request,
        previous: Option<Uuid>,
        attach: &Attach,
    ) -> bool {
        let session = &self.sessions[index];
        assert_eq!(attach.through, self.log.last, "the stream goes on from now");
        assert_eq!(attach.user, session.user);
        assert_eq!(attach.transport, request.transport);
        let Some((Piece::Notice(Notice::Established(established)), rest)) =
            attach.opening.split_first()
        else {
            panic!("a stream begins with connection_established");
        };
        let Established {
            connection_id,
            reconnect_token,
            user,
            metrics,
            resumed,
            replayed,
            receipt,
            stale: _,
            previous_connection_id,
        } = &**established;
        assert_eq!(*connection_id, request.fresh_connection_id);
        assert_eq!(*reconnect_token, session.token);
        assert_eq!(*user, session.user);
        assert_eq!(*previous_connection_id, previous);
        assert_eq!(
            metrics
                .iter()
                .map(|p| p.pattern.as_str())
                .collect::<Vec<_>>(),
            session.pattern_names(),
            "the subscription as told"
        );
        let is_new = previous.is_none();
        if *resumed {
            let ids = ids(rest);
            assert_eq!(
                *replayed,
                ids.len(),
                "the count in the opening is what follows"
            );
            assert!(
                !(is_new && request.last.is_none()),
                "nothing to resume from"
            );
            let named = request.last;
            if let Some(named) = named {
                assert!(self.log.covers(named), "{named:?} is not of this log");
                assert!(named >= session.began, "before the session began");
            }
            assert!(
                named.is_some() || !session.snapshot_pending,
                "the snapshot was never sent"
            );
            let (low, high) = match named {
                Some(named) => (named, named),
                None => (session.sent_low, session.sent_high),
            };
            let (low, high) = self.check_backlog(index, low, high, &ids, Some(receipt));
            if receipt.dropped.total() > 0 {
                self.visit("resumed with something dropped");
            }
            if receipt.conflated > 0 {
                self.visit("conflated");
            }
            let session = &mut self.sessions[index];
            (session.sent_low, session.sent_high) = (low, high);
        } else {
            assert_eq!((*replayed, receipt), (0, &Receipt::default()));
            let must_know = match request.last {
                None if is_new => false,
                Some(named) => {
                    self.log.covers(named)
                        && named >= session.began
                        && !self.may_not_know(index, named)
                }
                None => {
                    let was_away = matches!(session.place, Place::Away { .. });
                    session.sent_low >= self.log.origin
                        && session.sent_low >= session.began
                        && !session.snapshot_pending
                        && !(if was_away {
                            session.fell_behind_late
                        } else {
                            self.may_not_know(index, session.sent_low)
                        })
                }
            };
            assert!(
                !must_know,
                "a resume that could have been served: {request:?}"
            );
            self.check_snapshot(index, rest);
            let session = &mut self.sessions[index];
            (session.sent_low, session.sent_high) = (self.log.last, self.log.last);
        }
        *resumed
    }

    /// Whether the hub may have forgotten what went for this session after `position`.
    pub(super) fn may_not_know(&self, session: usize, position: MessageId) -> bool {
        let missed = self.missed(session, position).0;
        missed
            .iter()
            .map(|index| &self.log.all[*index])
            .any(|message| message.is_uncounted || self.counts_forgotten && !message.kept)
    }

    fn check_snapshot(&self, index: usize, pieces: &[Piece]) {
        let session = &self.sessions[index];
        let [
            Piece::Notice(Notice::InitialMetrics {
                position, values, ..
            }),
        ] = pieces
        else {
            panic!("a stream that is not resumed goes on with the snapshot alone");
        };
        assert_eq!(*position, self.log.last, "the snapshot is of now");
        let mut expected: BTreeMap<&str, MessageId> = BTreeMap::new();
        for (topic, newest) in &self.log.newest {
            if let Some(name) = topic.metric().filter(|_| !session.wants(topic).is_empty()) {
                let id = self.log.all[*newest].id;
                let value = expected.entry(name.as_str()).or_insert(id);
                *value = id.max(*value);
            }
        }
        let values: BTreeMap<&str, MessageId> = values
            .iter()
            .map(|(name, message)| (name.as_str(), message.id))
            .collect();
        assert_eq!(values, expected, "the snapshot holds the newest values");
    }
}
