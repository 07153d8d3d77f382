//! Sessions that are over, for operators who ask what they got.

use std::collections::VecDeque;

use crate::domain::message::UserId;
use crate::domain::session::{Session, State};

/// Over all.
const ENDED_MAX: usize = 256;
/// Of one user, so that nobody's coming and going hides the others.
const ENDED_OF_USER_MAX: usize = 8;

/// The last ones, oldest first.
#[derive(Debug, Default)]
pub(super) struct EndedSessions(VecDeque<Box<Session>>);

impl EndedSessions {
    /// Of a session as it was when it went.
    pub fn add(&mut self, mut session: Box<Session>) {
        let same_user = self.0.iter().enumerate();
        let mut same_user = same_user.filter(|(_, it)| it.user() == session.user());
        if let Some((oldest, _)) = same_user.next()
            && same_user.count() + 1 >= ENDED_OF_USER_MAX
        {
            self.0.remove(oldest);
        }
        if self.0.len() == ENDED_MAX {
            self.0.pop_front();
        }
        session.state = State::Away {
            since: Default::default(),
            position: session.position(),
        };
        session.ticket = None;
        self.0.push_back(session);
    }

    /// The newest first.
    pub fn of(&self, user: &UserId) -> impl Iterator<Item = &Session> {
        let mine = self.0.iter().rev().filter(move |it| it.user() == user);
        mine.map(|session| &**session)
    }
}
