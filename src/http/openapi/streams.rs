//! The three endpoints that answer with a stream.

use serde_json::json;
use utoipa::openapi::path::Parameter;
use utoipa::openapi::{ContentBuilder, HeaderBuilder, Ref, ResponseBuilder};

use super::operation::{Described, Draft, JSON, Who, in_header, in_query};
use super::{STREAMS, schemas, selectors};
use crate::http::code::Code::{ConnectionLimit, InvalidRequest, ReconnectTokenInvalid};
use crate::http::routes::BASE;

const EVENTS: &str = "Server-sent events. A message is `id: <messageId>` and `data: <JSON on one line>`, without `event:`; \
     notices about the connection have no `id:`. Messages are described by `docs/asyncapi.yaml`. A comment line comes \
     after 15 s without anything else.";
const EXAMPLE: &str = "retry: 2000\ndata: {\"type\":\"connection_established\",\"data\":{\"connectionId\":\"...\"},\"timestamp\":\
     \"2026-01-31T12:00:00.000Z\",\"messageId\":\"...\",\"priority\":\"high\"}\n\nid: 1769860800000-4096\ndata: \
     {\"type\":\"initial_metrics\",\"data\":{\"orders.today\":{\"count\":12}},\"timestamp\":\"2026-01-31T12:00:00.000Z\",\
     \"messageId\":\"1769860800000-4096\",\"priority\":\"high\"}\n\n";

pub(super) fn operations(websocket_path: &str) -> Vec<Described> {
    let stream = Draft::get(format!("{BASE}/stream"), "stream", "Follow metrics as server-sent events")
        .says(
            "Begins with `connection_established` and a snapshot, `initial_metrics`; live messages follow. With an id \
             it goes on after that message instead.",
        )
        .by(Who::Streams(&["accessToken", "token", "ticket"]))
        .parameter(metrics())
        .parameter(last_event_id_in_query())
        .parameter(delta())
        .parameter(last_event_id())
        .answer(200, events())
        .refuses(&[InvalidRequest, ConnectionLimit]);
    let reconnect = Draft::get(format!("{BASE}/reconnect"), "reconnect", "Go on with a session, as server-sent events")
        .says(
            "The session of that reconnect token: the same subscription, and what was missed. A stream that is still \
             open is replaced.",
        )
        .by(Who::Streams(&["accessToken", "ticket"]))
        .parameter({
            let mut token = in_query("token", "The session's reconnect token, the same user's.", schemas::uuid());
            token.required = utoipa::openapi::Required::True;
            token
        })
        .parameter(last_event_id_in_query())
        .parameter(delta())
        .parameter(last_event_id())
        .answer(200, events())
        .refuses(&[InvalidRequest, ReconnectTokenInvalid, ConnectionLimit]);
    let websocket = Draft::get(websocket_path, "websocket", "Follow metrics over a WebSocket")
        .says(
            "A handshake as in RFC 6455. What may be said on it is described by `docs/asyncapi.yaml`. Another path is set \
             by `WEBSOCKET_PATH`.",
        )
        .by(Who::Streams(&["accessToken", "token", "ticket", "subprotocol"]))
        .parameter(in_query("userId", "Must be the token's user.", schemas::user_id()))
        .parameter(metrics())
        .parameter(in_query("reconnectToken", "Goes on with that session.", schemas::uuid()))
        .parameter(last_event_id_in_query())
        .parameter(delta())
        .answer(101, ResponseBuilder::new().description("The WebSocket."))
        .answer(426, version())
        .refuses(&[InvalidRequest, ReconnectTokenInvalid, ConnectionLimit]);
    [stream, reconnect, websocket]
        .map(|draft| draft.done(STREAMS))
        .into()
}

fn metrics() -> Parameter {
    in_query(
        "metrics",
        "What to follow; everything where nothing is named. Alerts come in any case.",
        selectors::selector_list(),
    )
}

fn delta() -> Parameter {
    in_query(
        "delta",
        "Updates may come as what they change, `metrics_patch`.",
        selectors::delta(),
    )
}

fn last_event_id() -> Parameter {
    in_header(
        "Last-Event-ID",
        "Go on after this message. Of this and `lastEventId` the larger counts; what is no id of the hub's counts as none.",
        schemas::text("A `messageId`.").build(),
    )
}

fn last_event_id_in_query() -> Parameter {
    in_query(
        "lastEventId",
        "Go on after this message; what is no id of the hub's counts as none.",
        schemas::text("A `messageId`.").build(),
    )
}

fn events() -> ResponseBuilder {
    // 3.1 has no word for the schema of one event, and tools take that of the whole for it.
    let content = ContentBuilder::new()
        .schema(Some(schemas::any()))
        .example(Some(json!(EXAMPLE)));
    let token = HeaderBuilder::new()
        .schema(Some(schemas::uuid()))
        .description(Some("The session's reconnect token."));
    let encoding = HeaderBuilder::new()
        .schema(Some(schemas::text("`gzip`.").build()))
        .description(Some(
            "Where the client takes gzip and the hub is set to: the same events, each to be read at once.",
        ));
    ResponseBuilder::new()
        .description(EVENTS)
        .header("Content-Encoding", encoding.build())
        .header("X-Reconnect-Token", token.build())
        .content("text/event-stream", content.build())
}

/// The one refusal with a status outside the table of codes.
fn version() -> ResponseBuilder {
    let version = HeaderBuilder::new()
        .schema(Some(schemas::text("`13`.").build()))
        .description(Some("The version that is understood."));
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Failure")));
    ResponseBuilder::new()
        .description("`invalid_request`: another version of the protocol than 13.")
        .header("Sec-WebSocket-Version", version.build())
        .content(JSON, content.build())
}
