//! What dashboards ask a long log, and how long that takes.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::publishers::token;

const ROUNDS: usize = 5;

pub async fn run(hub: SocketAddr) {
    let hour = Duration::from_secs(3600);
    let from = (SystemTime::now() - hour).duration_since(UNIX_EPOCH);
    let from = from.expect("a clock").as_millis();
    let queries = [
        (
            "the newest 100 of a metric",
            "/history?metric=orders.shop-1".to_owned(),
        ),
        (
            "the newest 1,000 of all",
            "/history?metric=orders.*&limit=1000".to_owned(),
        ),
        (
            "the first 100 of a metric in an hour",
            format!("/history?metric=orders.shop-1&from={from}&order=asc"),
        ),
        (
            "a chart: 60 minutes of a metric, the mean of each",
            format!("/history?metric=orders.shop-1&from={from}&step=1m&field=count&agg=avg"),
        ),
        (
            "the same, p95",
            format!("/history?metric=orders.shop-1&from={from}&step=1m&field=count&agg=p95"),
        ),
        (
            "a tenth of the log, exported as CSV",
            "/export?metric=orders.shop-1&format=csv".to_owned(),
        ),
    ];
    println!("\n| query | ms | KB |\n| --- | --- | --- |");
    for (name, path) in queries {
        eprintln!("{name}");
        let mut took = Vec::new();
        let mut bytes = 0;
        for _ in 0..ROUNDS {
            let began = Instant::now();
            bytes = get(hub, &path).await;
            took.push(began.elapsed());
        }
        took.sort_unstable();
        let millis = took[took.len() / 2].as_secs_f64() * 1e3;
        println!("| {name} | {millis:.1} | {:.0} |", bytes as f64 / 1e3);
    }
}

async fn get(hub: SocketAddr, path: &str) -> usize {
    let url = format!("http://{hub}/api/admin/analytics{path}");
    let request = reqwest::Client::new().get(url).bearer_auth(token());
    let answer = request.send().await.expect("a hub");
    let status = answer.status();
    let body = answer.bytes().await.expect("all of it");
    assert!(
        status.is_success(),
        "{status} {}",
        String::from_utf8_lossy(&body)
    );
    body.len()
}
