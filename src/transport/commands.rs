//! What a WebSocket client asks for, carried out.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::auth::Authenticator;
use crate::domain::hub::{Change, RefreshError};
use crate::domain::notice::{Fault, Notice};
use crate::domain::pattern::NameError;
use crate::domain::view::Selector;
use crate::hub::{Client, Connection, Error, HubHandle, Renewed};
use crate::telemetry::audit::{Action, Audit, Event, Outcome};
use crate::telemetry::counters::Counters;
use crate::wire::command::Command;

/// What it takes to obey; one for all connections.
pub struct Services {
    pub hub: HubHandle,
    pub authenticator: Authenticator,
    pub audit: Audit,
    pub counters: Arc<Counters>,
}

/// Carries `command` out. The client hears of it through the connection: from the Hub when it is
/// done, from here when it is not. Afterwards it has heard, so that answers come in the order of
/// the commands.
pub async fn obey(command: Command, connection: &Connection, client: &Client, services: &Services) {
    let done = match command {
        Command::Ping => return connection.say(Notice::Pong),
        Command::Subscribe(selectors) => {
            change(Change::Subscribe, selectors, connection, client, services).await
        }
        Command::Unsubscribe(selectors) => {
            change(Change::Unsubscribe, selectors, connection, client, services).await
        }
        Command::Refresh { token } => refresh(&token, connection, client, services).await,
    };
    connection.settled().await;
    if let Err(fault) = done {
        connection.say(Notice::Error(fault));
    }
}

async fn change(
    change: Change,
    selectors: Vec<Selector>,
    connection: &Connection,
    client: &Client,
    services: &Services,
) -> Result<(), Fault> {
    let details = json!({ "metrics": selectors });
    let action = match change {
        Change::Subscribe => Action::Subscribe,
        Change::Unsubscribe => Action::Unsubscribe,
    };
    let done = services
        .hub
        .change_connection(connection.key, change, selectors)
        .await
        .map_err(|error| match error {
            Error::Pattern(NameError::Patterns) => Fault::TooManyPatterns,
            Error::Pattern(error) => Fault::InvalidSelector(error.to_string().into()),
            _ => Fault::Unavailable,
        });
    services.record(client, action, outcome(&done), Some(details));
    done
}

/// Takes a fresh token for the connection. A worse one changes nothing; one that shows that the
/// user has lost its role ends the stream.
async fn refresh(
    jwt: &str,
    connection: &Connection,
    client: &Client,
    services: &Services,
) -> Result<(), Fault> {
    let renewal = renew(jwt, connection, client, services).await;
    let outcome = match &renewal {
        // The code that the role would be refused with anywhere else.
        Ok(Renewal::RoleGone) => Outcome::Refused("forbidden"),
        Ok(Renewal::Done) => Outcome::Ok,
        Err(fault) => outcome(&Err(fault.clone())),
    };
    services.record(client, Action::Refresh, outcome, None);
    renewal.map(drop)
}

/// What became of a connection that was to be renewed.
#[derive(Clone, Copy)]
enum Renewal {
    Done,
    /// It was told to end.
    RoleGone,
}

async fn renew(
    jwt: &str,
    connection: &Connection,
    client: &Client,
    services: &Services,
) -> Result<Renewal, Fault> {
    let now_ms = services.hub.clock().now().wall_ms;
    let verified = services.authenticator.verify(jwt, now_ms).await;
    let claimed = verified.map_err(|refusal| {
        log::debug!("a token to renew with was refused: {refusal}");
        match refusal {
            crate::auth::Refusal::Unauthenticated(_) => Fault::TokenInvalid,
            crate::auth::Refusal::Unavailable(_) => Fault::Unavailable,
        }
    })?;
    if claimed.user != client.identity.user {
        return Err(Fault::TokenOfOtherUser);
    }
    let Some(identity) = services.authenticator.as_admin(claimed, now_ms) else {
        services.hub.end(connection.key);
        return Ok(Renewal::RoleGone);
    };
    let renewed = services
        .hub
        .refresh(Renewed::Connection(connection.key), identity.into());
    match renewed.await {
        Ok(_) => Ok(Renewal::Done),
        Err(Error::NotRenewed(RefreshError::OtherUser)) => Err(Fault::TokenOfOtherUser),
        Err(Error::NotRenewed(RefreshError::ExpiresEarlier)) => Err(Fault::TokenExpiresEarlier),
        Err(_) => Err(Fault::Unavailable),
    }
}

fn outcome(done: &Result<(), Fault>) -> Outcome {
    match done {
        Ok(()) => Outcome::Ok,
        Err(fault) => Outcome::Refused(crate::wire::notice::fault_code(fault)),
    }
}

impl Services {
    fn record(&self, client: &Client, action: Action, outcome: Outcome, details: Option<Value>) {
        self.audit.record(Event {
            outcome,
            details,
            ..client.event(action)
        });
    }
}
