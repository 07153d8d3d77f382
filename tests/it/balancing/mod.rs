//! Several hubs behind one address: the proxies of `examples/`, as they are shipped, with real hubs
//! behind them.

mod files;
mod leaks;
mod outages;
mod restarts;
mod site;
mod spread;
mod streams;

use crate::support::hub::{Hub, Start};

pub use site::{Kind, Site};

/// Where the proxies of the tests come from, whose word on clients counts.
const TRUSTED: &str = "[http]\ntrusted_proxies = [\"127.0.0.1\"]\n";

/// A hub as it is behind a proxy; `more` of its settings.
fn behind_a_proxy(more: &str) -> Start {
    Hub::with().config(&format!("{TRUSTED}{more}"))
}

/// So many hubs for one proxy. They share nothing, so what is published must go to each of them, and
/// a session is known where it began; with a log in common neither would be so.
async fn hubs(count: usize, more: &str) -> Vec<Hub> {
    let starting = (0..count).map(|_| behind_a_proxy(more).start());
    futures::future::join_all(starting).await
}

/// The same behind each of the proxies.
async fn behind_each(test: impl AsyncFn(Kind)) {
    let tests = Kind::installed().map(|kind| test(kind));
    futures::future::join_all(tests).await;
}
