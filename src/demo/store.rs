//! The demo's database: SQLite in WAL mode, so that reading never waits for writing.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Executor, SqliteConnection};

use super::platform::Happened;

/// The one writer.
pub struct Store(SqliteConnection);

impl Store {
    /// Makes the file and its tables.
    pub async fn create(path: &Path) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // Nothing here must outlive a power cut.
            .synchronous(SqliteSynchronous::Off)
            .busy_timeout(Duration::from_secs(5))
            .disable_statement_logging();
        let mut connection = SqliteConnection::connect_with(&options).await?;
        connection.execute(include_str!("schema.sql")).await?;
        Ok(Self(connection))
    }

    /// Writes all steps or none. One statement a table and step, its rows handed over as one JSON array.
    pub async fn write(&mut self, steps: &[Happened]) -> anyhow::Result<()> {
        let mut transaction = self.0.begin().await?;
        for step in steps {
            for (statement, rows) in [
                (SCHOOLS, json(&step.schools)?),
                (USERS, json(&step.users)?),
                (CONTENT, json(&step.content)?),
                (SESSIONS, json(&step.sessions)?),
                (ENDINGS, json(&step.endings)?),
                (CREDITS, json(&step.credits)?),
            ] {
                if let Some(rows) = rows {
                    let write = sqlx::query(statement).bind(rows);
                    write.execute(&mut *transaction).await?;
                }
            }
        }
        transaction.commit().await?;
        Ok(())
    }

    pub async fn close(self) {
        if let Err(error) = self.0.close().await {
            log::debug!("closing the demo's database: {error}");
        }
    }
}

fn json<T: Serialize>(rows: &[T]) -> serde_json::Result<Option<String>> {
    if rows.is_empty() {
        return Ok(None);
    }
    serde_json::to_string(rows).map(Some)
}

const SCHOOLS: &str = "INSERT INTO schools (id, name, plan_id, created_at)
    SELECT value ->> 'id', value ->> 'name', value ->> 'plan', value ->> 'at' FROM json_each(?)";
const USERS: &str = "INSERT INTO users (id, school_id, role, created_at)
    SELECT value ->> 'id', value ->> 'school', value ->> 'role', value ->> 'at' FROM json_each(?)";
const CONTENT: &str = "INSERT INTO content (id, author_id, type, subject, created_at)
    SELECT value ->> 'id', value ->> 'author', value ->> 'type', value ->> 'subject', value ->> 'at'
    FROM json_each(?)";
const SESSIONS: &str = "INSERT INTO chat_sessions (id, user_id, content_id, started_at)
    SELECT value ->> 'id', value ->> 'user', value ->> 'content', value ->> 'at' FROM json_each(?)";
const ENDINGS: &str = "UPDATE chat_sessions
    SET ended_at = ending.value ->> 'at', messages = ending.value ->> 'messages'
    FROM json_each(?) AS ending WHERE chat_sessions.id = ending.value ->> 'session'";
const CREDITS: &str = "INSERT INTO credit_transactions (school_id, type, amount, created_at)
    SELECT value ->> 'school', value ->> 'type', value ->> 'amount', value ->> 'at'
    FROM json_each(?)";
