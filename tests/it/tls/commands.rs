//! The program's own commands, and those of the documents, where publishers have certificates.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::Safe;
use crate::support::certificates::Certificates;
use crate::support::command::Said;
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::token;

const DOCUMENT: &str = include_str!("../../../docs/operations.md");

async fn publish(safe: &Safe, words: &[&str]) -> Said {
    let url = format!("https://{}", safe.hub.address);
    let start = Hub::with().arg("publish").arg("m").arg("5");
    let start = start.arg("--url").arg(&url);
    let start = words.iter().fold(start, |start, word| start.arg(word));
    start.says().await
}

/// The shell commands of the document's block that begins with `first`.
fn recipe(first: &str) -> &'static str {
    let block = DOCUMENT
        .split("```sh\n")
        .find(|block| block.starts_with(first));
    block.expect("a block").split("```").next().expect("an end")
}

fn run(commands: &str, folder: &Path) {
    let mut shell = Command::new("sh");
    let output = shell
        .args(["-euc", commands])
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{commands}: {said}");
}

#[tokio::test]
async fn the_recipe_makes_a_certificate_with_which_publish_is_taken_and_the_trail_names_it() {
    let folder = tempfile::tempdir().unwrap();
    // The lines of the document as they stand there, but for those that call the hub.
    let commands = recipe("# The authority, once");
    run(commands, folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let more = format!("publisher_ca_file = \"{}\"\n", path("publishers.pem"));
    let safe = Safe::with(&more).await;
    let trusted = safe.authority.authority().display().to_string();
    let without = publish(&safe, &["--ca", &trusted]).await;
    let line = without.failure(1);
    assert!(
        line.contains("client certificate") && line.ends_with("(see --cert and --key)"),
        "{line}"
    );
    let (cert, key) = (path("shop.pem"), path("shop.key"));
    let words = ["--ca", &trusted, "--cert", &cert, "--key", &key];
    publish(&safe, &words).await.result();
    let trail = safe.hub.logged(r#""action":"publish""#).await;
    assert!(trail.contains(r#""certificate":"CN=shop""#), "{trail}");
    let strange = publish(&safe, &words[2..]).await;
    let line = strange.failure(1);
    assert!(line.contains("certificate"), "{line}");
    let nothing = publish(&safe, &["--ca", "nowhere.pem"]).await;
    assert!(
        nothing
            .failure(1)
            .contains("--ca nowhere.pem cannot be read")
    );
    let half = publish(&safe, &["--cert", &cert]).await;
    assert!(half.failure(2).contains("--key"), "{half:?}");
}

/// Attack: a key or an authority that was withdrawn goes on.
#[tokio::test]
async fn authorities_that_are_written_anew_count_at_once_for_open_connections_too() {
    let elsewhere = tempfile::tempdir().unwrap();
    let (first, second) = (
        elsewhere.path().join("first"),
        elsewhere.path().join("second"),
    );
    for folder in [&first, &second] {
        std::fs::create_dir(folder).unwrap();
    }
    let (first, second) = (Certificates::make(&first), Certificates::make(&second));
    let file = elsewhere.path().join("publishers.pem");
    std::fs::copy(first.authority(), &file).unwrap();
    let safe = Safe::with(&format!("publisher_ca_file = \"{}\"\n", file.display())).await;
    let admin = Some(token::admin("ada"));
    let dig = async |own| {
        crate::support::tunnel::Tunnel::dig(safe.hub.address, &safe.authority, Some(own)).await
    };
    let (old, new) = (first.issue("old"), second.issue("new"));
    let tunnel = dig(&old).await;
    let publisher = Api::at(tunnel.url(), admin.clone());
    let body = json!({"metric": "m", "data": 1});
    assert_eq!(publisher.post("/publish", &body).await.status, 202);
    std::fs::copy(second.authority(), &file).unwrap();
    let answer = publisher.post("/reload", &json!({})).await;
    assert_eq!(
        answer.data(),
        &json!({"applied": ["tls.publisher_ca_file"], "needsRestart": []})
    );
    // By the same connection, which was good when it began.
    let refused = publisher.post("/publish", &body).await;
    assert_eq!(refused.failure(), (403, "forbidden"));
    assert!(
        refused.error().contains("no longer taken"),
        "{}",
        refused.error()
    );
    assert_eq!(tunnel.seen().len(), 1);
    let tunnel = dig(&new).await;
    let publisher = Api::at(tunnel.url(), admin);
    assert_eq!(publisher.post("/publish", &body).await.status, 202);
}
