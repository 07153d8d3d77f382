//! Schemas of the values that many types have a field of, with the limits that the code has.

use serde::Serialize;
use serde_json::json;
use utoipa::openapi::schema::{
    KnownFormat, Object, ObjectBuilder, OneOfBuilder, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{Array, RefOr, Schema};

use crate::domain::alert::{AlertState, Severity};
use crate::domain::hub::Delivery;
use crate::domain::message::{Priority, Retain, Transport};
use crate::domain::pattern::NAME_BYTES_MAX;
use crate::domain::series::Aggregate;
use crate::http::alerts::NOTE_CHARS_MAX;
use crate::http::history::{PAGE_DEFAULT, PAGE_MAX};
use crate::http::idempotency::KEY_BYTES_MAX;
use crate::http::operators::{PAGE_SESSIONS_DEFAULT, TOKEN_ID_BYTES_MAX};
use crate::hub::Promise;

/// At most 16 segments with dots between them.
const NAME: &str = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){0,15}$";
pub(super) const PATTERN: &str =
    r"((\*|[A-Za-z0-9_-]+)(\.(\*|[A-Za-z0-9_-]+)){0,15}|((\*|[A-Za-z0-9_-]+)\.){0,15}\*\*)";
const MOMENT: &str = r"^([0-9]{1,15}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2}))$";
const NO_CONTROL: &str = r"^[^\u0000-\u001f\u007f-\u009f]+$";
/// Something besides space.
const NOT_BLANK: &str = r"\S";
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

pub fn one_of<T: Serialize>(description: &str, values: impl IntoIterator<Item = T>) -> Object {
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
    name(text, &format!("^{PATTERN}$"))
}

fn name(text: ObjectBuilder, pattern: &str) -> Object {
    let text = text.min_length(Some(1)).max_length(Some(NAME_BYTES_MAX));
    text.pattern(Some(pattern)).build()
}

/// As [`pattern_list`], or nothing.
pub fn optional_pattern_list() -> Object {
    let mut list = pattern_list();
    list.pattern = Some(format!("^({PATTERN}(,{PATTERN}){{0,99}})?$"));
    list
}

/// Patterns in one text.
pub fn pattern_list() -> Object {
    let text = text(
        "Patterns of metrics, separated by commas; at most 100. All metrics where it is not there.",
    );
    let text = text.pattern(Some(format!("^{PATTERN}(,{PATTERN}){{0,99}}$")));
    text.examples([json!("users.*,orders.today")]).build()
}

pub fn user_id() -> Object {
    let text = text("1 to 128 bytes without control characters.");
    let text = text.min_length(Some(1)).max_length(Some(128));
    text.pattern(Some(NO_CONTROL)).build()
}

/// Of a message that is not for everybody.
pub fn receiver_or_null() -> Object {
    or_null(said(
        user_id(),
        "Only this user's connections get it, and only this user sees it later.",
    ))
}

pub(super) fn said(mut object: Object, description: &str) -> Object {
    object.description = Some(description.to_owned());
    object
}

pub fn priority() -> Object {
    let all = Priority::ALL.into_iter().rev();
    one_of(
        "What is kept when not all can be; `critical` is kept longest.",
        all,
    )
}

pub fn retain() -> Object {
    let all = [Retain::All, Retain::Latest];
    one_of(
        "What a backlog keeps of the metric: every update, or the latest.",
        all,
    )
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
    one_of(
        "How a session gets its messages: as they come, when it reads again, or when it is back.",
        all,
    )
}

pub fn durability() -> Object {
    let all = [
        Promise::Memory,
        Promise::Process,
        Promise::Power,
        Promise::Replicated,
    ];
    one_of(
        "What the answer is worth: gone when the process ends, survives the process, survives a power cut, is in \
         several servers' memory.",
        all,
    )
}

pub fn aggregate() -> Object {
    one_of(
        "With `step`: how the numbers of a bucket become one; `avg` unless said otherwise.",
        Aggregate::ALL.map(Aggregate::as_str),
    )
}

/// Of one message, where it should be in the log once however often it is sent.
pub fn key() -> Object {
    let text = text(
        "1 to 255 visible ASCII characters; with the same key the same message is taken once.",
    );
    let text = text.min_length(Some(1)).max_length(Some(KEY_BYTES_MAX));
    text.pattern(Some(VISIBLE)).build()
}

pub fn page_limit() -> Object {
    let mut limit = number("How many at most on a page.", 1, Some(PAGE_MAX));
    limit.default = Some(json!(PAGE_DEFAULT));
    limit
}

pub fn cursor() -> Object {
    let text =
        text("Where the page before ended: its `nextCursor`, with the same other parameters.");
    text.pattern(Some("^[0-9a-f]{32}$")).build()
}

pub fn audit_cursor() -> Object {
    let text = text("Where the page before ended: its `nextCursor`.");
    text.pattern(Some("^[1-9][0-9]{0,17}$")).build()
}

pub fn from() -> Object {
    moment("From this moment on: RFC 3339, where `+` is written `%2B`, or milliseconds since 1970.")
}

pub fn to() -> Object {
    moment("To before this moment, after `from`: RFC 3339, or milliseconds since 1970.")
}

fn moment(description: &str) -> Object {
    let text = text(description).pattern(Some(MOMENT));
    text.examples([json!("2026-01-31T12:00:00Z"), json!("1769860800000")])
        .build()
}

pub fn priority_or_null() -> Object {
    or_null(said(
        priority(),
        "What is kept when not all can be; `normal` unless said otherwise.",
    ))
}

pub fn retain_or_null() -> Object {
    or_null(said(
        retain(),
        "What a backlog keeps of the metric: every update, or the latest. `all` unless said otherwise, here or in the \
         configuration.",
    ))
}

pub fn transport_or_null() -> Object {
    or_null(said(transport(), "`sse` unless said otherwise."))
}

pub fn key_or_null() -> Object {
    or_null(key())
}

pub fn uuid_or_null() -> Object {
    or_null(uuid())
}

pub fn user_id_or_null() -> Object {
    or_null(said(user_id(), "All of this user's."))
}

pub fn object_or_null() -> Object {
    or_null(ObjectBuilder::new().schema_type(Type::Object).build())
}

pub fn message_ids() -> Array {
    Array::new(RefOr::T(Schema::Object(message_id())))
}

pub fn order() -> Object {
    let mut order = one_of(
        "Without `step`: the newest or the oldest first.",
        ["desc", "asc"],
    );
    order.default = Some(json!("desc"));
    order
}

pub fn step() -> Object {
    let text = text(
        "The length of a bucket, with its unit (`ms`, `s`, `m`, `h`, `d`) or in milliseconds. With it the answer has \
         buckets, and `from` is wanted.",
    );
    let text = text.pattern(Some("^[1-9][0-9]{0,9}(ms|s|m|h|d)?$"));
    text.examples([json!("1m"), json!("500ms")]).build()
}

pub fn field() -> Object {
    let text = text(
        "With `step`: where in a value the number is, as a JSON Pointer (`/a/b`) or a name (`total` is `/total`). \
         Without it the value is the number.",
    );
    let text = text.min_length(Some(1)).max_length(Some(1024));
    text.examples([json!("/total")]).build()
}

pub fn export_format() -> Object {
    one_of(
        "The form of the file, `csv` unless said otherwise.",
        ["csv", "json", "ndjson"],
    )
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
    let text = text("For people; not blank.").pattern(Some(NOT_BLANK));
    or_null(
        text.min_length(Some(1))
            .max_length(Some(NOTE_CHARS_MAX))
            .build(),
    )
}

pub fn token_id_or_null() -> Object {
    let text = text("All that were opened with the token of this `jti`.").min_length(Some(1));
    or_null(text.max_length(Some(TOKEN_ID_BYTES_MAX)).build())
}

pub fn reconnect_token() -> Object {
    text("A session's reconnect token; what is none is no session's.")
        .min_length(Some(1))
        .build()
}

pub fn words() -> Object {
    text("For people; not blank.")
        .pattern(Some(NOT_BLANK))
        .build()
}

pub fn issued_before() -> RefOr<Schema> {
    let mut number = number("", 0, None);
    number.description = None;
    let description = "All that were opened with a token issued before: RFC 3339, or seconds or milliseconds since 1970.";
    let null = ObjectBuilder::new().schema_type(Type::Null);
    let either = OneOfBuilder::new().item(time()).item(number).item(null);
    either.description(Some(description)).into()
}
