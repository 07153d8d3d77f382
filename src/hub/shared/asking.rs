//! What one hub wants of all: each carries it out at the same place among the messages, and answers.

use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::actor::Hub;
use super::super::handle::Error;
use super::super::messages::Chosen;
use super::nodes::Numbers;
use super::opening::SharedLog;
use crate::broker::redis::Remembered;
use crate::domain::hub::{Change, Ended, RefreshError, SessionFilter, SessionOutcome};
use crate::domain::message::{MessageId, UserId};
use crate::domain::pattern::NameError;
use crate::domain::session::Identity;
use crate::domain::view::Selector;
use crate::wire::view;

/// How long the other hubs have to answer. One that has died counts as there until its lease ends.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::hub) enum Question {
    Overview,
    Sessions {
        filter: SessionFilter,
        /// The first so many, in their order.
        first: usize,
    },
    Change {
        user: UserId,
        /// One session of the user's, not all.
        #[serde(default)]
        only: Option<Uuid>,
        change: Change,
        #[serde(rename = "patterns")]
        selectors: Vec<Selector>,
    },
    Explain {
        id: MessageId,
        user: UserId,
    },
    End(Chosen),
    Refresh {
        token: Uuid,
        identity: Identity,
    },
}

/// The sessions of one hub.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::hub) struct Page {
    pub total: usize,
    /// Each with what it is ordered by.
    pub sessions: Vec<((u64, Uuid), Value)>,
}

impl SharedLog {
    /// As [`HubHandle::change_user`].
    ///
    /// # Errors
    /// Too many patterns for a session of one of the hubs, where nothing has changed then; or Redis is away.
    pub(in crate::hub) async fn change_user(
        &self,
        user: UserId,
        only: Option<Uuid>,
        change: Change,
        selectors: Vec<Selector>,
    ) -> Result<usize, Error> {
        let question = Question::Change {
            user,
            only,
            change,
            selectors,
        };
        let answers: Vec<Result<usize, String>> = self.ask(&question).await?;
        let counts: Result<Vec<_>, _> = answers.into_iter().collect();
        let counts = counts.map_err(|refused| {
            let known = [NameError::Views, NameError::HubViews].into_iter();
            let mut known = known.filter(|error| error.to_string() == refused);
            known.next().unwrap_or(NameError::Patterns)
        })?;
        Ok(counts.iter().sum())
    }

    /// As [`HubHandle::disconnect`].
    ///
    /// # Errors
    /// Redis is away.
    pub(in crate::hub) async fn disconnect(&self, chosen: Chosen) -> Result<Vec<Ended>, Error> {
        let answers: Vec<Vec<Ended>> = self.ask(&Question::End(chosen)).await?;
        Ok(answers.into_iter().flatten().collect())
    }

    /// As [`HubHandle::refresh`], for a session that this hub does not have.
    ///
    /// # Errors
    /// No hub has it, or it was not renewed; or Redis is away.
    pub(in crate::hub) async fn refresh(
        &self,
        token: Uuid,
        identity: &Identity,
    ) -> Result<u64, Error> {
        let identity = identity.clone();
        let question = Question::Refresh { token, identity };
        let answers: Vec<Result<u64, RefreshError>> = self.ask(&question).await?;
        let known = answers
            .into_iter()
            .find(|answer| *answer != Err(RefreshError::UnknownSession));
        known
            .unwrap_or(Err(RefreshError::UnknownSession))
            .map_err(Error::NotRenewed)
    }

    /// As [`HubHandle::sessions`].
    ///
    /// # Errors
    /// Redis is away.
    pub(in crate::hub) async fn sessions(
        &self,
        filter: SessionFilter,
        offset: usize,
        limit: usize,
    ) -> Result<(Vec<Value>, usize), Error> {
        let first = offset.saturating_add(limit);
        let pages: Vec<Page> = self.ask(&Question::Sessions { filter, first }).await?;
        let total = pages.iter().map(|page| page.total).sum();
        let mut sessions: Vec<_> = pages.into_iter().flat_map(|page| page.sessions).collect();
        sessions.sort_unstable_by_key(|(order, _)| *order);
        let page = sessions.into_iter().skip(offset).take(limit);
        Ok((page.map(|(_, session)| session).collect(), total))
    }

    /// What became of a message for the sessions of `user`, each with the hub that has or had it.
    ///
    /// # Errors
    /// Redis is away.
    pub(in crate::hub) async fn explain(
        &self,
        id: MessageId,
        user: UserId,
    ) -> Result<Vec<(String, SessionOutcome)>, Error> {
        let question = Question::Explain { id, user };
        let answers: Vec<Vec<(String, SessionOutcome)>> = self.ask(&question).await?;
        Ok(answers.into_iter().flatten().collect())
    }

    /// Asks all hubs. Of those that have not answered in time nothing is there.
    ///
    /// # Errors
    /// Redis is away.
    pub(super) async fn ask<T: for<'de> Deserialize<'de>>(
        &self,
        question: &Question,
    ) -> Result<Vec<T>, Error> {
        let session_ttl = self.session_ttl();
        // Cannot fail: strings, numbers and lists of them.
        let text = serde_json::to_string(question).unwrap_or_default();
        let words;
        let remembered = match question {
            // One session's is that of a stream that is open somewhere.
            Question::Change {
                user, only: None, ..
            } => Some((Remembered::Changes(user), text.as_str(), session_ttl)),
            Question::End(chosen) => {
                words = serde_json::to_string(chosen).unwrap_or_default();
                Some((Remembered::Ends, words.as_str(), session_ttl))
            }
            _ => None,
        };
        let (answers, hubs) = self.redis.ask(&text, remembered, PATIENCE).await?;
        if answers.len() < hubs {
            log::warn!("of {hubs} hubs {} have answered", answers.len());
        }
        let answers = answers.iter().map(|answer| serde_json::from_str(answer));
        Ok(answers.flatten().collect())
    }
}

impl Hub {
    /// Carries out what another hub asks, or this one, and answers.
    pub(in crate::hub) fn answer(&mut self, asked: &str, ctx: &mut Context<Self>) {
        let (Some(shared), Some((to, question))) = (&self.shared, asked.split_once(' ')) else {
            return;
        };
        let redis = shared.redis.clone();
        let Ok(question) = serde_json::from_str(question) else {
            log::warn!("another hub asks something that this version does not know");
            return;
        };
        let answer = self.said(question, redis.node()).to_string();
        let to = to.to_owned();
        let send = async move { redis.answer(&to, &answer).await };
        let sent = send.into_actor(self).map(|sent, _, _| {
            if let Err(error) = sent {
                log::debug!("a question is not answered: {error}");
            }
        });
        ctx.spawn(sent);
    }

    fn said(&mut self, question: Question, node: &str) -> Value {
        match question {
            Question::Overview => json!(Numbers {
                node: node.to_owned(),
                read: self.state.history().last(),
                overview: self.overview(),
            }),
            Question::Sessions { filter, first } => {
                let (views, total) = self.state.sessions(&filter, 0, first);
                let session = |view| {
                    let mut session = view::session(view);
                    session["node"] = json!(node);
                    (view::order(view), session)
                };
                let sessions = views.iter().map(session).collect();
                json!(Page { total, sessions })
            }
            Question::Explain { id, user } => {
                // Whether there is such a message, whoever asks knows.
                let explained = self.state.explain(id, &user);
                let sessions = explained.map(|it| it.sessions).unwrap_or_default();
                let sessions = sessions.into_iter().map(|session| (node, session));
                json!(sessions.collect::<Vec<_>>())
            }
            Question::Change {
                user,
                only,
                change,
                selectors,
            } => {
                let changed = self.with(|state, _, outlets| {
                    state.change_user(&user, only, change, &selectors, outlets)
                });
                json!(changed.map_err(|error| error.to_string()))
            }
            Question::End(chosen) => {
                let picks = |session: &_| chosen.picks(session);
                let ended = self.with(|state, _, outlets| state.disconnect(picks, outlets));
                json!(ended)
            }
            Question::Refresh { token, identity } => {
                let refreshed = self
                    .with(|state, _, outlets| state.refresh(token, Arc::new(identity), outlets));
                json!(refreshed)
            }
        }
    }
}
