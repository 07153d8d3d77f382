//! What the hub's refusals are to a client.

use std::time::Duration;

use serde_json::json;

use super::reply::Problem;
use super::state;
use crate::auth::{self, www_authenticate};
use crate::domain::hub::{RefreshError, Refusal};
use crate::domain::pattern::NameError;
use crate::hub::Error;
use crate::store::{AppendError, ReadError};

/// The hub works off what waits for it in far less.
const OVERLOAD_RETRY_AFTER: Duration = Duration::from_secs(1);
/// Whatever keeps the log from being written is looked at again every second.
const LOG_RETRY_AFTER: Duration = Duration::from_secs(2);
/// By then a lost connection has been noticed, or somebody has closed one.
const LIMIT_RETRY_AFTER: Duration = Duration::from_secs(5);
/// Metrics are forgotten by age, which takes hours; a publisher that retries is to do so rarely.
const METRICS_RETRY_AFTER: Duration = Duration::from_secs(60);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Busy => Self::unavailable("The hub is overloaded", OVERLOAD_RETRY_AFTER),
            Error::Refused(refusal) => refused(refusal),
            Error::NotTaken(AppendError::KeyReused) => Self::invalid(
                "This idempotency key was used for another message: give each message a key of its own",
            ),
            Error::NotTaken(error @ AppendError::Failed(_)) => {
                Self::unavailable(capitalized(&error), LOG_RETRY_AFTER)
            }
            Error::NotTaken(error @ AppendError::AlertChanged) => {
                Self::unavailable(capitalized(&error), OVERLOAD_RETRY_AFTER)
            }
            Error::NotTaken(AppendError::TooManyMetrics(_)) => Self::rate_limited(
                METRICS_RETRY_AFTER,
            )
            .saying(
                "The hub already keeps as many metrics as it may: publish under names that are \
                     in use, or raise history.metrics_max",
            )
            .details(json!({"setting": "history.metrics_max"})),
            Error::Away(_) => Self::unavailable(
                "What the hubs share cannot be asked at the moment",
                LOG_RETRY_AFTER,
            ),
            Error::Pattern(error) => Self::invalid(format!("Invalid metrics: {error}")),
            Error::NotRenewed(RefreshError::ExpiresEarlier) => {
                Self::invalid("This token expires earlier than the one in use, which stays")
            }
            // One answer, so that nobody learns whose a reconnect token is.
            Error::NotRenewed(RefreshError::UnknownSession | RefreshError::OtherUser) => {
                Self::reconnect_token_invalid()
            }
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Busy => {
                Self::unavailable("Too many read the history at once", OVERLOAD_RETRY_AFTER)
            }
            away @ ReadError::Away(_) => Self::unavailable(capitalized(&away), LOG_RETRY_AFTER),
            // What ails the file is for its operator, and in the log.
            ReadError::Failed(reason) => {
                Self::internal(format!("the log cannot be read: {reason}"))
            }
        }
    }
}

fn capitalized(text: &impl ToString) -> String {
    let text = text.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::ConnectionLimit => Problem::connection_limit(
            "You have as many connections as one user may have: close one and try again",
            LIMIT_RETRY_AFTER,
        )
        .details(json!({"setting": "sessions.connections_per_user_max"})),
        Refusal::HubFull => Problem::connection_limit(
            "The hub has as many connections as it may have: try again later",
            LIMIT_RETRY_AFTER,
        )
        .details(json!({"setting": "sessions.connections_max"})),
        Refusal::UnknownToken => Problem::reconnect_token_invalid(),
        Refusal::UnknownTicket => {
            Problem::unauthenticated(www_authenticate(auth::Problem::Invalid))
        }
        Refusal::TooManyPatterns => Error::Pattern(NameError::Patterns).into(),
        Refusal::TooManyViews => Error::Pattern(NameError::Views).into(),
        Refusal::HubViews => Error::Pattern(NameError::HubViews).into(),
        Refusal::Draining => state::draining(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::history::TooManyMetrics;
    use actix_web::ResponseError;

    #[test]
    fn every_refusal_of_the_hub_has_its_row() {
        use Error::{NotRenewed, Refused};
        let check = |error: Error, status: u16, code: &str| {
            let problem = Problem::from(error.clone());
            let got = (problem.status_code().as_u16(), problem.code().as_str());
            assert_eq!(got, (status, code), "{error:?}");
        };
        check(Error::Busy, 503, "unavailable");
        check(
            AppendError::from(TooManyMetrics).into(),
            429,
            "rate_limited",
        );
        check(AppendError::KeyReused.into(), 400, "invalid_request");
        check(
            AppendError::Failed("full".into()).into(),
            503,
            "unavailable",
        );
        check(NameError::Patterns.into(), 400, "invalid_request");
        check(Refused(Refusal::ConnectionLimit), 429, "connection_limit");
        check(Refused(Refusal::HubFull), 429, "connection_limit");
        check(
            Refused(Refusal::UnknownToken),
            410,
            "reconnect_token_invalid",
        );
        check(Refused(Refusal::UnknownTicket), 401, "unauthenticated");
        check(Refused(Refusal::TooManyPatterns), 400, "invalid_request");
        check(Refused(Refusal::Draining), 503, "unavailable");
        for stranger in [RefreshError::UnknownSession, RefreshError::OtherUser] {
            check(NotRenewed(stranger), 410, "reconnect_token_invalid");
        }
        check(
            NotRenewed(RefreshError::ExpiresEarlier),
            400,
            "invalid_request",
        );
    }
}
