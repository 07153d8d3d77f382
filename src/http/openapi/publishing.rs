//! What comes from outside.

use serde_json::json;
use utoipa::PartialSchema;
use utoipa::openapi::path::Parameter;
use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder};
use utoipa::openapi::{RefOr, Required, Schema, Type};

use super::operation::{Described, Draft, JSON, Who, in_header};
use super::{PUBLISHING, schemas};
use crate::http::events::{Accepted, NDJSON};
use crate::http::publish::{Alert, BATCH_MESSAGES_MAX, Published, Written};
use crate::http::routes::BASE;
use crate::http::write::Parameters;

pub(super) fn operations() -> Vec<Described> {
    let mut publish = Draft::post(format!("{BASE}/publish"), "publish", "Publish values of metrics")
        .says(
            "One message, or a batch that is taken whole or refused whole. The answer comes when what `durability` says \
             holds, and nobody is sent a message before. 429 also where there would be too many metrics.",
        )
        .by(Who::Publisher)
        .parameter(idempotency_key());
    let message = publish.reference::<Written>();
    let alert = Draft::post(format!("{BASE}/alerts"), "raiseAlert", "Raise an alert")
        .says("To every connection, whatever it subscribes to. What else is in the body goes out as it came.")
        .by(Who::Publisher)
        .parameter(idempotency_key())
        .body_of(
            and_more(Alert::schema()),
            Required::True,
            json!({"severity": "high", "message": "Disk almost full", "host": "db1"}),
        )
        .gives::<Published>(202, "Taken.", json!({"messageId": "1769860800000-4096", "durability": "process"}));
    let publish = publish
        .body_of(
            one_or_many(message),
            Required::True,
            json!({"metric": "orders.today", "data": {"count": 12}}),
        )
        .gives::<Published>(
            202,
            "Taken.",
            json!({"messageId": "1769860800000-4096", "durability": "process"}),
        );
    let write = Draft::post(format!("{BASE}/write"), "write", "Publish points in InfluxDB's line protocol")
        .says(
            "As Telegraf sends them, 1 to 1,000; taken whole or refused whole, as a batch is. The metric is the \
             measurement and the values of the tags, the value an object with time, tags and fields. Other parameters \
             of InfluxDB are passed over.",
        )
        .by(Who::Publisher)
        .query::<Parameters>()
        .parameter(idempotency_key())
        .text_body(
            schemas::text("Lines with a measurement, tags, fields and a timestamp.").build(),
            "cpu,cpu=cpu0,host=web1 usage_idle=98.5,usage_user=1i 1769860800000000000\n",
        )
        .gives::<Published>(
            202,
            "Taken.",
            json!({"messageIds": ["1769860800000-4096"], "durability": "process"}),
        );
    [publish, write, alert, events()]
        .map(|draft| draft.done(PUBLISHING))
        .into()
}

fn events() -> Draft {
    let example = json!({"events": [
        {"event": "signup", "data": {"plan": "pro", "amount": 49}, "timestamp": 1_769_860_800_000u64},
    ]});
    let lines = "{\"event\":\"signup\",\"data\":{\"plan\":\"pro\"}}\n{\"event\":\"login\"}\n";
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("One event a line, each as in the JSON."));
    let bodies = [(JSON, bulk(), example), (NDJSON, text.into(), json!(lines))];
    Draft::post(format!("{BASE}/events"), "sendEvents", "Send raw events to be summed up")
        .says(
            "Of them only what `[[aggregate]]` makes is kept: nobody is sent an event. A batch is taken whole or refused \
             whole; 503 also where more wait to be counted than may. Sent again, it counts again.",
        )
        .by(Who::Publisher)
        .bodies_of(bodies, Required::True)
        .gives::<Accepted>(202, "Taken.", json!({"accepted": 1}))
}

fn bulk() -> RefOr<Schema> {
    let ms = ObjectBuilder::new().schema_type(Type::Integer);
    let at = OneOfBuilder::new()
        .item(schemas::time())
        .item(ms.minimum(Some(0)))
        .description(Some(
            "When it was; in milliseconds since 1970 where it is a number. Not given: now.",
        ));
    let event = ObjectBuilder::new()
        .property(
            "event",
            ObjectBuilder::new()
                .schema_type(Type::String)
                .min_length(Some(1)),
        )
        .property("data", schemas::any())
        .property("timestamp", at)
        .required("event")
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
    let list = ArrayBuilder::new().items(event).min_items(Some(1)).build();
    let batch = ObjectBuilder::new()
        .property("events", list.clone())
        .required("events")
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
    OneOfBuilder::new().item(batch).item(list).into()
}

fn idempotency_key() -> Parameter {
    in_header(
        "Idempotency-Key",
        "With the same key the same request is taken once, however often it is sent, and gets the first answer; another \
         request with it gets 400. Not together with a `key` in messages.",
        schemas::key(),
    )
}

/// Fields that nobody has named are the publisher's own.
fn and_more(mut schema: RefOr<Schema>) -> RefOr<Schema> {
    if let RefOr::T(Schema::Object(object)) = &mut schema {
        object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(true)));
    }
    schema
}

fn one_or_many(message: RefOr<Schema>) -> RefOr<Schema> {
    let messages = ArrayBuilder::new()
        .items(message.clone())
        .min_items(Some(1))
        .max_items(Some(BATCH_MESSAGES_MAX));
    let batch = ObjectBuilder::new()
        .property("messages", messages)
        .required("messages")
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
    OneOfBuilder::new().item(message).item(batch).into()
}
