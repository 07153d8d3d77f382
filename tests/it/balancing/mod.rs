//! Several hubs behind one address: the proxies of `examples/`, as they are shipped, with real hubs
//! behind them.

mod dashboards;
mod files;
mod leaks;
mod outages;
mod restarts;
mod site;
mod spread;
mod streams;

use std::ops::{Deref, DerefMut};

use crate::support::hub::{Hub, Start};
use crate::support::message::text;
use crate::support::redis::Redis;
use crate::support::token;

pub use site::{Kind, Site};

/// For who opens and leaves all the time; those of a hub that was killed count for a while.
const MANY: &str = "[sessions]\nconnections_per_user_max = 1000\n";

/// Where the proxies of the tests come from, whose word on clients counts.
const TRUSTED: &str = "[http]\ntrusted_proxies = [\"127.0.0.1\"]\n";

/// A hub as it is behind a proxy; `more` of its settings.
fn behind_a_proxy(more: &str) -> Start {
    Hub::with().config(&format!("{TRUSTED}{more}"))
}

/// The hubs behind one proxy, and what they share.
struct Group {
    hubs: Vec<Hub>,
    /// None where there is one hub alone.
    _redis: Option<Redis>,
}

impl Deref for Group {
    type Target = Vec<Hub>;

    fn deref(&self) -> &Vec<Hub> {
        &self.hubs
    }
}

impl DerefMut for Group {
    fn deref_mut(&mut self) -> &mut Vec<Hub> {
        &mut self.hubs
    }
}

/// So many hubs for one proxy; several act as one.
async fn hubs(count: usize, more: &str) -> Group {
    let redis = match count {
        1 => None,
        _ => Some(Redis::start().await),
    };
    let start = || match &redis {
        Some(redis) => {
            let url = format!("redis://{}", redis.address());
            behind_a_proxy(more).env("REDIS_URL", &url).start()
        }
        None => behind_a_proxy(more).start(),
    };
    let hubs = futures::future::join_all((0..count).map(|_| start())).await;
    Group {
        hubs,
        _redis: redis,
    }
}

/// By what name the others know it.
async fn node(hub: &Hub) -> String {
    let api = hub.api(&token::admin("observer"));
    let answer = api.get("/connection-stats").await;
    let nodes = answer.data()["nodes"].as_array().expect("a list of hubs");
    let this = nodes.iter().find(|it| it["isThis"] == true);
    text(&this.expect("this one")["id"]).to_owned()
}

/// The same behind each of the proxies.
async fn behind_each(test: impl AsyncFn(Kind)) {
    let tests = Kind::installed().map(|kind| test(kind));
    futures::future::join_all(tests).await;
}
