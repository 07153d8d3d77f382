//! What a start prints on standard output.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use crate::auth::{sign_hs256, signing_secret};
use crate::config::Settings;
use crate::domain::message::UserId;

/// Whose token development mode makes, and for how long.
const DEVELOPER: &str = "developer";
const TOKEN_TTL: Duration = Duration::from_secs(12 * 60 * 60);

/// Says where the hub listens and, in development mode, how to see something at once.
///
/// # Errors
/// Standard output cannot be written.
pub fn announce(
    settings: &Settings,
    address: SocketAddr,
    demo: bool,
    now_ms: u64,
) -> anyhow::Result<()> {
    let scheme = settings.tls.scheme();
    let mut text = format!("listening on {scheme}://{address}\n");
    if settings.dev {
        let what = if demo {
            "a small simulated school platform, live"
        } else {
            "your metrics, live"
        };
        if let Some(token) = token(settings, now_ms)? {
            text += &format!(
                "\nOpen this link to see {what}:\n  {scheme}://{address}/#token={token}\n\n\
                 The token in it, for your own requests, or as STATSHUB_TOKEN for commands (good for 12 hours):\n  {token}\n"
            );
        }
        text += "\nDevelopment mode: for this machine only. Ctrl-C stops it.\n";
    }
    // In one piece: whoever waits for the first line finds the link too.
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// `None` where the keys are public ones, with which nothing can be signed.
fn token(settings: &Settings, now_ms: u64) -> anyhow::Result<Option<String>> {
    let (Ok(secret), Some(user), Some(role)) = (
        signing_secret(&settings.auth.keys),
        UserId::parse(DEVELOPER),
        settings.auth.permitted_roles.first(),
    ) else {
        return Ok(None);
    };
    sign_hs256(&secret, &user, role, TOKEN_TTL, now_ms).map(Some)
}
