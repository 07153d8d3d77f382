//! Every route, in one list. What is in the list answers 405 to other methods, all else 404.

use actix_web::http::Method;
use actix_web::{FromRequest, Handler, Responder, web};

use super::endpoint::{Endpoint, not_found};
use super::{
    alerts, audit, client_library, console, events, explain, health, history, notifications,
    openapi, operators, prometheus, publish, reload, rule_test, rules, silences, status, streams,
    subscriptions, tickets, write,
};

/// Under which everything is that is not about the process itself.
pub const BASE: &str = "/api/admin/analytics";

/// Registers every route. Wants `web::Data` of a [`super::state::State`] and a
/// [`crate::hub::Worker`] in the app's data.
pub fn configure(cfg: &mut web::ServiceConfig, websocket_path: &str) {
    for endpoint in all(websocket_path) {
        cfg.service(endpoint);
    }
    cfg.default_service(web::to(not_found));
}

/// In the order in which they are tried.
pub(super) fn all(websocket_path: &str) -> impl Iterator<Item = Endpoint> {
    let websocket = Endpoint::at(websocket_path).get(streams::websocket);
    [websocket.open_ended()].into_iter().chain(endpoints())
}

/// Of the second listener: what is about the process itself, and says nothing of what it carries.
pub fn configure_health(cfg: &mut web::ServiceConfig) {
    for endpoint in process() {
        cfg.service(endpoint);
    }
    cfg.default_service(web::to(not_found));
}

fn process() -> Vec<Endpoint> {
    vec![
        probe("/api/health", health::ready),
        probe("/api/health/ready", health::ready),
        probe("/api/health/live", health::live),
        probe("/health", health::ready),
        probe("/health/ready", health::ready),
        probe("/health/live", health::live),
        Endpoint::at("/metrics").get(prometheus::metrics),
    ]
}

fn endpoints() -> Vec<Endpoint> {
    let mut endpoints = vec![
        // Streams; the WebSocket's path is a setting
        at("/stream").get(streams::stream).open_ended(),
        at("/reconnect").get(streams::reconnect).open_ended(),
        // Publishers
        at("/publish").post(publish::publish),
        at("/write").post(write::write),
        at("/events").post(events::events),
        at("/alerts").get(alerts::list).post(publish::alert),
        // A user's own streams
        at("/ticket").post(tickets::ticket),
        at("/refresh").post(tickets::refresh),
        at("/subscribe").post(subscriptions::subscribe),
        at("/unsubscribe").post(subscriptions::unsubscribe),
        at("/test-connection").post(subscriptions::test_connection),
        // What there is
        at("/metrics").get(status::metrics),
        at("/websocket-info").get(status::websocket_info),
        at("/websocket-stats").get(status::websockets),
        at("/connection-stats").get(status::connections),
        // What there was
        at("/history").get(history::history),
        at("/export").get(history::export).open_ended(),
        at("/alerts/{id}/acknowledge").post(alerts::acknowledge),
        at("/alerts/{id}/resolve").post(alerts::resolve),
        // What is told by itself
        at("/rules").get(rules::list),
        at("/rules/test").post(rule_test::test),
        at("/rules/{name}")
            .get(rules::one)
            .on(Method::PUT, rules::set)
            .on(Method::DELETE, rules::delete),
        at("/silences").get(silences::list).post(silences::add),
        at("/silences/{id}").on(Method::DELETE, silences::delete),
        at("/notifications").get(notifications::list),
        at("/notifications/{id}/retry").post(notifications::retry),
        at("/notifications/{id}").on(Method::DELETE, notifications::delete),
        // Operators
        at("/connections").get(operators::connections),
        at("/disconnect").post(operators::disconnect),
        at("/explain").get(explain::explain),
        at("/audit").get(audit::trail),
        at("/reload").post(reload::reload),
        Endpoint::at("/api/openapi.json").get(openapi::openapi),
    ];
    endpoints.extend(process());
    endpoints.extend(console::endpoints());
    endpoints.extend(client_library::endpoints());
    endpoints
}

fn at(path: &str) -> Endpoint {
    Endpoint::at(&format!("{BASE}{path}"))
}

/// Load balancers ask with either.
fn probe<F, Args>(path: &str, handler: F) -> Endpoint
where
    F: Handler<Args>,
    F::Output: Responder + 'static,
    Args: FromRequest + 'static,
{
    Endpoint::at(path)
        .get(handler.clone())
        .on(Method::HEAD, handler)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FIXED_PATHS;
    use std::collections::BTreeSet;

    #[test]
    fn no_websocket_path_can_be_that_of_another_route() {
        let ours = endpoints().into_iter().map(|it| it.path().to_owned());
        let ours: BTreeSet<String> = ours.collect();
        let fixed: BTreeSet<String> = FIXED_PATHS.map(str::to_owned).into();
        assert_eq!(ours, fixed);
        assert_eq!(FIXED_PATHS.len(), fixed.len(), "named twice");
    }
}
