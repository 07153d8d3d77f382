//! The fuzz targets: whatever bytes come from outside, each way in may refuse them and must keep its promises.
//!
//! Each room has its own in its `fuzz`, with what must hold there. `fuzz/` runs them with libFuzzer, the test
//! here with what that has found (`fuzz/corpus`), and with that a little changed. Not in the program.

/// One way in.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// As its folder in `fuzz/corpus` and its file in `fuzz/fuzz_targets`.
    pub name: &'static str,
    /// Panics where what should hold does not.
    pub run: fn(&[u8]),
}

pub const TARGETS: [Target; 11] = [
    Target {
        name: "command",
        run: crate::wire::fuzz::command,
    },
    Target {
        name: "config",
        run: crate::config::fuzz::settings,
    },
    Target {
        name: "exposition",
        run: crate::source::prometheus::fuzz::exposition,
    },
    Target {
        name: "events",
        run: crate::http::fuzz::events,
    },
    Target {
        name: "frames",
        run: frames,
    },
    Target {
        name: "line_protocol",
        run: crate::http::fuzz::line_protocol,
    },
    Target {
        name: "pattern",
        run: crate::domain::fuzz::patterns,
    },
    Target {
        name: "query",
        run: crate::http::fuzz::query,
    },
    Target {
        name: "redis_entry",
        run: crate::broker::redis::fuzz::entry,
    },
    Target {
        name: "store_rows",
        run: crate::store::fuzz::rows,
    },
    Target {
        name: "token",
        run: crate::auth::fuzz::token,
    },
];

/// The hub reads a client's, the load generator a server's.
fn frames(data: &[u8]) {
    crate::transport::fuzz::frames(data);
    crate::load::fuzz::frames(data);
}

/// Runs the target of that name.
///
/// # Panics
/// There is none, or what should hold does not.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a target of that name").run)(data);
}

#[cfg(test)]
mod tests;
