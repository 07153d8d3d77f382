//! What is told on a channel of PostgreSQL: each notification is an update at once.

use sqlx::postgres::PgConnectOptions;

use super::sql::postgres_options;
use super::state::lock;
use super::told::{Connection, Left, Told};
use super::{Reading, SourceError};
use crate::domain::message::{Draft, Json};
use crate::trace::Context;
use crate::wire::json;

/// One channel.
pub(super) struct Channel {
    options: PgConnectOptions,
    name: String,
}

impl Channel {
    /// # Errors
    /// The URL is none.
    pub fn new(url: &str, name: &str) -> anyhow::Result<Self> {
        Ok(Self {
            options: postgres_options(url)?,
            name: name.to_owned(),
        })
    }

    /// Publishes what is told, for ever.
    pub async fn follow(self, told: Told) {
        let live = async |connection: &mut Connection<'_>| follow(connection).await;
        told.keep_connected(&self.options, &self.name, live).await;
    }
}

async fn follow(connection: &mut Connection<'_>) -> Result<(), Left> {
    connection.told.note(Ok(()));
    loop {
        let Some(notification) = connection.next().await? else {
            connection.check().await?;
            connection.told.note(Ok(()));
            continue;
        };
        publish(connection.told, notification.payload()).await?;
    }
}

/// Waits where the hub has much to do: PostgreSQL keeps what it has to tell meanwhile.
async fn publish(told: &Told, payload: &str) -> Result<(), Left> {
    let reading = Reading {
        draft: Draft {
            metric: told.metric.clone(),
            data: data(payload),
            priority: Some(told.priority),
            user: None,
            retain: None,
        },
        fence: told.right()?,
        trace: Context::default(),
    };
    let sent = told.out.sink.send(reading).await;
    sent.map_err(|_| SourceError::SinkClosed)?;
    lock(&told.record()).told();
    told.note(Ok(()));
    Ok(())
}

/// JSON where it is any, and text where it is not; without a payload `null`.
fn data(payload: &str) -> Json {
    if payload.is_empty() {
        return Json::trusted("null".to_owned());
    }
    json::compact(payload).unwrap_or_else(|_| Json::trusted(serde_json::json!(payload).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_json_or_text() {
        for (payload, expected) in [
            ("{\"a\": [1,\n2]}", r#"{"a":[1,2]}"#),
            ("42", "42"),
            ("an \"order\"\n", r#""an \"order\"\n""#),
            ("[1", r#""[1""#),
            ("", "null"),
        ] {
            assert_eq!(data(payload).as_str(), expected, "{payload}");
        }
    }
}
