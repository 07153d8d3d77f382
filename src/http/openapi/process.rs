//! Whether the process lives, and how it is.

use serde_json::json;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{HttpMethod, ResponseBuilder};

use super::PROCESS;
use super::operation::{Described, Draft, Who};
use crate::http::code::Code::{NotFound, RateLimited, Unavailable};
use crate::http::health::Report;

/// Path, operation, what it is for, and whether it says no while the hub starts or drains.
const PROBES: [(&str, &str, &str, bool); 6] = [
    ("/api/health", "health", "Ask how it is", true),
    (
        "/api/health/ready",
        "healthReady",
        "Ask whether to send it clients",
        true,
    ),
    (
        "/api/health/live",
        "healthLive",
        "Ask whether it lives",
        false,
    ),
    ("/health", "rootHealth", "The same as /api/health", true),
    (
        "/health/ready",
        "rootHealthReady",
        "The same as /api/health/ready",
        true,
    ),
    (
        "/health/live",
        "rootHealthLive",
        "The same as /api/health/live",
        false,
    ),
];

pub(super) fn operations() -> Vec<Described> {
    let mut operations: Vec<_> = PROBES.into_iter().flat_map(probe).collect();
    let text = ObjectBuilder::new().schema_type(Type::String).build();
    operations.push(
        Draft::get("/metrics", "prometheus", "Read metrics for Prometheus")
            .says("To this machine only, or with `prometheus.token`; 404 where `prometheus.enabled` is false.")
            .by(Who::Monitoring)
            .gives_plain(
                200,
                "The metrics, as OpenMetrics text.",
                &[(crate::telemetry::prometheus::CONTENT_TYPE, text)],
            )
            .refuses(&[NotFound, Unavailable]),
    );
    operations.push(
        Draft::get("/api/openapi.json", "openapi", "Read this document")
            .by(Who::Anyone)
            .gives_plain(
                200,
                "OpenAPI 3.1.",
                &[(
                    "application/json",
                    ObjectBuilder::new().schema_type(Type::Object).build(),
                )],
            )
            .refuses(&[RateLimited]),
    );
    operations
        .into_iter()
        .map(|draft| draft.done(PROCESS))
        .collect()
}

fn probe((path, id, summary, is_ready): (&str, &str, &str, bool)) -> [Draft; 2] {
    let says = match is_ready {
        true => "503 while it starts or drains. With a good token also `checks`.",
        false => "200 for as long as it answers. With a good token also `checks`.",
    };
    let healthy =
        json!({"status": "healthy", "version": env!("CARGO_PKG_VERSION"), "uptimeSeconds": 3600});
    let get = Draft::get(path, id, summary)
        .says(says)
        .by(Who::AnyoneAndMore)
        .gives::<Report>(200, "It is at work.", healthy);
    let head = Draft::new(
        HttpMethod::Head,
        path.to_owned(),
        &format!("{id}Head"),
        summary,
    )
    .says("As GET, without a body.")
    .by(Who::AnyoneAndMore)
    .answer(200, ResponseBuilder::new().description("It is at work."));
    match is_ready {
        true => [get, head].map(|draft| draft.refuses(&[Unavailable])),
        false => [get, head],
    }
}
