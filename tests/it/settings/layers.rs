//! What goes over what: defaults, the file, the environment, flags.

use toml::Table;

use crate::support::hub::{Hub, Start};

/// A key of the settings in force.
async fn in_force(start: Start, section: &str, key: &str) -> String {
    let said = start.arg("check-config").says().await;
    let settings: Table = said.result().parse().expect("settings as a file has them");
    settings[section][key].to_string()
}

#[tokio::test]
async fn the_environment_goes_over_the_file_and_the_file_over_the_defaults() {
    let bare = || Hub::with().without_env("PORT").without_env("HOST");
    let file = "[http]\nport = 4001\n[sessions]\nbacklog_messages_max = 7";
    let check = async |start: Start, section: &str, key: &str, expected: &str| {
        assert_eq!(
            in_force(start, section, key).await,
            expected,
            "{section}.{key}"
        );
    };
    check(bare(), "http", "port", "3001").await;
    check(bare().config(file), "http", "port", "4001").await;
    check(
        bare().config(file).env("PORT", "5001"),
        "http",
        "port",
        "5001",
    )
    .await;
    check(bare().config(file).env("PORT", ""), "http", "port", "4001").await;
    check(
        bare().config(file).env("PORT", "5001"),
        "sessions",
        "backlog_messages_max",
        "7",
    )
    .await;
    check(bare(), "http", "host", "\"127.0.0.1\"").await;
}

#[tokio::test]
async fn flags_go_over_everything() {
    let taken = Hub::start().await;
    let file = format!("[http]\nport = {}\nhost = \"127.0.0.3\"", taken.port());
    let start = Hub::with()
        .config(&file)
        .env("HOST", "127.0.0.1")
        .env("PORT", &taken.port().to_string());
    let hub = start
        .arg("--port")
        .arg("0")
        .arg("--host")
        .arg("127.0.0.2")
        .start()
        .await;
    assert_eq!(hub.address.ip().to_string(), "127.0.0.2");
    assert_ne!(hub.port(), taken.port());
}

#[tokio::test]
async fn a_layer_is_checked_though_another_goes_over_it() {
    let wrong = "[http]\nport = 70000";
    let said = Hub::with()
        .config(wrong)
        .arg("--port")
        .arg("0")
        .says()
        .await;
    let line = said.failure(2);
    assert!(line.contains("http.port is 70000"), "{line}");
    let said = Hub::with()
        .env("PORT", "http")
        .arg("--port")
        .arg("0")
        .says()
        .await;
    assert!(said.failure(2).contains("PORT is \"http\""), "{said:?}");
}

#[tokio::test]
async fn the_file_that_is_named_counts_and_not_the_usual_one() {
    let (usual, named) = (
        "[http]\nport = 70000",
        "[sessions]\nbacklog_messages_max = 7",
    );
    let start = Hub::with().config(usual).file("hub.toml", named);
    let said = start
        .arg("check-config")
        .arg("--config")
        .arg("hub.toml")
        .says()
        .await;
    let settings: Table = said.result().parse().expect("settings");
    assert_eq!(
        settings["sessions"]["backlog_messages_max"].as_integer(),
        Some(7)
    );
}
