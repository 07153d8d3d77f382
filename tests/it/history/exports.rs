use reqwest::Method;
use serde_json::{Value, json};

use super::{all, publish};
use crate::support::http::{Api, respond};
use crate::support::hub::Hub;
use crate::support::token;

/// The text of an export, whose answer must be a file of this media type.
async fn export(api: &Api, query: &str, format: &str, media_type: &str) -> String {
    let path = format!("/export?{query}&format={format}");
    let response = respond(api.request(Method::GET, &path)).await;
    assert_eq!(response.status(), 200);
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), media_type);
    let name = header("content-disposition");
    assert!(
        name.starts_with("attachment; filename=\"statshub-")
            && name.ends_with(&format!(".{format}\"")),
        "{name}"
    );
    assert_eq!(header("cache-control"), "no-store");
    response.text().await.expect("a whole body")
}

async fn csv(api: &Api, query: &str) -> Vec<Vec<String>> {
    let kind = "text/csv; charset=utf-8; header=present";
    rows(&export(api, query, "csv", kind).await)
}

/// Takes CSV apart as RFC 4180 says, and nothing else.
fn rows(text: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let (mut row, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' if quoted && chars.peek() == Some(&'"') => {
                cell.push('"');
                chars.next();
            }
            '"' if quoted => quoted = false,
            '"' => {
                assert!(cell.is_empty(), "a quotation mark within a cell: {cell}");
                quoted = true;
            }
            _ if quoted => cell.push(char),
            ',' => row.push(std::mem::take(&mut cell)),
            '\r' => {
                assert_eq!(chars.next(), Some('\n'));
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            '\n' => panic!("a line break that is none"),
            _ => cell.push(char),
        }
    }
    assert!(
        cell.is_empty() && row.is_empty() && !quoted,
        "a line is cut"
    );
    rows
}

fn value(n: usize) -> Value {
    match n % 6 {
        0 => json!(n),
        1 => json!({"n": n, "text": "a \"b\", c"}),
        2 => json!("line\r\nbreak, \u{2028} ä 😀"),
        3 => json!([n, null, -1.5]),
        4 => json!(-(n as i64)),
        _ => json!(format!("=HYPERLINK(\"{n}\")")),
    }
}

#[tokio::test]
async fn an_export_of_any_format_is_what_was_published() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let mut ids = Vec::new();
    for batch in 0..4 {
        let message = |n: usize| {
            let n = batch * 900 + n;
            let priority = ["low", "normal", "high", "critical"][n % 4];
            let mut message = json!({
                "metric": format!("x.m{}", n % 7), "data": value(n), "priority": priority,
            });
            if n.is_multiple_of(10) {
                message["userId"] = json!("ada");
            }
            message
        };
        ids.extend(publish(&api, &(0..900).map(message).collect::<Vec<_>>()).await);
        let others = json!({"metric": "x.m1", "data": "bob's", "userId": "bob"});
        publish(&api, &[others, json!({"metric": "y", "data": 0})]).await;
    }
    let messages = all(&api, "metric=x.*&order=asc&limit=1000").await;
    assert_eq!(super::ids_of(&messages), ids);
    for (n, message) in messages.iter().enumerate() {
        assert_eq!(message["value"], value(n));
        assert_eq!(message["metric"], format!("x.m{}", n % 7));
        assert_eq!(message.get("userId").is_some(), n.is_multiple_of(10));
    }

    let text = export(&api, "metric=x.*", "ndjson", "application/x-ndjson").await;
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    assert_eq!(lines.collect::<Vec<Value>>(), messages);

    let text = export(&api, "metric=x.*", "json", "application/json").await;
    let array: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(array, messages);

    let rows = csv(&api, "metric=x.*").await;
    let columns = [
        "messageId",
        "timestamp",
        "metric",
        "priority",
        "userId",
        "value",
    ];
    assert_eq!(rows[0], columns);
    assert_eq!(rows.len(), messages.len() + 1);
    for (row, message) in rows[1..].iter().zip(&messages) {
        for (cell, column) in row[..4].iter().zip(columns) {
            assert_eq!(cell, message[column].as_str().unwrap());
        }
        assert_eq!(row[4], message["userId"].as_str().unwrap_or_default());
        let value: Value = serde_json::from_str(&row[5]).unwrap();
        assert_eq!(value, message["value"]);
    }
}

#[tokio::test]
async fn an_export_of_nothing_is_a_good_file() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let query = "metric=none";
    assert_eq!(csv(&api, query).await.len(), 1);
    assert_eq!(
        export(&api, query, "ndjson", "application/x-ndjson").await,
        ""
    );
    let text = export(&api, query, "json", "application/json").await;
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!([]));
}

/// Attack: stored script in what is published.
#[tokio::test]
async fn no_cell_of_text_is_a_formula() {
    let hub = Hub::start().await;
    for (user, shown) in [
        ("=1+1", "'=1+1"),
        ("+49 30", "'+49 30"),
        ("-x", "'-x"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("a\"b\",c", "a\"b\",c"),
    ] {
        let api = hub.api(&token::admin(user));
        let own = json!({"metric": "-m", "data": "=1+1", "userId": user});
        publish(&api, &[own, json!({"metric": "-m", "data": -5})]).await;
        let rows = csv(&api, "metric=-m").await;
        let own = rows.iter().find(|row| row[4] == shown);
        let own = own.unwrap_or_else(|| panic!("no {shown} in {rows:?}"));
        assert_eq!(own[2], "'-m");
        // JSON of a text begins with a quotation mark, which no formula does; a number is a number.
        assert_eq!(own[5], "\"=1+1\"");
        assert_eq!(rows[rows.len() - 1][5], "-5");
    }
}

#[tokio::test]
async fn an_export_keeps_to_its_time() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    for n in 0..5 {
        api.publish("m", json!(n)).await;
        tokio::time::sleep(std::time::Duration::from_millis(4)).await;
    }
    let messages = all(&api, "order=asc").await;
    let at = |n: usize| super::millis(messages[n]["messageId"].as_str().unwrap());
    let rows = csv(&api, &format!("from={}&to={}", at(1), at(3))).await;
    let values: Vec<_> = rows[1..].iter().map(|row| row[5].as_str()).collect();
    assert_eq!(values, ["1", "2"]);
}
