//! What there was: messages, buckets, files, and what has become of alerts.

use serde_json::json;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::operation::{Described, Draft, Who, in_path};
use super::{PAST, schemas};
use crate::http::alerts::{self, GoneOn, Listed, Noted};
use crate::http::code::Code::{InvalidRequest, NotFound};
use crate::http::history::{Bucketed, ExportWanted, Page, Wanted};
use crate::http::routes::BASE;

pub(super) fn operations() -> Vec<Described> {
    let message = json!({
        "messageId": "1769860800000-4096", "timestamp": "2026-01-31T12:00:00.000Z", "metric": "orders.today",
        "priority": "normal", "value": {"count": 12},
    });
    let history = get("history", "history", "Read messages page by page, or their numbers in buckets of time")
        .says(
            "A caller sees messages to everybody and those to himself. With `step` the answer has `buckets` of one \
             metric, or a `series` for each metric of a pattern or list; at most 10,000 buckets a series and 100,000 in all.",
        )
        .query::<Wanted>()
        .gives_one_of::<Page<'_>, Bucketed>(
            200,
            "A page of messages, or buckets.",
            json!({"messages": [message], "nextCursor": null}),
        );
    let text = || ObjectBuilder::new().schema_type(Type::String).build();
    let list = ObjectBuilder::new().schema_type(Type::Array).build();
    let export = get("export", "export", "Read all messages of a time as a file, the oldest first")
        .says(
            "Streamed, of any size, with what was published before the request. One that could not be finished ends \
             without its last chunk.",
        )
        .query::<ExportWanted>()
        .gives_plain(
            200,
            "The file.",
            &[
                ("text/csv; charset=utf-8; header=present", text()),
                ("application/json", list),
                ("application/x-ndjson", text()),
            ],
        );
    let alerts = get("alerts", "listAlerts", "Read alerts, the newest first")
        .query::<alerts::Page>()
        .gives::<Listed>(
            200,
            "A page of alerts.",
            json!({"alerts": [alert("open")], "nextCursor": null}),
        );
    let acknowledge = step(
        "acknowledge",
        "acknowledgeAlert",
        "Say that somebody sees to an alert",
        "acknowledged",
    );
    let resolve = step(
        "resolve",
        "resolveAlert",
        "Say that an alert is over",
        "resolved",
    );
    [history, export, alerts, acknowledge, resolve]
        .map(|draft| draft.done(PAST))
        .into()
}

fn alert(state: &str) -> serde_json::Value {
    json!({
        "severity": "high", "message": "Disk almost full", "alertId": "1769860800000-4096",
        "raisedAt": "2026-01-31T12:00:00.000Z", "state": state, "acknowledgedBy": null, "acknowledgedAt": null,
        "acknowledgedNote": null, "resolvedBy": null, "resolvedAt": null, "resolvedNote": null,
    })
}

fn step(verb: &str, id: &str, summary: &str, state: &str) -> Draft {
    Draft::post(format!("{BASE}/alerts/{{id}}/{verb}"), id, summary)
        .says(
            "Told to every connection as a `system_alert`. Doing the same again changes nothing; an alert never goes \
             back, so acknowledging a resolved one gets 400.",
        )
        .by(Who::Admin)
        .parameter(in_path("id", "The `messageId` that the alert was published with.", schemas::message_id()))
        .optional_body::<Noted>(json!({"note": "I am on it"}))
        .gives::<GoneOn>(200, "The alert as it is now.", json!({"alert": alert(state), "messageId": "1769860860000-4096"}))
        .refuses(&[InvalidRequest, NotFound])
}

fn get(path: &str, id: &str, summary: &str) -> Draft {
    Draft::get(format!("{BASE}/{path}"), id, summary).by(Who::Admin)
}
