//! What clients and operators ask besides publishing and streams: of this hub, or of all where there are several.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::Value;
use uuid::Uuid;

use super::super::messages::*;
use super::super::shared::Node;
use super::{Error, HubHandle};
use crate::broker::redis::Redis;
use crate::domain::fanout::ConnectionKey;
use crate::domain::history::{Found, Missing};
use crate::domain::hub::{Change, Ended, RefreshError, SessionFilter, SessionOutcome};
use crate::domain::message::{MessageId, Transport, UserId};
use crate::domain::session::Identity;
use crate::domain::view::Selector;
use crate::store::postgres::ScribeHealth;
use crate::telemetry::latency::Summary;
use crate::wire::view;

/// What became of a message for a user.
#[derive(Debug)]
pub struct Explained {
    pub message: Found,
    /// The sessions that the user has, and had not long ago, each with its hub where there are several.
    pub sessions: Vec<(Option<String>, SessionOutcome)>,
}

impl HubHandle {
    /// Sends a test message; returns to how many connections.
    ///
    /// # Errors
    /// The hub is overloaded.
    pub async fn test(&self, user: UserId, transport: Transport) -> Result<usize, Error> {
        let connections = match &self.shared {
            Some(shared) => Some(shared.redis.connections_of(&user, transport).await?),
            None => None,
        };
        let test = Test {
            user,
            transport,
            connections,
        };
        self.ask(test).await
    }

    /// Changes what one connection receives.
    ///
    /// # Errors
    /// Too many patterns (nothing has changed then), or the hub is overloaded.
    pub async fn change_connection(
        &self,
        key: ConnectionKey,
        change: Change,
        selectors: Vec<Selector>,
    ) -> Result<(), Error> {
        let wanted = ChangeConnection {
            key,
            change,
            selectors,
        };
        Ok(self.ask(wanted).await??)
    }

    /// Changes what all of a user's sessions receive, or `only` that one of them; returns how many live
    /// connections that concerns.
    ///
    /// # Errors
    /// Too many patterns for one of them (nothing has changed then), or the hub is overloaded.
    pub async fn change_user(
        &self,
        user: UserId,
        only: Option<Uuid>,
        change: Change,
        selectors: Vec<Selector>,
    ) -> Result<usize, Error> {
        if let Some(shared) = &self.shared {
            return shared.change_user(user, only, change, selectors).await;
        }
        let wanted = ChangeUser {
            user,
            only,
            change,
            selectors,
        };
        Ok(self.ask(wanted).await??)
    }

    /// A fresh token for a session; returns its expiry in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`Error::NotRenewed`] (the old one stays), or the hub is overloaded.
    pub async fn refresh(&self, of: Renewed, identity: Arc<Identity>) -> Result<u64, Error> {
        let wanted = Refresh {
            of,
            identity: identity.clone(),
        };
        let answer = self.ask(wanted).await?;
        if let (Some(shared), Renewed::Session(token), Err(RefreshError::UnknownSession)) =
            (&self.shared, of, &answer)
        {
            return shared.refresh(token, &identity).await;
        }
        answer.map_err(Error::NotRenewed)
    }

    /// Ends streams and forgets their sessions.
    ///
    /// # Errors
    /// The hub is overloaded.
    pub async fn disconnect(&self, chosen: Chosen) -> Result<Vec<Ended>, Error> {
        if let Some(shared) = &self.shared {
            return shared.disconnect(chosen).await;
        }
        self.ask(Disconnect(chosen)).await
    }

    /// The numbers of this moment, of this hub.
    ///
    /// # Errors
    /// The hub is overloaded.
    pub async fn overview(&self) -> Result<Overview, Error> {
        let statistics = self.ask(GetStatistics).await?;
        let meters = self.meters();
        Ok(Overview {
            statistics,
            delivered: meters.iter().map(|meter| meter.delivered()).sum(),
            latency: Summary::of(meters.iter().map(|meter| &meter.latency)),
            waiting: self.waiting.load(Ordering::Relaxed),
            uptime: self.clock.uptime(),
        })
    }

    /// The numbers of this moment, of all hubs together where there are several, and these hubs. While the shared
    /// log is away, this hub speaks for itself.
    ///
    /// # Errors
    /// The hub is overloaded.
    pub async fn overview_of_all(&self) -> Result<(Overview, Option<Vec<Node>>), Error> {
        if let Some(shared) = &self.shared
            && let Ok((all, nodes)) = shared.overview(self).await
        {
            return Ok((all, Some(nodes)));
        }
        Ok((self.overview().await?, None))
    }

    /// How what writes the shared log down is; `None` where nothing does.
    pub fn scribe(&self) -> Option<ScribeHealth> {
        let scribe = self.shared.as_ref()?.scribe.as_ref()?;
        Some(scribe.health())
    }

    /// The log that this hub shares with others.
    pub fn shared_log(&self) -> Option<Redis> {
        self.shared.as_ref().map(|shared| shared.redis.clone())
    }

    /// One page of the sessions that `filter` picks, and how many there are in all.
    ///
    /// # Errors
    /// The hub is overloaded.
    pub async fn sessions(
        &self,
        filter: SessionFilter,
        offset: usize,
        limit: usize,
    ) -> Result<(Vec<Value>, usize), Error> {
        if let Some(shared) = &self.shared {
            return shared.sessions(filter, offset, limit).await;
        }
        let wanted = GetSessions {
            filter,
            offset,
            limit,
        };
        let (views, total) = self.ask(wanted).await?;
        Ok((views.iter().map(view::session).collect(), total))
    }

    /// What became of a message for the sessions of `user`, at all hubs where there are several: those that have
    /// not answered in time are left out. While the shared log is away, this hub speaks for itself.
    ///
    /// # Errors
    /// The hub is overloaded. Within: there is no such message in its log.
    pub async fn explain(
        &self,
        id: MessageId,
        user: UserId,
    ) -> Result<Result<Explained, Missing>, Error> {
        let asked = Explain {
            id,
            user: user.clone(),
        };
        let explanation = match self.ask(asked).await? {
            Err(missing) => return Ok(Err(missing)),
            Ok(explanation) => explanation,
        };
        let everywhere = match &self.shared {
            Some(shared) => shared.explain(id, user).await.ok(),
            None => None,
        };
        let of_all = |(node, session)| (Some(node), session);
        let sessions = match everywhere {
            Some(sessions) => sessions.into_iter().map(of_all).collect(),
            None => {
                let sessions = explanation.sessions.into_iter();
                sessions.map(|session| (None, session)).collect()
            }
        };
        let message = explanation.message;
        Ok(Ok(Explained { message, sessions }))
    }

    /// The newest message of every metric that `user` may see, by name.
    ///
    /// # Errors
    /// The hub is overloaded.
    pub async fn latest(&self, user: UserId) -> Result<Vec<Newest>, Error> {
        self.ask(GetLatest(user)).await
    }
}
