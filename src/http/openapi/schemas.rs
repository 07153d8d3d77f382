//! Schemas of the values that many types have a field of, with the limits that the code has.

use serde::Serialize;
use serde_json::json;
use utoipa::openapi::schema::{KnownFormat, Object, ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{Array, RefOr, Schema};

use crate::domain::alert::{AlertState, Severity};
use crate::domain::hub::Delivery;
use crate::domain::message::{Priority, Retain, Transport};
use crate::domain::pattern::{NAME_BYTES_MAX, PATTERNS_MAX};
use crate::domain::series::Aggregate;
use crate::hub::Promise;
use crate::http::alerts::NOTE_CHARS_MAX;
use crate::http::history::{PAGE_DEFAULT, PAGE_MAX};
use crate::http::idempotency::KEY_BYTES_MAX;
use crate::http::operators::{PAGE_SESSIONS_DEFAULT, TOKEN_ID_BYTES_MAX};

/// Segments with dots between them. That there are at most 16 no expression says legibly.
const NAME: &str = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$";
const PATTERN: &str = r"^((\*|[A-Za-z0-9_-]+)(\.(\*|[A-Za-z0-9_-]+))*(\.\*\*)?|\*\*)$";
const MESSAGE_ID: &str = "^[0-9]{1,13}-[0-9]{1,20}$";
const VISIBLE: &str = "^[!-~]+$";

/// Any JSON.
pub fn any() -> Object {
    ObjectBuilder::new().schema_type(SchemaType::any()).build()
}

pub fn yes() -> Object {
    boolean(true)
}

pub fn no() -> Object {
    boolean(false)
}

fn boolean(value: bool) -> Object {
    let object = ObjectBuilder::new().schema_type(Type::Boolean);
    object.enum_values(Some([json!(value)])).build()
}

pub fn text(description: &str) -> ObjectBuilder {
    let object = ObjectBuilder::new().schema_type(Type::String);
    object.description(Some(description))
}

/// `description` should name the unit.
pub fn number(description: &str, minimum: usize, maximum: Option<usize>) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some(description))
        .minimum(Some(minimum))
        .maximum(maximum)
        .build()
}

/// With `null` among what it may be.
pub fn or_null(object: Object) -> Object {
    let mut object = object;
    if let SchemaType::Type(one) = object.schema_type {
        object.schema_type = SchemaType::Array(vec![one, Type::Null]);
    }
    if let Some(values) = &mut object.enum_values {
        values.push(json!(null));
    }
    object
}

fn one_of<T: Serialize>(description: &str, values: impl IntoIterator<Item = T>) -> Object {
    let values = values.into_iter().map(|value| json!(value));
    text(description).enum_values(Some(values)).build()
}

pub fn time() -> Object {
    let object = text("RFC 3339, in UTC, with milliseconds.");
    let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
    object.format(Some(format)).build()
}

pub fn time_or_null() -> Object {
    or_null(time())
}

pub fn uuid() -> Object {
    let format = SchemaFormat::Custom("uuid".to_owned());
    let object = ObjectBuilder::new().schema_type(Type::String);
    object.format(Some(format)).build()
}

pub fn message_id() -> Object {
    let text = text("`<milliseconds>-<sequence>`; order by the two numbers, not as text.");
    text.pattern(Some(MESSAGE_ID)).build()
}

pub fn message_id_or_null() -> Object {
    or_null(message_id())
}

pub fn metric_name() -> Object {
    let text = text("Dot-separated segments of `A-Z a-z 0-9 _ -`, at most 16.");
    name(text, NAME)
}

pub fn pattern() -> Object {
    let text = text(
        "A metric's name, in which `*` stands for one whole segment and `**` at the end for any number of them.",
    );
    name(text, PATTERN)
}

fn name(text: ObjectBuilder, pattern: &str) -> Object {
    let text = text.min_length(Some(1)).max_length(Some(NAME_BYTES_MAX));
    text.pattern(Some(pattern)).build()
}

/// At most as many as one subscription holds.
pub fn patterns() -> Array {
    let mut patterns = Array::new(RefOr::T(Schema::Object(pattern())));
    patterns.max_items = Some(PATTERNS_MAX);
    patterns
}

/// Patterns in one text.
pub fn pattern_list() -> Object {
    let text = text("Patterns, separated by commas; at most 100. All metrics where there are none.");
    text.examples([json!("users.*,orders.today")]).build()
}

pub fn user_id() -> Object {
    let text = text("1 to 128 bytes without control characters.");
    text.min_length(Some(1)).max_length(Some(128)).build()
}

pub fn user_id_or_null() -> Object {
    or_null(user_id())
}

pub fn priority() -> Object {
    let all = Priority::ALL.into_iter().rev();
    one_of("What is kept when not all can be; `critical` is kept longest.", all)
}

pub fn retain() -> Object {
    let all = [Retain::All, Retain::Latest];
    one_of("What a backlog keeps of the metric: every update, or the latest.", all)
}

pub fn severity() -> Object {
    one_of("How bad it is.", Severity::ALL.into_iter().rev())
}

pub fn alert_state() -> Object {
    one_of("What has become of it.", AlertState::ALL)
}

pub fn transport() -> Object {
    let all = [Transport::Sse, Transport::Websocket];
    one_of("The transport a connection came by.", all)
}

pub fn delivery() -> Object {
    let all = [Delivery::Live, Delivery::Lagging, Delivery::Away];
    one_of("How a session gets its messages: as they come, when it reads again, or when it is back.", all)
}

pub fn durability() -> Object {
    let all = [Promise::Memory, Promise::Process, Promise::Power, Promise::Replicated];
    one_of(
        "What the answer is worth: gone when the process ends, survives the process, survives a power cut, is in \
         several servers' memory.",
        all,
    )
}

pub fn aggregate() -> Object {
    one_of("How a bucket becomes one number.", Aggregate::ALL.map(Aggregate::as_str))
}

/// Of one message, where it should be in the log once however often it is sent.
pub fn key() -> Object {
    let text = text("1 to 255 visible ASCII characters; with the same key the same message is taken once.");
    let text = text.min_length(Some(1)).max_length(Some(KEY_BYTES_MAX));
    text.pattern(Some(VISIBLE)).build()
}

pub fn page_limit() -> Object {
    let mut limit = number("How many at most.", 1, Some(PAGE_MAX));
    limit.default = Some(json!(PAGE_DEFAULT));
    limit
}

pub fn cursor() -> Object {
    text("`nextCursor` of the page before, with the same other parameters.").build()
}

pub fn moment() -> Object {
    let text = text("RFC 3339, where `+` is written `%2B`, or milliseconds since 1970.");
    text.examples([json!("2026-01-31T12:00:00Z"), json!("1769860800000")]).build()
}

pub fn priority_or_null() -> Object {
    or_null(priority())
}

pub fn retain_or_null() -> Object {
    or_null(retain())
}

pub fn transport_or_null() -> Object {
    or_null(transport())
}

pub fn key_or_null() -> Object {
    or_null(key())
}

pub fn uuid_or_null() -> Object {
    or_null(uuid())
}

pub fn object_or_null() -> Object {
    or_null(ObjectBuilder::new().schema_type(Type::Object).build())
}

pub fn message_ids() -> Array {
    Array::new(RefOr::T(Schema::Object(message_id())))
}

pub fn order() -> Object {
    let mut order = one_of("The newest or the oldest first.", ["desc", "asc"]);
    order.default = Some(json!("desc"));
    order
}

pub fn step() -> Object {
    let text = text("A length with its unit (`ms`, `s`, `m`, `h`, `d`), or milliseconds.");
    let text = text.pattern(Some("^[0-9]+(ms|s|m|h|d)?$"));
    text.examples([json!("1m"), json!("500ms")]).build()
}

pub fn field() -> Object {
    let text = text("A JSON Pointer (`/a/b`), or a name (`total` is `/total`).");
    let text = text.min_length(Some(1)).max_length(Some(1024));
    text.examples([json!("/total")]).build()
}

pub fn export_format() -> Object {
    one_of("The form of the file.", ["csv", "json", "ndjson"])
}

pub fn offset() -> Object {
    number("How many to leave out at the beginning.", 0, None)
}

pub fn session_limit() -> Object {
    let mut limit = number("How many at most; more are taken for the largest.", 0, None);
    limit.default = Some(json!(PAGE_SESSIONS_DEFAULT));
    limit
}

pub fn note() -> Object {
    let text = text("Not blank.").min_length(Some(1));
    or_null(text.max_length(Some(NOTE_CHARS_MAX)).build())
}

pub fn token_id_or_null() -> Object {
    let text = text("The `jti` of a token, in bytes.").min_length(Some(1));
    or_null(text.max_length(Some(TOKEN_ID_BYTES_MAX)).build())
}

pub fn issued_before() -> Object {
    let kinds = vec![Type::String, Type::Integer, Type::Null];
    ObjectBuilder::new()
        .schema_type(SchemaType::Array(kinds))
        .description(Some("RFC 3339, or seconds or milliseconds since 1970."))
        .build()
}
