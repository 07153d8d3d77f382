//! What a page in a browser is allowed: from another origin, and with a cookie in the place of a header.

use reqwest::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, COOKIE, HeaderMap, ORIGIN,
};
use reqwest::{Method, StatusCode};

use super::finding::{Check, Finding, Report};
use super::recipes::{self, Recipe};
use super::site::{Answer, Site, ask, text};
use crate::cli::remote::API;

/// What a page that brings its token in a header, and resumes, has to ask for.
const WANTED_HEADERS: &str = "authorization,last-event-id";

/// Asks as a browser asks before it lets a page of `origin` ask, and then as the page.
pub async fn cors(
    site: &Site,
    origin: Option<&str>,
    report: &mut Report<'_>,
) -> anyhow::Result<()> {
    let Some(origin) = origin.filter(|origin| *origin != site.own_origin()) else {
        let text = "only pages of the hub's own origin; name another with --origin";
        return Ok(report.add(Finding::skipped(Check::Cors, text))?);
    };
    let path = format!("{API}/websocket-info");
    let request = || {
        site.request(Method::GET, &path)
            .map(|it| it.header(ORIGIN, origin))
    };
    let asked_before = site
        .request(Method::OPTIONS, &path)?
        .header(ORIGIN, origin)
        .header(ACCESS_CONTROL_REQUEST_METHOD, "GET")
        .header(ACCESS_CONTROL_REQUEST_HEADERS, WANTED_HEADERS);
    // Nobody's request is refused with 401, which a page may read all the same.
    let answers = (ask(asked_before).await, ask(request()?).await);
    let finding = match answers {
        (Err(why), _) | (_, Err(why)) => Finding::error(Check::Cors, why),
        (Ok(before), Ok(actual)) => judge(origin, &before, &actual),
    };
    Ok(report.add(finding)?)
}

fn judge(origin: &str, before: &Answer, actual: &Answer) -> Finding {
    let error = |text: String, recipe: Recipe| Finding::error(Check::Cors, text).mended_by(recipe);
    let allows = |answer: &Answer| allowed_origins(&answer.headers);
    let is_good = |origins: &[String]| *origins == [origin];
    let (asked, got) = (allows(before), allows(actual));
    if got.is_empty() && asked.is_empty() {
        let listed = format!("[http]\nallowed_origins = [{origin:?}]");
        let text = format!("pages of {origin} may not read what the hub answers");
        return error(text, recipes::CORS.and_hub(listed));
    }
    for origins in [&asked, &got] {
        if origins.len() > 1 || origins.iter().any(|it| it == "*") {
            let text = format!(
                "Access-Control-Allow-Origin is {:?}: somebody besides the hub sets it",
                origins.join(", ")
            );
            return error(text, recipes::CORS);
        }
    }
    if !before.status.is_success() || !is_good(&asked) || !may_bring_headers(&before.headers) {
        let text = format!(
            "what a browser asks first (OPTIONS) does not reach the hub: {} was answered",
            before.status.as_u16()
        );
        return error(text, recipes::CORS);
    }
    let credentials = actual.headers.get(ACCESS_CONTROL_ALLOW_CREDENTIALS);
    if !is_good(&got) || credentials.and_then(text) != Some("true") {
        let text = format!("pages of {origin} may ask, but not read the answer");
        return error(text, recipes::CORS);
    }
    Finding::ok(Check::Cors, format!("pages of {origin} may ask and read"))
}

fn allowed_origins(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(ACCESS_CONTROL_ALLOW_ORIGIN).iter();
    let values = values.filter_map(text).flat_map(|it| it.split(','));
    values.map(|it| it.trim().to_owned()).collect()
}

fn may_bring_headers(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCESS_CONTROL_ALLOW_HEADERS).iter();
    let values = values.filter_map(text).flat_map(|it| it.split(','));
    let allowed: Vec<_> = values.map(|it| it.trim().to_ascii_lowercase()).collect();
    WANTED_HEADERS
        .split(',')
        .all(|it| allowed.iter().any(|other| other == it))
}

/// Shows the token as a cookie, from a page of `origin`, or of the hub's own.
pub async fn cookie(
    site: &Site,
    origin: Option<&str>,
    report: &mut Report<'_>,
) -> anyhow::Result<()> {
    let own = site.own_origin();
    let origin = origin.unwrap_or(&own);
    let token = site.token.as_deref().unwrap_or_default();
    let request = site
        .request(Method::GET, &format!("{API}/websocket-info"))?
        .header(COOKIE, format!("access_token={token}"))
        .header(ORIGIN, origin);
    let finding = match ask(request).await {
        Err(why) => Finding::error(Check::Cookie, why),
        Ok(answer) => match answer.status {
            StatusCode::OK => Finding::ok(
                Check::Cookie,
                format!("a cookie with the token is taken from pages of {origin}"),
            ),
            StatusCode::UNAUTHORIZED => {
                Finding::error(Check::Cookie, "cookies do not reach the hub")
                    .mended_by(recipes::COOKIE)
            }
            StatusCode::FORBIDDEN => foreign(origin, origin == own),
            _ => Finding::error(Check::Cookie, answer.told()),
        },
    };
    Ok(report.add(finding)?)
}

fn foreign(origin: &str, is_own: bool) -> Finding {
    let listed = format!("[http]\nallowed_origins = [{origin:?}]");
    let text = match is_own {
        true => {
            "the hub's own pages look foreign to it, because it gets another Host: cookies are refused"
        }
        false => "cookies of pages of this origin are refused",
    };
    let finding = Finding::error(Check::Cookie, format!("{origin}: {text}"));
    finding.mended_by(recipes::HOST.and_hub(listed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const ORIGIN_OF_PAGES: &str = "https://a.example";

    fn answer(status: u16, headers: &[(&'static str, &'static str)]) -> Answer {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(*name, value.parse().unwrap());
        }
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: all,
            body: serde_json::Value::Null,
            took: Duration::ZERO,
        }
    }

    #[test]
    fn a_page_may_read_only_what_the_hub_alone_allows() {
        let allowed = ("access-control-allow-origin", ORIGIN_OF_PAGES);
        let headers = (
            "access-control-allow-headers",
            "authorization, last-event-id",
        );
        let credentials = ("access-control-allow-credentials", "true");
        let before = answer(200, &[allowed, headers, credentials]);
        let actual = answer(401, &[allowed, credentials]);
        let judged = |before: &Answer, actual: &Answer| judge(ORIGIN_OF_PAGES, before, actual);
        assert_eq!(
            judged(&before, &actual).verdict,
            super::super::finding::Verdict::Ok
        );
        let check = |before: &Answer, actual: &Answer, expected: &str| {
            let text = judged(before, actual).text;
            assert!(text.contains(expected), "{text}");
        };
        let nothing = answer(401, &[]);
        check(&answer(405, &[]), &nothing, "may not read");
        check(&answer(405, &[]), &actual, "OPTIONS");
        check(&answer(204, &[allowed]), &actual, "OPTIONS");
        check(&before, &answer(401, &[allowed]), "but not read");
        check(&before, &nothing, "but not read");
        let twice = answer(401, &[allowed, allowed, credentials]);
        check(&before, &twice, "somebody besides");
        let any = answer(401, &[("access-control-allow-origin", "*"), credentials]);
        check(&before, &any, "somebody besides");
    }
}
