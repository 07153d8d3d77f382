//! The OpenAPI document itself: well formed, and of exactly the routes and codes that there are.

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::Draft;
use reqwest::Method;
use serde_json::Value;
use statshub::config::FIXED_PATHS;
use statshub::http::code::Code;

use super::schema::{hold, validator};
use crate::support::http::{respond, send};
use crate::support::hub::Hub;

/// Of OpenAPI 3.1, as published by its authors (2022-10-07).
const META_SCHEMA: &str = include_str!("openapi-3.1.schema.json");

/// The document of a running hub.
pub async fn document(hub: &Hub) -> Value {
    let request = hub.anonymous().request_at(Method::GET, "/api/openapi.json");
    let response = respond(request).await;
    assert_eq!(response.status(), 200);
    let kind = response.headers()["content-type"].to_str().expect("a text");
    assert_eq!(kind, "application/json");
    response.json().await.expect("JSON")
}

/// Path, method and the operation.
pub fn operations(document: &Value) -> Vec<(&str, Method, &Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let mut all = Vec::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().expect("a path") {
            let method = method.to_uppercase().parse().expect("a method");
            all.push((path.as_str(), method, operation));
        }
    }
    all
}

/// What `value` refers to, or itself.
pub fn followed<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let Some(reference) = value["$ref"].as_str() else {
        return value;
    };
    let pointer = reference.strip_prefix('#').expect("one of this document");
    document
        .pointer(pointer)
        .unwrap_or_else(|| panic!("nothing at {reference}"))
}

/// As routes are written: the router's own forms are not those of the document.
fn as_documented(route: &str) -> String {
    route.replace("{name:.*}", "{name}")
}

/// A path that `route` takes.
fn asked(route: &str) -> String {
    route
        .replace("{id}", "1-0")
        .replace("{name}", "x")
        .replace("{hash}", "0")
        .replace("{name:.*}", "x")
}

#[tokio::test]
async fn it_is_what_openapi_says_it_should_be() {
    let hub = Hub::start().await;
    let document = document(&hub).await;
    assert_eq!(document["openapi"], "3.1.0");
    let schema: Value = serde_json::from_str(META_SCHEMA).expect("JSON");
    let meta = jsonschema::validator_for(&schema).expect("a schema");
    hold(&meta, &document, "the document");
    let mut references = Vec::new();
    find(&document, "$ref", &mut references);
    assert!(references.len() > 100, "{}", references.len());
    for reference in references {
        let pointer = reference.as_str().and_then(|it| it.strip_prefix('#'));
        assert!(
            document
                .pointer(pointer.expect("one of this document"))
                .is_some(),
            "{reference}"
        );
    }
    for (name, schema) in document["components"]["schemas"]
        .as_object()
        .expect("schemas")
    {
        assert!(jsonschema::meta::is_valid(schema), "{name}: {schema:#}");
    }
}

pub fn find<'a>(value: &'a Value, wanted: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Array(list) => list.iter().for_each(|one| find(one, wanted, found)),
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == wanted {
                    found.push(value);
                }
                find(value, wanted, found);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn it_names_the_routes_of_the_hub_with_their_methods_and_no_others() {
    let hub = Hub::with()
        .env("WEBSOCKET_PATH", "/elsewhere/ws")
        .start()
        .await;
    let document = document(&hub).await;
    let mut documented = BTreeMap::<String, BTreeSet<String>>::new();
    for (path, method, _) in operations(&document) {
        documented
            .entry(path.to_owned())
            .or_default()
            .insert(method.to_string());
    }
    let mut routes = BTreeMap::new();
    for route in FIXED_PATHS.into_iter().chain(["/elsewhere/ws"]) {
        let answer = send(hub.anonymous().request_at(Method::PATCH, &asked(route))).await;
        assert_eq!(answer.failure(), (405, "method_not_allowed"), "{route}");
        let allowed = answer
            .header("allow")
            .expect("methods")
            .split(", ")
            .map(str::to_owned);
        routes.insert(as_documented(route), allowed.collect::<BTreeSet<_>>());
    }
    assert_eq!(documented, routes);
}

#[tokio::test]
async fn every_code_of_the_table_is_there_with_its_status_and_its_advice() {
    let hub = Hub::start().await;
    let document = document(&hub).await;
    let responses = document["components"]["responses"]
        .as_object()
        .expect("responses");
    assert_eq!(responses.len(), Code::ALL.len());
    for code in Code::ALL {
        let (when, then) = code.advice();
        let description = responses[code.as_str()]["description"]
            .as_str()
            .expect("a text");
        assert!(
            description.contains(when) && description.contains(then),
            "{description}"
        );
    }
    let mut codes = BTreeSet::new();
    for (path, _, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().expect("responses") {
            let described = followed(&document, response);
            let mut named = Vec::new();
            find(described, "enum", &mut named);
            let refusals = named
                .into_iter()
                .flat_map(|it| it.as_array().expect("a list"));
            for code in refusals.filter_map(Value::as_str) {
                let row = Code::ALL.into_iter().find(|row| row.as_str() == code);
                assert_eq!(
                    row.expect(code).status().as_str(),
                    status,
                    "{code} at {path}"
                );
                codes.insert(code.to_owned());
            }
        }
    }
    // A path answers 405, and none of its operations does.
    let all = Code::ALL
        .into_iter()
        .filter(|code| *code != Code::MethodNotAllowed);
    assert_eq!(codes, all.map(|code| code.as_str().to_owned()).collect());
}

#[tokio::test]
async fn every_operation_has_a_summary_credentials_and_an_example_that_fits() {
    let hub = Hub::start().await;
    let document = document(&hub).await;
    let tags: Vec<_> = document["tags"]
        .as_array()
        .expect("tags")
        .iter()
        .map(|tag| &tag["name"])
        .collect();
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let what = format!("{method} {path}");
        assert!(
            ids.insert(operation["operationId"].as_str().expect(&what)),
            "{what}"
        );
        assert!(
            !operation["summary"].as_str().expect(&what).is_empty(),
            "{what}"
        );
        assert!(
            !operation["security"].as_array().expect(&what).is_empty(),
            "{what}"
        );
        assert!(tags.contains(&&operation["tags"][0]), "{what}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(
                parameter["description"].is_string() && parameter["schema"].is_object(),
                "{what}: {parameter}"
            );
        }
        let body = operation["requestBody"]["content"]
            .as_object()
            .into_iter()
            .flatten();
        for (kind, content) in body {
            check_example(&document, content, &format!("{what}, {kind}"), true);
        }
        for (status, response) in operation["responses"].as_object().expect(&what) {
            let response = followed(&document, response);
            for (kind, content) in response["content"].as_object().into_iter().flatten() {
                let is_json =
                    kind == "application/json" && content["schema"]["properties"].is_object();
                check_example(
                    &document,
                    content,
                    &format!("{what}: {status} {kind}"),
                    is_json,
                );
            }
        }
    }
}

fn check_example(document: &Value, content: &Value, what: &str, is_wanted: bool) {
    match content.get("example") {
        Some(example) => hold(
            &validator(document, Draft::Draft202012, &content["schema"]),
            example,
            what,
        ),
        None => assert!(!is_wanted, "{what} has no example"),
    }
}
