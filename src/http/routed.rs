//! Which route a path is of, known before anybody answers: so a refusal and a panic are counted for their
//! route too. Paths that there are not all count as one, whatever a stranger makes up.

use std::collections::HashMap;

use actix_web::dev::ResourceDef;

use super::endpoint::Endpoint;
use crate::telemetry::requests::Requests;

/// What is counted for paths that no route has.
const UNKNOWN: &str = "unknown";

/// The routes, by their place among [`Requests`].
pub(super) struct Routed {
    fixed: HashMap<String, usize>,
    /// Those with something to fill in.
    patterns: Vec<(ResourceDef, usize)>,
    unknown: usize,
    pub(super) requests: Requests,
}

impl Routed {
    /// `endpoints` in the order in which they are tried.
    pub(super) fn of(endpoints: impl Iterator<Item = Endpoint>) -> Self {
        let (mut fixed, mut patterns, mut labels) = (HashMap::new(), Vec::new(), Vec::new());
        for endpoint in endpoints {
            let (path, nth) = (endpoint.path(), labels.len());
            match path.contains('{') {
                true => patterns.push((ResourceDef::new(path), nth)),
                false => drop(fixed.entry(path.to_owned()).or_insert(nth)),
            }
            labels.push((label(path), !endpoint.is_open_ended()));
        }
        let unknown = labels.len();
        labels.push((UNKNOWN.to_owned(), true));
        Self {
            fixed,
            patterns,
            unknown,
            requests: Requests::of(labels),
        }
    }

    pub(super) fn find(&self, path: &str) -> usize {
        if let Some(nth) = self.fixed.get(path) {
            return *nth;
        }
        let mut patterns = self.patterns.iter();
        let found = patterns.find(|(pattern, _)| pattern.is_match(path));
        found.map_or(self.unknown, |(_, nth)| *nth)
    }
}

/// The path without the patterns of what is to be filled in: `{name:.*}` is `{name}`.
fn label(path: &str) -> String {
    path.replace(":.*}", "}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::code::Code;
    use crate::http::routes;
    use crate::telemetry::requests::STATUSES;
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, HttpResponse, web};
    use std::future::ready;

    const WEBSOCKET: &str = "/api/admin/analytics/ws";

    /// Attack: labels made up by strangers.
    #[test]
    fn a_path_is_of_its_route_or_of_none() {
        let routed = Routed::of(routes::all(WEBSOCKET));
        let paths: Vec<_> = routes::all(WEBSOCKET)
            .map(|it| it.path().to_owned())
            .collect();
        let route = |path: &str| paths.get(routed.find(path)).map(String::as_str);
        for path in paths.iter().filter(|path| !path.contains('{')) {
            assert_eq!(route(path), Some(&**path));
            for other in [
                format!("{path}/x/y/z"),
                format!("{path}x"),
                format!("x{path}"),
            ] {
                // But for those that have a name below them.
                let found = route(&other);
                assert!(found.is_none_or(|it| it.contains('{')), "{other}");
            }
        }
        let alerts = "/api/admin/analytics/alerts";
        let resolve = format!("{alerts}/{{id}}/resolve");
        assert_eq!(route(&format!("{alerts}/1-2/resolve")), Some(&*resolve));
        assert_eq!(route(&format!("{alerts}/1/2/resolve")), None);
        assert_eq!(
            route("/console/0123/js/a.js"),
            Some("/console/{hash}/{name:.*}")
        );
        for none in ["", "*", "/nothing", "/API/health", "/health/", "//health"] {
            assert_eq!(route(none), None, "{none}");
        }
        assert_eq!(routed.requests.answered().len(), paths.len() + 1);
        assert_eq!(label("/console/{hash}/{name:.*}"), "/console/{hash}/{name}");
    }

    /// The same paths as actix sees them.
    #[actix_rt::test]
    async fn it_finds_what_the_router_finds() {
        let mut app = App::new();
        let mut patterns = Vec::new();
        for endpoint in routes::all(WEBSOCKET) {
            let pattern = endpoint.path().to_owned();
            patterns.push(pattern.clone());
            let seen = move || ready(HttpResponse::Ok().body(pattern.clone()));
            app = app.route(endpoint.path(), web::to(seen));
        }
        let app = init_service(app).await;
        let routed = Routed::of(routes::all(WEBSOCKET));
        let mut paths: Vec<String> = patterns
            .iter()
            .map(|it| it.replace("{name:.*}", "b/c"))
            .collect();
        paths.extend(paths.clone().iter().map(|it| format!("{it}/")));
        paths
            .extend(["/%68ealth", "/nothing", "/he%2Falth", "/console/a/%2e%2e"].map(String::from));
        for path in paths {
            let path = path.replace(['{', '}'], "");
            let asked = || TestRequest::with_uri(&path);
            let found = routed.find(asked().to_srv_request().match_info().as_str());
            let req = asked().to_request();
            let body = actix_web::test::read_body(call_service(&app, req).await).await;
            let ours = patterns.get(found).map_or("", String::as_str);
            assert_eq!(body, ours, "{path}");
        }
    }

    #[test]
    fn every_status_of_the_table_of_errors_is_told_apart() {
        for code in Code::ALL {
            let status = code.status().as_u16();
            assert!(STATUSES.iter().any(|(it, _)| *it == status), "{status}");
        }
    }
}
