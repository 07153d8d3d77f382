//! `doctor`: whether what stands between browsers and a hub is right, seen from outside.
//!
//! It uses the public interface as a browser would, changes nothing but that the token's user gets test
//! messages, and needs to know nothing of the proxies in between: a fault is told by what it does to
//! streams. What mends it is said for each proxy, see [`recipes`].

mod browser;
mod events;
mod finding;
mod flags;
mod idle;
mod reach;
mod recipes;
mod site;
mod stream;
mod websocket;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;

use super::token::limited;
use super::{Environment, one_line, remote, whereabouts};
use finding::{Check, Finding, Report};
pub use flags::Doctor;
use site::Site;

/// The hub does not answer, or there is nothing to ask it with.
const COULD_NOT_TEST: u8 = 2;
/// Something has to be mended.
const FOUND: u8 = 1;

/// What a token takes part in, and what is left out without one.
const WITH_A_TOKEN: [Check; 12] = [
    Check::Token,
    Check::Cookie,
    Check::Health,
    Check::OpenFiles,
    Check::Stream,
    Check::Delivery,
    Check::Compression,
    Check::LastEventId,
    Check::Websocket,
    Check::WebsocketToken,
    Check::IdleStream,
    Check::IdleWebsocket,
];

/// Looks at everything, and tells what it finds. The exit code is 0 when nothing has to be mended, 1 when
/// something has, 2 when it could not be looked at.
///
/// # Errors
/// Standard output cannot be written.
pub async fn run(
    wanted: &Doctor,
    environment: &Environment,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let settings = whereabouts(&wanted.config, environment);
    let base = remote::address(wanted.url.as_ref(), settings.as_ref())?;
    let token = match token(wanted) {
        Ok(token) => token,
        Err(error) => {
            eprintln!("statshub: {}", one_line(&error));
            return Ok(COULD_NOT_TEST.into());
        }
    };
    let site = match Site::new(base, token, &wanted.tls) {
        Ok(site) => site,
        Err(error) => {
            eprintln!("statshub: {}", one_line(&error));
            return Ok(COULD_NOT_TEST.into());
        }
    };
    let mut report = Report::new(out, wanted.json, wanted.strict);
    let could = examine(&site, wanted, &mut report).await?;
    let is_bad = report.is_bad();
    report.end()?;
    Ok(match (could, is_bad) {
        (false, _) => COULD_NOT_TEST.into(),
        (true, true) => FOUND.into(),
        (true, false) => ExitCode::SUCCESS,
    })
}

/// Returns whether there was something to look at.
async fn examine(site: &Site, wanted: &Doctor, report: &mut Report<'_>) -> anyhow::Result<bool> {
    if !reach::hub(site, report).await? {
        return Ok(false);
    }
    report.add(reach::transport(site).await)?;
    reach::request_head(site, report).await?;
    reach::cache(site, report).await?;
    browser::cors(site, wanted.origin.as_deref(), report).await?;
    if site.token.is_none() {
        report.add(reach::clock(site).await?)?;
        for check in WITH_A_TOKEN {
            let text = "needs a token: --token-file, --token or STATSHUB_TOKEN";
            report.add(Finding::skipped(check, text))?;
        }
        return Ok(true);
    }
    let Some(info) = reach::token(site, report).await? else {
        return Ok(false);
    };
    if !info.may_watch {
        for check in &WITH_A_TOKEN[1..] {
            let text = "the token's role may not open streams";
            report.add(Finding::skipped(*check, text))?;
        }
        report.add(reach::clock(site).await?)?;
        return Ok(true);
    }
    browser::cookie(site, wanted.origin.as_deref(), report).await?;
    reach::checks(site, report).await?;
    let streams = events::all(site, report).await?;
    let sockets = websocket::all(site, &info, report).await?;
    idle::both(site, wanted, streams, sockets, report).await?;
    Ok(true)
}

/// What is to be shown; nothing where nothing was given.
fn token(wanted: &Doctor) -> anyhow::Result<Option<String>> {
    let Some(file) = &wanted.token_file else {
        return Ok(wanted.token.as_deref().map(|it| it.trim().to_owned()));
    };
    let read = match file.as_os_str() == "-" {
        true => limited(io::stdin().lock()),
        false => std::fs::File::open(file).and_then(limited),
    };
    let text = read.with_context(|| format!("the token cannot be read from {}", file.display()))?;
    Ok(Some(text.trim().to_owned()))
}

/// A line that says how far it is, for a person who watches; gone when the next one comes.
fn progress(text: &str) {
    let mut screen = io::stderr();
    if screen.is_terminal() {
        let _ = write!(screen, "\r\x1b[2K{text}");
        let _ = screen.flush();
    }
}
