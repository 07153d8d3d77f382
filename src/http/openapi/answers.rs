//! Answers that are put together where they are made, without a type that says what is in them. Each is
//! held to what a hub really answers by `tests/it/documents`.

// Nobody makes one: they are there for their schemas.
#![allow(dead_code)]

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{schemas, selectors};

/// Messages of each priority.
#[derive(Serialize, ToSchema)]
pub struct ByPriority {
    critical: u64,
    high: u64,
    normal: u64,
    low: u64,
}

/// A session as operators see it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Session)]
pub struct SessionShown {
    #[schema(schema_with = schemas::uuid)]
    connection_id: String,
    #[schema(schema_with = schemas::user_id)]
    user: String,
    #[schema(schema_with = schemas::transport)]
    transport: String,
    #[schema(schema_with = schemas::delivery)]
    state: String,
    #[schema(schema_with = schemas::time)]
    since: String,
    remote_address: String,
    user_agent: String,
    /// Its patterns; `**` alone where it gets everything.
    #[schema(schema_with = selectors::patterns)]
    subscription: Vec<String>,
    /// What waits for it.
    backlog: ByPriority,
    /// Messages.
    sent: u64,
    /// What was not sent and will not be.
    dropped: ByPriority,
    #[schema(schema_with = schemas::time_or_null)]
    last_write: Option<String>,
    /// Of several hubs, the one that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
}

/// An alert with its state behind what was published.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RaisedAlert)]
pub struct AlertShown {
    #[schema(schema_with = schemas::severity)]
    severity: String,
    message: String,
    /// The id of the message that it was published with.
    #[schema(schema_with = schemas::message_id)]
    alert_id: String,
    #[schema(schema_with = schemas::time)]
    raised_at: String,
    #[schema(schema_with = schemas::alert_state)]
    state: String,
    #[schema(required)]
    acknowledged_by: Option<String>,
    #[schema(schema_with = schemas::time_or_null, required)]
    acknowledged_at: Option<String>,
    #[schema(required)]
    acknowledged_note: Option<String>,
    #[schema(required)]
    resolved_by: Option<String>,
    #[schema(schema_with = schemas::time_or_null, required)]
    resolved_at: Option<String>,
    #[schema(required)]
    resolved_note: Option<String>,
    /// And what else the publisher said.
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

/// A page of the audit trail, the newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditPage {
    /// May be fewer than were asked for, or none, while there is a `nextCursor`.
    events: Vec<AuditEvent>,
    /// `null`: there are no more.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// Who did what, and how it ended.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// Its number in the chain.
    id: u64,
    #[schema(schema_with = schemas::time)]
    time: String,
    /// The user, or `null` where nobody was known.
    #[schema(required)]
    actor: Option<String>,
    #[schema(required)]
    role: Option<String>,
    action: String,
    /// What it was done to.
    #[schema(required)]
    target: Option<String>,
    /// The client's address.
    #[schema(required)]
    remote: Option<String>,
    /// `ok`, or the code of the refusal.
    outcome: String,
    #[schema(required)]
    request_id: Option<String>,
    /// More, where there is more to say.
    #[schema(schema_with = schemas::any)]
    details: Option<Value>,
}

/// What may ail, each with its numbers. What else is in them may change.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthChecks {
    hub: Check,
    /// How full it is; `null` where the hub could not be asked.
    #[schema(schema_with = schemas::object_or_null)]
    history: Option<Value>,
    /// Of the process' limit of open files; `null` where it is not known.
    #[schema(required)]
    open_files: Option<Check>,
    keys: Check,
    audit: Check,
    /// Of the hub's certificate; `null` where clients come over plain HTTP.
    #[schema(required)]
    tls: Option<Check>,
    store: Check,
    /// `null` where the hub stands alone.
    #[schema(required)]
    redis: Option<Check>,
    /// `null` where several hubs have no database in common.
    #[schema(required)]
    scribe: Option<Check>,
    /// Alert rules and notifications.
    rules: Check,
    sources: Vec<SourceCheck>,
    /// Raw events since the start: taken, of no aggregate, refused, waiting; and messages that are in no aggregate.
    #[schema(value_type = Object)]
    events: Value,
    aggregates: Vec<AggregateCheck>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = HealthCheck)]
pub struct Check {
    ok: bool,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

/// A metric that the hub reads itself.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceCheck {
    #[schema(schema_with = schemas::metric_name)]
    metric: String,
    /// `host`, `hub`, `sql`, `http`, `prometheus`, `redis`, `postgres_notify` or `postgres_outbox`.
    kind: String,
    #[schema(schema_with = schemas::time_or_null)]
    last_success: Option<String>,
    #[schema(required)]
    last_error: Option<String>,
    #[schema(schema_with = schemas::time_or_null)]
    last_error_at: Option<String>,
    #[schema(required)]
    duration_ms: Option<u64>,
    polls: u64,
    failures: u64,
    /// Times a read was due while the one before it still ran.
    skipped: u64,
    /// What clients see is old.
    stale: bool,
    /// Of one that is told when there is something: whether it can be.
    connected: Option<bool>,
    /// Of an outbox: rows published.
    rows: Option<u64>,
    /// Of an outbox: rows that can never be published and were put aside.
    rows_aside: Option<u64>,
    /// Another hub reads it at present.
    elsewhere: Option<bool>,
}

/// A metric that the hub sums up.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AggregateCheck {
    #[schema(schema_with = schemas::metric_name)]
    metric: String,
    #[schema(schema_with = schemas::metric_name)]
    from: String,
    counted: u64,
    /// Came after their grace.
    late: u64,
    /// Have a time stamp from the future.
    ahead: u64,
    without_value: u64,
    /// Are in the group `other`, as there are too many groups.
    ungrouped: u64,
    results: u64,
    failures: u64,
    #[schema(schema_with = schemas::time_or_null)]
    last_result: Option<String>,
    #[schema(required)]
    last_error: Option<String>,
    /// How long after it was due the last result was published.
    lag_ms: u64,
    /// There was no result for longer than there should be none.
    stale: bool,
    /// The last result could not be published.
    failing: bool,
    /// Another hub tells the results at present.
    elsewhere: Option<bool>,
}
