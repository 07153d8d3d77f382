//! `publish`: one value of one metric, as any publisher would send it.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Refused, Remote, note, unreachable};
use crate::cli::Environment;
use crate::cli::arguments;
use crate::domain::message::{Priority, UserId};
use crate::domain::pattern::MetricName;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    metric: &'a MetricName,
    data: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
}

#[derive(Deserialize)]
struct Answer {
    data: Accepted,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Accepted {
    message_id: String,
    durability: String,
}

/// Publishes and prints the message's id; what the hub's acceptance is worth goes to standard
/// error.
///
/// # Errors
/// No token, no hub there, or a refusal in the hub's own words.
pub async fn publish(
    wanted: &arguments::Publish,
    environment: &Environment,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let remote = Remote::new(&wanted.remote, environment)?;
    let accepted = send(&remote, wanted).await?;
    writeln!(out, "{}", accepted.message_id)?;
    note(format_args!("accepted, durability {}", accepted.durability));
    Ok(())
}

async fn send(remote: &Remote, wanted: &arguments::Publish) -> anyhow::Result<Accepted> {
    let request = Request {
        metric: &wanted.metric,
        data: &wanted.data,
        priority: wanted.priority.map(|name| Priority::from(name).as_str()),
        user_id: wanted.user.as_ref().map(UserId::as_str),
    };
    let response = remote
        .post("publish")?
        .timeout(ANSWER_TIMEOUT)
        .json(&request)
        .send()
        .await
        .map_err(|error| unreachable(&remote.base, error))?;
    if !response.status().is_success() {
        return Err(Refused::read(response).await.into());
    }
    let answer: Answer = response
        .json()
        .await
        .context("that was not the answer of a hub")?;
    Ok(answer.data)
}
