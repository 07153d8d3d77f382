//! What parts of the program have of the log: they follow it, and remember by way of it.

use super::{Error, HubHandle};
use crate::broker::redis::Held;
use crate::domain::message::{Json, MessageId, StateName};
use crate::hub::follow::{Following, Wants};
use crate::hub::messages::{Follow, Remember};
use crate::trace::Span;

impl HubHandle {
    /// Has the log remember `states` for the part of the hub whose they are, whole or not at all; where hubs share
    /// the work, by the right of `held`. One that is `null` is forgotten.
    ///
    /// # Errors
    /// As [`HubHandle::publish_by`].
    pub async fn remember(
        &self,
        states: Vec<(StateName, Json)>,
        held: Option<Held>,
    ) -> Result<Vec<MessageId>, Error> {
        let remember = |answer| Remember {
            states,
            held,
            answer,
        };
        self.ask_log(Span::default(), remember).await
    }

    /// Follows the topics that `wants` picks, from what is there on. At most `waiting_max` messages wait.
    ///
    /// # Errors
    /// The hub is overloaded.
    pub async fn follow(&self, wants: Wants, waiting_max: usize) -> Result<Following, Error> {
        self.ask(Follow { wants, waiting_max }).await
    }
}
