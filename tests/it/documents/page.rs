//! The interface's page: there with the console, under its policy, and gone with it. The document stays.

use reqwest::Method;

use crate::support::http::respond;
use crate::support::hub::Hub;

async fn get(hub: &Hub, path: &str) -> (u16, Option<String>, String) {
    let response = respond(hub.anonymous().request_at(Method::GET, path)).await;
    let policy = response.headers().get("content-security-policy");
    let policy = policy.map(|policy| policy.to_str().expect("a text").to_owned());
    (
        response.status().as_u16(),
        policy,
        response.text().await.expect("a body"),
    )
}

#[tokio::test]
async fn it_is_there_with_all_its_files_and_a_policy_without_exceptions() {
    let hub = Hub::start().await;
    let (status, policy, page) = get(&hub, "/api/docs").await;
    assert_eq!(status, 200);
    let console = get(&hub, "/").await.1;
    assert!(policy.is_some() && policy == console);
    assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains("{hash}"));
    let mut files: Vec<_> = page
        .split("\"../")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(files.len() > 4, "{files:?}");
    let folder = files[0].rsplit_once('/').expect("a folder").0;
    let modules = ["document", "prose", "schema"].map(|name| format!("{folder}/docs/{name}.js"));
    files.extend(modules.iter().map(String::as_str));
    for file in files {
        assert_eq!(get(&hub, &format!("/{file}")).await.0, 200, "{file}");
    }
    assert_eq!(get(&hub, &format!("/{folder}/docs.html")).await.0, 404);
}

#[tokio::test]
async fn it_goes_with_the_console_and_the_document_stays() {
    let hub = Hub::with().env("CONSOLE_ENABLED", "false").start().await;
    assert_eq!(get(&hub, "/api/docs").await.0, 404);
    assert_eq!(get(&hub, "/api/openapi.json").await.0, 200);
}
