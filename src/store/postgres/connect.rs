//! A connection, and what goes wrong with it in words that say what to do.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::time::timeout;

use crate::store::error::{OpenError, ReadError};

/// How long the database may take to answer at all.
const CONNECTS_WITHIN: Duration = Duration::from_secs(3);
/// How long one transaction or one read may take. Who waits for it waits 5 s.
pub(super) const ANSWERS_WITHIN: Duration = Duration::from_secs(4);

/// What the database is told at the start of each connection: to give up before we do, not to hold locks
/// for a hub that hangs, to notice within half a minute one whose machine is gone, and to have on the disk
/// what it says it has.
const SESSION: &str = "
    SET statement_timeout = 3500;
    SET lock_timeout = 3000;
    SET idle_in_transaction_session_timeout = 10000;
    SET tcp_keepalives_idle = 10;
    SET tcp_keepalives_interval = 5;
    SET tcp_keepalives_count = 3;
    SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') = 'off'";

/// Where the database is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    options: PgConnectOptions,
}

impl Place {
    /// # Errors
    /// The URL is none.
    pub fn of(url: &str) -> Result<Self, OpenError> {
        // The URL itself holds a password and is in no error.
        let options = PgConnectOptions::from_str(url).map_err(|error| OpenError::Unusable {
            database: "the database".to_owned(),
            reason: error.to_string(),
        })?;
        let options = options.application_name("statshub");
        Ok(Self {
            options: options.disable_statement_logging(),
        })
    }

    /// For people: without a user or a password.
    pub fn name(&self) -> String {
        let options = &self.options;
        let database = options.get_database().unwrap_or(options.get_username());
        match options.get_socket() {
            Some(folder) => format!("the database {database} in {}", folder.display()),
            None => format!(
                "the database {database} on {}:{}",
                options.get_host(),
                options.get_port()
            ),
        }
    }

    pub fn unusable(&self, reason: impl Into<String>) -> OpenError {
        OpenError::Unusable {
            database: self.name(),
            reason: reason.into(),
        }
    }

    /// A new connection.
    pub async fn connect(&self) -> sqlx::Result<PgConnection> {
        let connecting = async {
            let mut connection = PgConnection::connect_with(&self.options).await?;
            sqlx::raw_sql(SESSION).execute(&mut connection).await?;
            Ok(connection)
        };
        in_time(CONNECTS_WITHIN, connecting).await
    }
}

/// The answer, or an error if it does not come in time. What was asked for goes on in the database.
pub(super) async fn in_time<T>(
    limit: Duration,
    answer: impl Future<Output = sqlx::Result<T>>,
) -> sqlx::Result<T> {
    let late = || sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    timeout(limit, answer).await.map_err(|_| late())?
}

/// In words that say what to do. Publishers and operators read them, so who logs in as whom, and where, is
/// not in them.
pub(super) fn reason(error: &sqlx::Error) -> String {
    let sqlx::Error::Database(told) = error else {
        return match error {
            sqlx::Error::Io(error) => format!("the database does not answer ({})", error.kind()),
            sqlx::Error::Tls(error) => format!("no TLS with the database ({error})"),
            error => error.to_string(),
        };
    };
    let code = told.code().unwrap_or_default();
    let hint = match &*code {
        "53100" => "the database's disk is full",
        "25006" => "the database may only be read, as a standby may",
        "42501" => "the database's user may not do that",
        "3D000" => "there is no such database",
        "53300" => "the database has too many connections",
        "57014" => "the database took too long",
        "55P03" => "somebody else holds a lock in the database for too long",
        code if code.starts_with("28") => return "the database refuses the login".to_owned(),
        code if code.starts_with("57P") => "the database stops or starts",
        code if code.starts_with("08") => "the connection to the database broke",
        _ => "the database refuses",
    };
    format!("{hint} ({})", told.message())
}

/// What is asked for may be answered another time.
pub(super) fn unread(error: &sqlx::Error) -> ReadError {
    let is_away = match error {
        sqlx::Error::Database(told) => {
            let code = told.code().unwrap_or_default();
            let classes = ["08", "25", "28", "53", "55", "57"];
            classes.iter().any(|class| code.starts_with(class))
        }
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) => true,
        _ => false,
    };
    match is_away {
        true => ReadError::Away(reason(error)),
        false => ReadError::Failed(reason(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_named_without_who_comes() {
        let name = |url: &str| Place::of(url).unwrap().name();
        let url = "postgres://ada:hunter2@db.example.org:5433/platform?sslmode=require";
        assert_eq!(name(url), "the database platform on db.example.org:5433");
        let socket = "postgres://ada:hunter2@localhost/hub?host=/run/pg";
        assert_eq!(name(socket), "the database hub in /run/pg");
        let error = Place::of("postgres://ada:hunter2@h:port/db").unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
