//! What the hub tells by itself: rules, silences, notifications.

// The types are there for their schemas.
#![allow(dead_code)]

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::HttpMethod;

use super::operation::{Described, Draft, Who, in_path};
use super::{ALERTING, rule_schemas, schemas};
use crate::http::code::Code::{InvalidRequest, NotFound, Unavailable};
use crate::http::notifications::{Changed, Listed as Notifications};
use crate::http::routes::BASE;
use crate::http::rule_test::{Tested, Wanted as Test};
use crate::http::rules::{Deleted, Listed as Rules, RuleView};
use crate::http::silences::{Deleted as SilenceGone, Listed as Silences, View, Wanted as Silence};

/// A rule in words; times as in `90s`, `5m`, `1h 30m`, `1d`. At least one of `when`, `absentFor` and `anomaly` is
/// wanted.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Rule)]
pub struct RuleWritten {
    /// As in the path, where it is there.
    name: Option<String>,
    #[schema(schema_with = schemas::pattern)]
    on: String,
    #[schema(schema_with = schemas::severity)]
    severity: String,
    /// What should not be, in the Common Expression Language over `data` and `metric`.
    when: Option<String>,
    /// When it is over; as soon as `when` no longer holds where there is none.
    resolve: Option<String>,
    /// How long it must hold without a break before it fires.
    #[serde(rename = "for")]
    hold: Option<String>,
    /// How long it must be over without a break before it is resolved.
    keep_firing_for: Option<String>,
    /// Fires when there was no update for that long.
    absent_for: Option<String>,
    anomaly: Option<AnomalyWritten>,
    /// Told again so often, while nobody has acknowledged it.
    repeat_every: Option<String>,
    /// With `{expression}` for values.
    message: Option<String>,
}

/// Deviation from the median of the same time of earlier seasons.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RuleAnomaly)]
pub struct AnomalyWritten {
    /// A JSON Pointer to the number; the value itself where it is empty.
    field: Option<String>,
    /// In scales: 1.4826 times the median absolute deviation.
    deviation: f64,
    season: String,
    /// How many are looked back, 7 unless said otherwise.
    seasons: Option<usize>,
    scale_min: Option<f64>,
}

fn rule() -> Value {
    json!({
        "name": "high_error_rate", "on": "system", "severity": "critical", "when": "data.errorRate > 0.05",
        "resolve": "data.errorRate < 0.03", "for": "2m", "message": "Error rate is {data.errorRate}",
    })
}

fn state() -> Value {
    json!({
        "rule": rule(), "source": "live", "changedBy": "ada", "changedAt": "2026-01-31T12:00:00.000Z", "metrics": 1,
        "lastError": null,
        "alerts": [{
            "metric": "system", "state": "firing", "reason": "condition", "since": "2026-01-31T12:00:00.000Z",
            "overSince": null, "alertId": "1769860920000-0", "acknowledgedBy": null, "silenced": false,
        }],
    })
}

pub(super) fn operations() -> Vec<Described> {
    [rules(), silences(), notifications()]
        .into_iter()
        .flatten()
        .map(|draft| draft.done(ALERTING))
        .collect()
}

fn rules() -> Vec<Draft> {
    let name = || in_path("name", "The rule's name.", rule_schemas::rule_name());
    let path = format!("{BASE}/rules/{{name}}");
    vec![
        Draft::get(format!("{BASE}/rules"), "listRules", "Read the alert rules, and where they hold")
            .by(Who::Admin)
            .gives::<Rules>(200, "All rules.", json!({"rules": [state()], "broken": []})),
        Draft::get(path.clone(), "getRule", "Read one alert rule")
            .by(Who::Admin)
            .parameter(name())
            .gives::<RuleView>(200, "The rule.", state())
            .refuses(&[NotFound]),
        Draft::new(HttpMethod::Put, path.clone(), "setRule", "Make or change an alert rule")
            .says(
                "It holds at once, at all hubs, and over restarts. What is wrong is told with its key in `details.path`, \
                 in an expression also with `details.line` and `details.column`. A rule of the file gets 400.",
            )
            .by(Who::Admin)
            .parameter(name())
            .body::<RuleWritten>(rule())
            .gives::<RuleView>(200, "The rule as it is now.", state())
            .refuses(&[NotFound, Unavailable]),
        Draft::new(HttpMethod::Delete, path, "deleteRule", "Delete an alert rule")
            .says("Its alerts are resolved. A rule of the file gets 400.")
            .by(Who::Admin)
            .parameter(name())
            .gives::<Deleted>(200, "It is gone.", json!({"name": "high_error_rate"}))
            .refuses(&[InvalidRequest, NotFound]),
        Draft::post(format!("{BASE}/rules/test"), "testRule", "Try an alert rule on a value")
            .says("On the metric's newest value, or on one that is given. Changes nothing.")
            .by(Who::Admin)
            .body::<Test>(json!({"rule": rule(), "data": {"errorRate": 0.07}}))
            .gives::<Tested>(
                200,
                "What the rule says of it.",
                json!({
                    "metric": "system", "data": {"errorRate": 0.07}, "when": {"result": true, "error": null},
                    "resolve": {"result": false, "error": null}, "holds": true, "message": "Error rate is 0.07",
                    "values": {"data.errorRate": 0.07},
                }),
            )
            .refuses(&[NotFound]),
    ]
}

fn silences() -> Vec<Draft> {
    let silence = json!({
        "id": "9f1c2f1e-6f0b-4b8e-9a53-6d7a3c0c8a11", "alert": "high_error_rate", "metric": null,
        "from": "2026-01-31T12:00:00.000Z", "until": "2026-01-31T14:00:00.000Z", "by": "ada", "why": "Upgrade",
        "active": true,
    });
    let wanted =
        json!({"alert": "high_error_rate", "until": "2026-01-31T14:00:00.000Z", "why": "Upgrade"});
    vec![
        Draft::get(format!("{BASE}/silences"), "listSilences", "Read the silences that are not over")
            .by(Who::Admin)
            .gives::<Silences>(200, "All silences.", json!({"silences": [silence]})),
        Draft::post(format!("{BASE}/silences"), "addSilence", "Hold alerts of rules back for a time")
            .says(
                "What would begin to fire meanwhile is told at the end, where it still holds. At least one of `alert` \
                 and `metric` is wanted.",
            )
            .by(Who::Admin)
            .body::<Silence>(wanted)
            .gives::<View>(200, "The silence.", silence)
            .refuses(&[Unavailable]),
        Draft::new(
            HttpMethod::Delete,
            format!("{BASE}/silences/{{id}}"),
            "deleteSilence",
            "End a silence",
        )
        .by(Who::Admin)
        .parameter(in_path("id", "The silence's id.", schemas::uuid()))
        .gives::<SilenceGone>(200, "It is gone.", json!({"id": "9f1c2f1e-6f0b-4b8e-9a53-6d7a3c0c8a11"}))
        .refuses(&[NotFound]),
    ]
}

fn notifications() -> Vec<Draft> {
    let notification = json!({
        "id": "msg_5f0c8a1b2d3e4f5061728394a5b6c7d8", "webhook": "pager", "event": "firing", "alert": "high_error_rate",
        "metric": "system", "status": "dead", "attempts": 12, "createdAt": "2026-01-31T12:02:00.000Z", "dueAt": null,
        "doneAt": "2026-01-31T23:00:00.000Z", "lastError": "https://pager.example.org answers 500",
    });
    let id = || {
        in_path(
            "id",
            "The notification's id.",
            schemas::text("`msg_` and 32 digits.").build(),
        )
    };
    let changed = json!({"id": "msg_5f0c8a1b2d3e4f5061728394a5b6c7d8"});
    vec![
        Draft::get(
            format!("{BASE}/notifications"),
            "listNotifications",
            "Read what webhooks were sent, and were not",
        )
        .by(Who::Admin)
        .gives::<Notifications>(
            200,
            "At most 1,000 of each kind; of the delivered the last 100.",
            json!({"pending": [], "dead": [notification], "recent": []}),
        ),
        Draft::post(
            format!("{BASE}/notifications/{{id}}/retry"),
            "retryNotification",
            "Try a dead notification again",
        )
        .by(Who::Admin)
        .parameter(id())
        .gives::<Changed>(200, "It is pending.", changed.clone())
        .refuses(&[NotFound]),
        Draft::new(
            HttpMethod::Delete,
            format!("{BASE}/notifications/{{id}}"),
            "dropNotification",
            "Drop a dead notification",
        )
        .by(Who::Admin)
        .parameter(id())
        .gives::<Changed>(200, "It is gone.", changed)
        .refuses(&[NotFound]),
    ]
}
