//! Holds the architecture by reading the sources: who imports whom, what the domain never touches,
//! where the frozen actor crate is used, and how long a file may be. What it holds of the documents is in
//! `documents`.

mod documents;
mod markdown;
mod scan;

use std::fs;
use std::path::{Path, PathBuf};

use scan::{code, paths, without_tests};

/// The rooms, innermost first. A room imports from layers further in, never from its own: what two
/// neighbours both need belongs further in, and what one tells the other goes through a channel or a
/// function that `app` hands over. That holds for telemetry too. It stands among those who might
/// report to it, and they do not: they return what happened, and the outer rooms record it, so that
/// nothing is counted or audited twice. `trace` stands further in: a span begins where the work does.
const LAYERS: [&[&str]; 9] = [
    &["domain"],
    &["wire", "config", "trace"],
    &[
        "telemetry",
        "auth",
        "broker",
        "store",
        "source",
        "aggregate",
        "demo",
        "load",
    ],
    &["hub"],
    &["transport", "rules"],
    &["http"],
    &["app"],
    &["cli"],
    &["fuzz"],
];

/// Everything that would let the domain notice the world: time, chance, threads, I/O.
const IMPURE: [&str; 13] = [
    "tokio",
    "rand",
    "futures",
    "reqwest",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::time::*",
];

const LINES_MAX: usize = 400;

#[test]
fn every_room_has_a_layer() {
    let lib = code(&read(&root().join("src/lib.rs")));
    let mut rooms: Vec<&str> = lib
        .split("pub mod ")
        .skip(1)
        .filter_map(|rest| rest.split(';').next())
        .collect();
    let mut layered = LAYERS.concat();
    rooms.sort_unstable();
    layered.sort_unstable();
    assert_eq!(rooms, layered);
}

#[test]
fn imports_go_inward_only_and_never_sideways() {
    let mut wrong = Vec::new();
    for file in sources().iter().filter(|file| !file.is_test()) {
        let Some(room) = file.room() else { continue };
        for target in imported_rooms(&file.code, file.depth()) {
            if target != room && layer(&target) >= layer(&room) {
                wrong.push(format!("{} imports {target}", file.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn main_knows_the_command_line_only() {
    let main = code(&read(&root().join("src/main.rs")));
    let rooms = rooms_after(&paths(&main), "statshub");
    assert!(
        !rooms.is_empty() && rooms.iter().all(|room| room == "cli"),
        "{rooms:?}"
    );
}

#[test]
fn the_domain_touches_nothing_of_the_world() {
    let mut wrong = Vec::new();
    for file in sources()
        .iter()
        .filter(|file| file.room().as_deref() == Some("domain"))
    {
        for path in paths(&file.code).iter().filter(|path| is_impure(path)) {
            wrong.push(format!("{}: {path}", file.path));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_frozen_actor_crate_is_imported_by_the_two_connections_only() {
    let files = sources()
        .into_iter()
        .filter(|file| mentions(&file.code, "actix_web_actors"));
    let files: Vec<String> = files.map(|file| file.path).collect();
    assert_eq!(files, ["src/transport/sse.rs", "src/transport/ws.rs"]);
}

#[test]
fn no_file_is_longer_than_one_can_read() {
    let root = root();
    let files = [
        rust_files(&root.join("src")),
        rust_files(&root.join("tests")),
    ]
    .concat();
    let long: Vec<String> = files
        .iter()
        .map(|path| (path, read(path).lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(path, lines)| format!("{}: {lines} lines", relative(path)))
        .collect();
    assert!(long.is_empty(), "over {LINES_MAX} lines: {long:#?}");
}

#[test]
fn every_room_begins_by_saying_what_it_is_for() {
    let silent: Vec<String> = rust_files(&root().join("src"))
        .iter()
        .filter(|path| path.file_name().is_some_and(|name| name == "mod.rs"))
        .filter(|path| !read(path).starts_with("//! "))
        .map(|path| relative(path))
        .collect();
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn the_image_and_contributors_have_the_rust_of_a_release() {
    let release = read(&root().join("packaging/release"));
    let mut lines = release.lines();
    let version = lines.find_map(|line| line.strip_prefix("toolchain="));
    let version = version.expect("a line `toolchain=`");
    for (file, wanted) in [
        ("Dockerfile", format!("FROM rust:{version}-")),
        ("CONTRIBUTING.md", format!("install {version} ")),
    ] {
        assert!(
            read(&root().join(file)).contains(&wanted),
            "{file}: {wanted}"
        );
    }
}

// The sources -------------------------------------------------------------------------------------

struct Source {
    /// Relative to the project, as in `src/hub/mod.rs`.
    path: String,
    /// Without comments, literals, and what is compiled for tests only.
    code: String,
}

impl Source {
    /// `None` for `lib.rs` and `main.rs`, which belong to no room.
    fn room(&self) -> Option<String> {
        let first = self.path.strip_prefix("src/")?.split('/').next()?;
        let room = first.strip_suffix(".rs").unwrap_or(first);
        (!matches!(room, "lib" | "main")).then(|| room.to_owned())
    }

    /// How many `super` lead from this file's module to the crate's root.
    fn depth(&self) -> usize {
        let parts = self.path.matches('/').count();
        parts - usize::from(self.path.ends_with("/mod.rs"))
    }

    /// Whether the whole file is compiled for tests only; whoever includes it says so.
    fn is_test(&self) -> bool {
        let mut parts = self.path.split('/');
        parts.any(|part| matches!(part, "tests" | "tests.rs") || part.ends_with("_tests.rs"))
    }
}

fn sources() -> Vec<Source> {
    let files = rust_files(&root().join("src"));
    let source = |path: &PathBuf| Source {
        path: relative(path),
        code: without_tests(&code(&read(path))),
    };
    files.iter().map(source).collect()
}

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

fn relative(path: &Path) -> String {
    let below = path.strip_prefix(root()).unwrap_or(path);
    below.to_string_lossy().into_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

// The rules ---------------------------------------------------------------------------------------

fn layer(room: &str) -> usize {
    let found = LAYERS.iter().position(|rooms| rooms.contains(&room));
    found.unwrap_or_else(|| panic!("{room} is no room"))
}

fn imported_rooms(code: &str, depth: usize) -> Vec<String> {
    let paths = paths(code);
    let by_super = format!("{}super", "super::".repeat(depth - 1));
    let mut rooms = rooms_after(&paths, "crate");
    rooms.extend(rooms_after(&paths, &by_super));
    rooms
}

fn rooms_after(paths: &[String], prefix: &str) -> Vec<String> {
    let rest = paths
        .iter()
        .filter_map(|path| path.strip_prefix(prefix)?.strip_prefix("::"));
    rest.filter_map(|rest| rest.split("::").next())
        .map(str::to_owned)
        .collect()
}

/// `now` and `new_v4`, of whatever type, read a clock and draw a random number.
fn is_impure(path: &str) -> bool {
    let within = |banned: &&str| format!("{path}::").starts_with(&format!("{banned}::"));
    path.contains("::") && (path.starts_with("actix") || IMPURE.iter().any(within))
        || path.ends_with("::now")
        || path.ends_with("::new_v4")
}

fn mentions(code: &str, name: &str) -> bool {
    paths(code)
        .iter()
        .any(|path| path.split("::").any(|part| part == name))
}

// The rules' own tests ----------------------------------------------------------------------------

#[test]
fn rooms_are_found_however_they_are_imported() {
    let check = |depth, text: &str, expected: &[&str]| {
        assert_eq!(imported_rooms(text, depth), expected, "{text}");
    };
    check(
        2,
        "use crate::hub::Hub; fn f() { crate::wire::x() }",
        &["hub", "wire"],
    );
    check(2, "use crate::{auth, broker::Local};", &["auth", "broker"]);
    check(2, "use super::x; use super::super::http::Y;", &["http"]);
    check(1, "use super::app; pub(crate) fn f() {}", &["app"]);
}

#[test]
fn clocks_chance_and_input_are_impure_and_plain_values_are_not() {
    for bad in [
        "std::fs",
        "std::fs::File",
        "tokio::sync::mpsc",
        "actix::Addr",
        "actix_web::web",
        "std::time::Instant::now",
        "Uuid::new_v4",
        "jiff::Timestamp::now",
        "std::time::*",
    ] {
        assert!(is_impure(bad), "{bad}");
    }
    for good in [
        "std::time::Duration",
        "std::fmt",
        "now",
        "rand",
        "Now::wall_ms",
        "std::iter::once",
        "random::x",
    ] {
        assert!(!is_impure(good), "{good}");
    }
}

#[test]
fn a_files_place_tells_its_room_and_depth() {
    let check = |path: &str, room: Option<&str>, depth, is_test| {
        let source = Source {
            path: path.into(),
            code: String::new(),
        };
        assert_eq!(
            (source.room().as_deref(), source.depth(), source.is_test()),
            (room, depth, is_test),
            "{path}"
        );
    };
    check("src/app.rs", Some("app"), 1, false);
    check("src/hub/mod.rs", Some("hub"), 1, false);
    check("src/source/sql/rows.rs", Some("source"), 3, false);
    check(
        "src/telemetry/prometheus_tests.rs",
        Some("telemetry"),
        2,
        true,
    );
    check("src/auth/tests/keys.rs", Some("auth"), 3, true);
    check("src/lib.rs", None, 1, false);
}
