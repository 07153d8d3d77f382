//! A hub with nothing before it, and what is no hub.

use std::time::Duration;

use super::{a_hub, examine};
use crate::command_line::nobody;
use crate::support::hub::Hub;
use crate::support::message::text;
use crate::support::token;

#[tokio::test]
async fn a_hub_alone_is_well_in_all_that_is_looked_at() {
    let hub = a_hub().start().await;
    let ada = token::admin("ada");
    let examined = examine(&hub.url(""), Some(&ada), &[]).await;
    examined.is_well();
    assert_eq!(examined.with("skipped"), ["cors"], "{:#}", examined.report);
    assert_eq!(examined.findings().len(), 18, "{:#}", examined.report);
    hub.stop().await;
}

#[tokio::test]
async fn people_get_a_line_for_each_and_a_last_word() {
    let hub = a_hub().start().await;
    let doctor = Hub::with().file("token", &format!("{}\n", token::admin("ada")));
    let words = [
        "doctor",
        "--url",
        &hub.url(""),
        "--idle",
        "1",
        "--token-file",
        "token",
    ];
    let doctor = words.iter().fold(doctor, |it, word| it.arg(word));
    let said = doctor.says().await;
    let lines: Vec<_> = said.result().lines().collect();
    assert_eq!(lines.last(), Some(&"all well; 1 not looked at"), "{said:?}");
    assert!(lines[0].starts_with("ok       reachable "), "{said:?}");
    assert_eq!(said.stderr, "", "no progress where nobody watches");
}

#[tokio::test]
async fn without_a_token_only_what_strangers_may_ask_is_looked_at() {
    let hub = a_hub().start().await;
    let examined = examine(&hub.url(""), None, &[]).await;
    examined.is_well();
    let ok = examined.with("ok");
    assert_eq!(
        ok,
        ["reachable", "transport", "request_head", "cache", "clock"]
    );
    assert!(text(&examined.of("delivery")["text"]).contains("--token-file"));
}

#[tokio::test]
async fn a_token_that_may_only_publish_opens_no_streams() {
    let hub = a_hub().start().await;
    let shop = token::service("shop");
    let examined = examine(&hub.url(""), Some(&shop), &[]).await;
    examined.is_well();
    assert!(text(&examined.of("delivery")["text"]).contains("role"));
    assert_eq!(examined.of("token")["verdict"], "ok");
}

#[tokio::test]
async fn where_there_is_nothing_to_look_at_the_exit_code_says_so() {
    let examined = examine(&format!("http://{}", nobody().await), None, &[]).await;
    assert_eq!(
        (examined.code, examined.faults()),
        (Some(2), vec!["reachable"])
    );
    let words = ["doctor", "--token-file", "nowhere"];
    let said = words.iter().fold(Hub::with(), |it, word| it.arg(word));
    assert!(said.says().await.failure(2).contains("nowhere"));
    let hub = a_hub().start().await;
    let stale = token::sign(&serde_json::json!({"sub": "a", "role": "platform_admin", "exp": 1}));
    let examined = examine(&hub.url(""), Some(&stale), &[]).await;
    assert_eq!((examined.code, examined.faults()), (Some(2), vec!["token"]));
    assert!(
        !examined.report.to_string().contains(&stale),
        "a token was shown"
    );
    let examined = examine(&hub.url("/elsewhere"), None, &[]).await;
    assert_eq!(
        (examined.code, examined.faults()),
        (Some(2), vec!["reachable"])
    );
}

#[tokio::test]
async fn pages_of_other_origins_are_told_by_whether_the_hub_lists_them() {
    let listed =
        "[http]\nallowed_origins = [\"https://a.example\"]\n[sessions]\nconnections_max = 100\n";
    let hub = Hub::with().config(listed).start().await;
    let ada = token::admin("ada");
    let origin = |name| ["--origin", name];
    let examined = examine(&hub.url(""), Some(&ada), &origin("https://a.example")).await;
    examined.is_well();
    assert_eq!(examined.with("skipped"), [""; 0]);
    let examined = examine(&hub.url(""), Some(&ada), &origin("https://b.example")).await;
    assert_eq!(
        examined.faults(),
        ["cors", "cookie"],
        "{:#}",
        examined.report
    );
    let mend = text(&examined.of("cors")["mend"]["hub"]);
    assert!(
        mend.contains("allowed_origins = [\"https://b.example\"]"),
        "{mend}"
    );
}

#[tokio::test]
async fn what_the_hub_knows_of_itself_is_told() {
    let config = "[http]\nsockets_max = 10000000\n[sessions]\nconnections_max = 9000000\n";
    let hub = Hub::with().config(config).start().await;
    let ada = token::admin("ada");
    let examined = examine(&hub.url(""), Some(&ada), &[]).await;
    let open_files = examined.of("open_files");
    assert_eq!(open_files["verdict"], "warning", "{open_files}");
    assert!(text(&open_files["text"]).contains("LimitNOFILE"));
}

#[tokio::test]
async fn a_token_that_ends_meanwhile_is_no_fault_of_the_way() {
    let hub = a_hub().start().await;
    let short = token::token("ada", "platform_admin", Duration::from_secs(8));
    let examined = examine(&hub.url(""), Some(&short), &["--idle", "40"]).await;
    examined.is_well();
    let skipped = examined.with("skipped");
    assert_eq!(
        skipped,
        ["cors", "idle_stream", "idle_websocket"],
        "{:#}",
        examined.report
    );
}
