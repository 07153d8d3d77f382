//! What can go wrong, as the document has it: one answer for each row of the table of codes.

use serde_json::json;
use utoipa::openapi::schema::{AllOfBuilder, Components, ComponentsBuilder, ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Header, Ref, RefOr, Response, ResponseBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::operation::JSON;
use super::schemas;
use crate::http::code::Code;
use crate::http::reply::Failure;

/// Every code, used by an operation or not: 405 belongs to a path, and none of its operations gives it.
pub(super) fn components() -> Components {
    let mut components = ComponentsBuilder::new().schema(Failure::name(), Failure::schema());
    for code in Code::ALL {
        components = components.response(code.as_str(), response(&[code]));
    }
    for (name, header) in headers() {
        components = components.header(name, header);
    }
    components.build()
}

/// For an operation that can give these, which share a status.
pub(super) fn answer(codes: &[Code]) -> RefOr<Response> {
    match codes {
        [code] => Ref::from_response_name(code.as_str()).into(),
        codes => response(codes).into(),
    }
}

pub(super) fn with_request_id(response: ResponseBuilder) -> ResponseBuilder {
    with_header(response, "X-Request-Id")
}

fn with_header(response: ResponseBuilder, name: &str) -> ResponseBuilder {
    response.header_ref(name, Ref::new(format!("#/components/headers/{name}")))
}

fn response(codes: &[Code]) -> Response {
    let advice = codes.iter().map(|code| {
        let (when, then) = code.advice();
        format!("`{}`: {when} {then}", code.as_str())
    });
    let advice: Vec<_> = advice.collect();
    let mut response = ResponseBuilder::new().description(advice.join("\n\n"));
    response = with_request_id(response);
    for name in carried(codes[0]) {
        response = with_header(response, name);
    }
    let example =
        |code: &Code| json!({"success": false, "error": code.text(), "code": code.as_str()});
    let content = ContentBuilder::new().schema(Some(schema(codes)));
    let content = content.example(codes.first().map(example));
    response.content(JSON, content.build()).build()
}

fn carried(code: Code) -> Vec<&'static str> {
    let mut names = Vec::new();
    if code.retry_after_seconds().is_some() {
        names.push("Retry-After");
    }
    match code {
        Code::Unauthenticated => names.push("WWW-Authenticate"),
        Code::MethodNotAllowed => names.push("Allow"),
        _ => {}
    }
    names
}

fn schema(codes: &[Code]) -> Schema {
    let codes = codes.iter().map(|code| code.as_str());
    let code = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(codes));
    let narrowed = ObjectBuilder::new().property("code", code);
    let all = AllOfBuilder::new()
        .item(Ref::from_schema_name(Failure::name()))
        .item(narrowed);
    all.build().into()
}

fn headers() -> [(&'static str, Header); 4] {
    let text = |description: &str| {
        let mut header = Header::new(schemas::text(description).build());
        header.description = Some(description.to_owned());
        header
    };
    let seconds = "After how many seconds to come back.";
    let mut retry = Header::new(schemas::number(seconds, 1, None));
    retry.description = Some(seconds.to_owned());
    [
        (
            "X-Request-Id",
            text(
                "The request's own, where that is a token of at most 128 characters, else a new one.",
            ),
        ),
        ("Retry-After", retry),
        ("WWW-Authenticate", text("As RFC 6750 says.")),
        ("Allow", text("The methods that the path takes.")),
    ]
}
