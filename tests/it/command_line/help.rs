//! What the program says of itself, and to words that it does not know.

use super::command;

pub const COMMANDS: [&str; 14] = [
    "serve",
    "demo",
    "check-config",
    "check-token",
    "token",
    "publish",
    "tail",
    "health",
    "audit",
    "backup",
    "bench",
    "doctor",
    "completions",
    "man",
];

#[tokio::test]
async fn the_help_lists_every_command_and_each_explains_itself() {
    for word in ["--help", "-h", "help"] {
        let said = command(&[word]).says().await;
        let help = said.result();
        for name in COMMANDS {
            let line = help
                .lines()
                .find(|line| line.trim_start().starts_with(&format!("{name} ")));
            let explained = line.is_some_and(|line| line.trim().len() > name.len() + 10);
            assert!(explained, "{name} in {help}");
        }
    }
    for name in COMMANDS {
        let said = command(&[name, "--help"]).says().await;
        assert!(
            said.result().contains(&format!("Usage: statshub {name}")),
            "{said:?}"
        );
        assert_eq!(said.stderr, "");
    }
    let serve = command(&["--help"]).says().await.stdout;
    for flag in ["--config", "--dev", "--host", "--port"] {
        assert!(serve.contains(flag), "{flag}");
    }
}

#[tokio::test]
async fn the_help_does_not_show_the_token_of_the_environment() {
    for name in ["publish", "tail", "doctor"] {
        let said = command(&[name, "--help"])
            .env("STATSHUB_TOKEN", "CANARY")
            .says()
            .await;
        assert!(!said.result().contains("CANARY"), "{said:?}");
    }
}

#[tokio::test]
async fn the_version_is_that_of_the_package() {
    for word in ["--version", "-V"] {
        let said = command(&[word]).says().await;
        assert_eq!(
            said.result(),
            concat!("statshub ", env!("CARGO_PKG_VERSION"))
        );
    }
}

#[tokio::test]
async fn wrong_arguments_are_one_line_that_says_which() {
    for (words, expected) in [
        (&["sing"][..], "'sing'"),
        (&["--devv"], "'--devv'"),
        (&["--port", "70000"], "--port"),
        (&["--port"], "--port"),
        (&["--config", "a.toml", "check-config"], "check-config"),
        (&["check-token"], "JWT"),
        (&["token"], "--user"),
        (&["token", "--user", ""], "user"),
        (&["token", "--user", "a", "--ttl", "5"], "5"),
        (&["token", "--user", "a", "--ttl", "-1h"], "-1"),
        (&["token", "--user", "a", "--ttl", "0s"], "at least 1s"),
        (&["publish", "m"], "JSON"),
        (&["publish", "m..n", "1"], "m..n"),
        (&["publish", "m.*", "1"], "m.*"),
        (&["publish", "m", "{"], "not JSON"),
        (&["publish", "m", "text"], "not JSON"),
        (&["publish", "m", "1", "--priority", "urgent"], "urgent"),
        (&["publish", "m", "1", "--url", "nonsense"], "nonsense"),
        (&["tail", "a.**.b"], "a.**.b"),
        (&["serve", "extra"], "extra"),
        (&["demo", "--config", "a.toml"], "--config"),
    ] {
        let said = command(words).says().await;
        let line = said.failure(2);
        assert!(
            line.starts_with("statshub: ") && line.contains(expected),
            "{words:?} {line}"
        );
    }
}
