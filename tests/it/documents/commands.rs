//! The commands of the documents, as they would be copied: each one is run, or stands below with the reason why not.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::support::hub::Hub;
use crate::support::in_time;
use crate::support::token;

/// Documents whose commands ask a running hub, in its folder and with its environment.
const DOCUMENTS: [&str; 4] = [
    "README.md",
    "docs/back-end.md",
    "docs/operations.md",
    "docs/troubleshooting.md",
];

/// Blocks that have such words in them are not run here.
const LEFT_OUT: [(&str, &str); 15] = [
    ("statshub.cdx.json", "it is a file of a release"),
    ("cargo ", "it builds"),
    ("tests/run", "it runs this"),
    ("docker ", "there may be no Docker"),
    ("systemctl", "it changes the machine"),
    ("packaging/", "it changes the machine"),
    ("/etc/statshub", "it changes the machine"),
    ("/var/lib/statshub", "it changes the machine"),
    ("promtool", "`tests/run` does that"),
    ("example.org", "it is about a deployment"),
    ("5f3a…", "the hash is none"),
    ("publishers.key", "the tests of TLS run it"),
    ("SSL_CERT_FILE", "this hub has no TLS"),
    ("redis-cli", "this hub stands alone"),
    ("pgrep", "several hubs may run on this machine"),
];

/// Streams and what follows them go on until somebody ends them; a refusal is an error here.
const PRELUDE: &str = r#"
set -o pipefail
ends() {
    local said code=0
    # Frames of a WebSocket have bytes that a shell cannot keep.
    said=$(timeout 3 "$@" 2>&1 | tr -d '\0') || code=$?
    printf '%s\n' "$said"
    # Of `timeout`, and of curl's own limit.
    [ $code -eq 124 ] || [ $code -eq 28 ] || [ $code -eq 0 ] || return $code
    [[ $said != *'"success":false'* ]]
}
curl() { ends curl "$@"; }
statshub() { ends "$PROGRAM" "$@"; }
echo "JWT_SECRET=$JWT_SECRET" > hub.env
ID=$("$PROGRAM" publish orders.today '{"sum": 1}' 2> said)
failed() { echo "FAILED in block $1" >&2; exit 1; }
"#;

/// The blocks of shell commands, in order.
fn blocks(document: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let text = std::fs::read_to_string(&path).expect(document);
    let parts = text.split("```sh\n").skip(1);
    let block = |part: &str| part.split("```").next().unwrap_or_default().to_owned();
    parts.map(block).collect()
}

fn is_left_out(block: &str) -> bool {
    LEFT_OUT.iter().any(|(word, _)| block.contains(word))
}

#[tokio::test]
async fn every_command_does_what_it_is_shown_for() {
    for document in DOCUMENTS {
        let hub = Hub::start().await;
        let address = hub.address.to_string();
        let mut script = PRELUDE.to_owned();
        script += &format!(
            "TOKEN=$(\"$PROGRAM\" token --user me)\nA=http://{address}/api/admin/analytics\n"
        );
        let mut count = 0;
        for block in blocks(document).iter().filter(|it| !is_left_out(it)) {
            count += 1;
            // Each line that is whole has to succeed.
            let block = block.replace("127.0.0.1:3001", &address);
            script += &format!("trap 'failed {count}' ERR\n{block}\n");
        }
        assert!(count > 0, "{document}");
        let program = env!("CARGO_BIN_EXE_statshub");
        let mut command = Command::new("bash");
        command
            .args(["-E", "-c", &script])
            .current_dir(hub.path("."))
            .env("PROGRAM", program)
            .env("JWT_SECRET", token::SECRET)
            .env("PORT", hub.address.port().to_string())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = in_time("the commands", command.output()).await;
        let output = output.expect("a shell");
        let (said, wrong) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(
            output.status.success(),
            "{document}: {wrong}\n{said}\n{script}"
        );
        assert_eq!(wrong, "", "{document}: {said}");
        hub.stop().await;
    }
}

#[test]
fn nothing_is_left_out_for_a_reason_that_is_gone() {
    let blocks: Vec<_> = DOCUMENTS.into_iter().flat_map(blocks).collect();
    let used: BTreeSet<_> = LEFT_OUT
        .iter()
        .filter(|(word, _)| blocks.iter().any(|block| block.contains(word)))
        .collect();
    assert_eq!(used.len(), LEFT_OUT.len(), "{used:?}");
}
