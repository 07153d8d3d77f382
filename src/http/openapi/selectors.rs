//! Schemas of what a subscription is made of.

use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, Object, ObjectBuilder, OneOf, OneOfBuilder, Type,
};
use utoipa::openapi::{Array, RefOr, Schema};

use super::schemas::{PATTERN, one_of, pattern, pattern_list, said, text};
use crate::domain::expression::TEXT_BYTES_MAX;
use crate::domain::pattern::PATTERNS_MAX;
use crate::domain::view::FIELDS_MAX;

/// At most as many as one subscription holds.
pub fn patterns() -> Array {
    let mut patterns = Array::new(RefOr::T(Schema::OneOf(selector())));
    patterns.max_items = Some(PATTERNS_MAX);
    patterns
}

/// A pattern, or an object that asks for a view.
fn selector() -> OneOf {
    let pointers = ArrayBuilder::new()
        .items(text("A JSON Pointer (RFC 6901).").build())
        .min_items(Some(1))
        .max_items(Some(FIELDS_MAX))
        .description(Some("Only these parts of the value."));
    let condition = text("Only values of which this holds, in the Common Expression Language.")
        .max_length(Some(TEXT_BYTES_MAX));
    let rate = ObjectBuilder::new()
        .schema_type(Type::Number)
        .description(Some("At most so many updates of each metric a second."))
        .minimum(Some(0.01))
        .maximum(Some(10));
    let view = ObjectBuilder::new()
        .description(Some("The metric as a view shows it."))
        .property("metric", pattern())
        .property("fields", pointers)
        .property("where", condition)
        .property("maxHz", rate)
        .required("metric")
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
    OneOfBuilder::new().item(pattern()).item(view).build()
}

/// As [`pattern_list`], in which empty names say nothing: a page may fill in a template. Or JSON.
pub fn selector_list() -> Object {
    let mut list = said(
        pattern_list(),
        "Patterns of metrics, separated by commas; or JSON as in a subscription, a list or one object.",
    );
    list.pattern = Some(format!(r"^(({PATTERN})?(,({PATTERN})?)*|[\[{{].*)$"));
    list
}

/// Patches of which kind.
pub fn delta() -> Object {
    one_of("JSON Merge Patch, RFC 7396.", ["merge-patch"])
}
