//! Messages as the record has them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::record::{Event, Opened, Piece};
use crate::support::id::Id;

/// When a hub that stops wants its client back.
pub fn reconnect_in(message: &Value) -> Duration {
    let time = message["data"]["reconnectInMs"]
        .as_u64()
        .unwrap_or_default();
    Duration::from_millis(time)
}

/// What a message means to the record.
pub fn read(message: &Value) -> Event {
    let data = &message["data"];
    let count = |name: &str| data[name].as_u64().unwrap_or_default();
    let (dropped, conflated) = (
        count("droppedMessagesCount"),
        count("conflatedMessagesCount"),
    );
    let kind = message["type"].as_str().unwrap_or_default();
    let published = |metric: Option<&str>, value: &Value| {
        let (id, metric) = (Id::of(&message["messageId"]), metric.map(str::to_owned));
        match Piece::read(value) {
            Some(piece) => Event::Message { id, metric, piece },
            None => Event::Other(message.to_string()),
        }
    };
    match kind {
        "connection_established" | "reconnection_successful" => Event::Opened(Opened {
            session: data["reconnectToken"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            resumed: data["resumed"]
                .as_bool()
                .unwrap_or(kind == "reconnection_successful"),
            replayed: count("replayedMessagesCount"),
            dropped,
            conflated,
        }),
        "initial_metrics" => Event::Snapshot {
            id: Id::of(&message["messageId"]),
            values: serde_json::from_value(data.clone()).unwrap_or_else(|_| BTreeMap::new()),
        },
        "metrics_update" => match data.as_object().and_then(|data| data.iter().next()) {
            Some((metric, value)) => published(Some(metric), value),
            None => Event::Other(message.to_string()),
        },
        "system_alert" => published(None, data),
        "messages_dropped" => Event::Dropped { dropped, conflated },
        "connection_replaced" => Event::Replaced,
        "server_shutdown" => Event::Shutdown,
        "error" => Event::Other(message.to_string()),
        kind => Event::Other(kind.to_owned()),
    }
}
