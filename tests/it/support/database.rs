//! Databases for the stores of hubs: each its own, all in one PostgreSQL that ends with the tests.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::postgres::Postgres;

/// The URL of a new one.
pub fn new() -> String {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let server = SERVER.get_or_init(Postgres::start_for_all);
    let name = format!("hub{}", MADE.fetch_add(1, Ordering::Relaxed));
    server.create(&name);
    server.url_of(&name)
}

/// `config` with a store in a new database, where all hubs are to have one (`IT_STORE=postgres`) and this
/// one says nothing else.
pub fn with_store(config: &str) -> Option<String> {
    let is_wanted = std::env::var("IT_STORE").is_ok_and(|store| store == "postgres");
    let says_where = ["durability =", "file =", "url =", "file_bytes_max ="];
    let is_free = !says_where.iter().any(|key| config.contains(key));
    (is_wanted && is_free).then(|| with_url(config, &new()))
}

/// `config` with its store in this database.
pub fn with_url(config: &str, url: &str) -> String {
    let line = format!("[store]\nurl = \"{url}\"\n");
    match config.split_once("[store]\n") {
        Some((before, after)) => format!("{before}{line}{after}"),
        None => format!("{line}{config}"),
    }
}
