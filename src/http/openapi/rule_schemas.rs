//! Values of rules and silences.

use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::schemas::{metric_name, one_of, or_null, pattern, text};
use crate::domain::rule::{Cause, Stage};
use crate::http::silences::WHY_CHARS_MAX;

pub fn rule_stage() -> Object {
    let all = [
        Stage::Pending,
        Stage::Firing,
        Stage::Acknowledged,
        Stage::Resolved,
    ];
    one_of(
        "How far it has come; `resolved` where somebody has said so while it still holds.",
        all,
    )
}

pub fn rule_cause() -> Object {
    let all = [Cause::Condition, Cause::Anomaly, Cause::Absence];
    one_of("Why it fires.", all)
}

pub fn rule_name() -> Object {
    let text = text("1 to 64 of `A-Z a-z 0-9 _ . -`.").pattern(Some("^[A-Za-z0-9_.-]{1,64}$"));
    text.build()
}

pub fn rule_name_or_null() -> Object {
    or_null(rule_name())
}

pub fn metric_name_or_null() -> Object {
    or_null(metric_name())
}

pub fn pattern_or_null() -> Object {
    or_null(pattern())
}

pub fn why() -> Object {
    let text = text("Why, for people; not blank.").pattern(Some(r"\S"));
    text.max_length(Some(WHY_CHARS_MAX)).build()
}

pub fn object() -> Object {
    ObjectBuilder::new().schema_type(Type::Object).build()
}
