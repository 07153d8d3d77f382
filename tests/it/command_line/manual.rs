//! What packages bring besides the program: it knows every command and flag by itself.

use super::command;
use super::help::COMMANDS;

#[tokio::test]
async fn each_shell_completes_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let said = command(&["completions", shell]).says().await;
        let script = said.result();
        for name in COMMANDS {
            assert!(script.contains(name), "{name} for {shell}");
        }
        // Flags of the commands, too, and values where there is a choice.
        for word in ["token-file", "priority", "critical"] {
            assert!(script.contains(word), "{word} for {shell}");
        }
    }
    let said = command(&["completions", "sing"]).says().await;
    assert!(said.failure(2).contains("sing"));
}

#[tokio::test]
async fn the_manual_page_names_every_command() {
    let said = command(&["man"])
        .env("STATSHUB_TOKEN", "CANARY")
        .says()
        .await;
    let page = said.result();
    for name in COMMANDS {
        let name = format!("statshub\\-{}(1)", name.replace('-', "\\-"));
        assert!(page.contains(&name), "{name} in {page}");
    }
    assert!(page.contains(".TH statshub 1"), "{page}");
    for section in ["ENVIRONMENT", "FILES", "SIGNALS", "EXIT STATUS"] {
        let heading = format!(".SH {section}\n").replace("EXIT STATUS", "\"EXIT STATUS\"");
        assert!(page.contains(&heading), "{section} in {page}");
    }
    assert!(
        page.contains("JWT_SECRET") && !page.contains("CANARY"),
        "{page}"
    );
}

#[tokio::test]
async fn each_command_has_a_page_of_its_own() {
    let directory = tempfile::tempdir().expect("a directory");
    let to = directory.path().join("man1");
    let words = ["man", "--to", to.to_str().expect("UTF-8")];
    let said = command(&words).env("STATSHUB_TOKEN", "CANARY").says().await;
    assert_eq!(said.result(), "");
    for name in COMMANDS {
        let page = std::fs::read_to_string(to.join(format!("statshub-{name}.1")));
        let page = page.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(
            page.contains(".SH OPTIONS") || page.contains(".SH SUBCOMMANDS"),
            "{page}"
        );
        assert!(!page.contains("CANARY"), "{page}");
    }
    for name in ["statshub.1", "statshub-audit-verify.1"] {
        assert!(to.join(name).is_file(), "{name}");
    }
}

#[test]
fn what_the_package_takes_is_what_is_generated() {
    let project = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = tempfile::tempdir().expect("a directory");
    let made = std::process::Command::new(project.join("packaging/generate"))
        .arg(env!("CARGO_BIN_EXE_statshub"))
        .arg(directory.path())
        .status();
    assert!(made.expect("a script").success());
    let manifest = std::fs::read_to_string(project.join("Cargo.toml")).expect("a manifest");
    // What is in the program is listed by another script, out of Cargo.lock.
    let taken: Vec<_> = manifest
        .lines()
        .filter_map(|line| {
            line.trim()
                .strip_prefix("[\"target/packaging/")?
                .split('"')
                .next()
        })
        .filter(|name| !name.ends_with(".cdx.json"))
        .collect();
    assert_eq!(taken.len(), 4, "{taken:?}");
    for name in taken {
        let place = directory.path().join(name.trim_end_matches("/*.1"));
        assert!(place.exists(), "{name}");
    }
}
