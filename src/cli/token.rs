//! `token` and `check-token`: what an operator asks about credentials, answered with the same code
//! that the hub uses.

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;

use super::arguments::{CheckToken, Token};
use super::{Environment, configured, now_ms};
use crate::auth::{self, Access, Authenticator, Identity};
use crate::config::Settings;
use crate::domain::message::UserId;

/// Longest token text read, in bytes. The hub refuses them far shorter; the limit is for a file
/// named by mistake.
const TOKEN_BYTES_MAX: u64 = 64 * 1024;

/// Prints a JWT as `wanted`, signed with the configured secret.
///
/// # Errors
/// Bad settings, or settings without a secret.
pub fn print(
    wanted: &Token,
    environment: &Environment,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let settings = configured(&wanted.config, environment)?;
    let jwt = sign(&settings, &wanted.user, &wanted.role, wanted.ttl)?;
    writeln!(out, "{jwt}")?;
    Ok(())
}

/// A JWT as the hub with these settings would take it.
///
/// # Errors
/// The settings hold public keys only, or the secret's file cannot be read.
pub fn sign(
    settings: &Settings,
    user: &UserId,
    role: &str,
    ttl: Duration,
) -> anyhow::Result<String> {
    let secret = auth::signing_secret(&settings.auth.keys)?;
    auth::sign_hs256(&secret, user, role, ttl, now_ms())
}

/// Says what the configured hub would make of a token; exit 0 where it would take it, 1 where not.
///
/// # Errors
/// Bad settings, unreadable keys or an unreadable token file.
pub async fn check(
    check: &CheckToken,
    environment: &Environment,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let settings = configured(&check.config, environment)?;
    let jwt = read(&check.token)?;
    let authenticator = Authenticator::start(&settings.auth)?;
    let verdict = match authenticator.verify(&jwt, now_ms()).await {
        Ok(identity) => judge(&identity, authenticator.access(&identity)),
        Err(refusal) => Err(refusal.to_string()),
    };
    let (code, line) = match verdict {
        Ok(taken) => (ExitCode::SUCCESS, format!("taken: {taken}")),
        Err(why) => (ExitCode::FAILURE, format!("refused: {why}")),
    };
    writeln!(out, "{line}")?;
    Ok(code)
}

/// What a good token is good for, or that it is good for nothing here.
fn judge(identity: &Identity, access: Access) -> Result<String, String> {
    let may = match access {
        Access::Admin => "may use everything",
        Access::Publisher => "may publish and nothing else",
        Access::None => {
            let roles = identity.roles.join(", ");
            return Err(format!(
                "the token is good, but its role is none of the permitted ones: {roles:?}"
            ));
        }
    };
    let until = until(identity.expires_at_ms);
    Ok(format!("user {} {may}, {until}", identity.user))
}

fn until(expires_at_ms: u64) -> String {
    let millis = i64::try_from(expires_at_ms).unwrap_or(i64::MAX);
    match Timestamp::from_millisecond(millis) {
        Ok(expires) => format!("until {expires}"),
        Err(_) => "until after the end of the calendar".into(),
    }
}

/// The token itself out of what was given: the text, `@FILE` or `@-`, with or without `Bearer`.
fn read(given: &str) -> anyhow::Result<String> {
    let text = match given.strip_prefix('@') {
        None => given.to_owned(),
        Some("-") => limited(io::stdin().lock()).context("reading standard input")?,
        Some(path) => std::fs::File::open(path)
            .and_then(limited)
            .with_context(|| format!("reading {path}"))?,
    };
    let text = text.trim();
    Ok(text
        .strip_prefix("Bearer ")
        .unwrap_or(text)
        .trim()
        .to_owned())
}

/// What is there to be read, up to more than any token has: a file may be named by mistake.
pub(super) fn limited(reader: impl Read) -> io::Result<String> {
    let mut text = String::new();
    reader.take(TOKEN_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_may_come_with_its_scheme_or_from_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "Bearer a.b.c\n").unwrap();
        let from_file = format!("@{}", file.path().display());
        for given in ["a.b.c", " a.b.c\n", "Bearer a.b.c", &from_file] {
            assert_eq!(read(given).unwrap(), "a.b.c", "{given:?}");
        }
    }

    #[test]
    fn a_good_token_without_a_permitted_role_is_refused_by_name() {
        let identity = Identity {
            user: UserId::parse("ada").unwrap(),
            roles: vec!["guest".into()],
            expires_at_ms: 1_767_225_600_000,
            issued_at_ms: None,
            token_id: None,
        };
        assert_eq!(
            judge(&identity, Access::Publisher).unwrap(),
            "user ada may publish and nothing else, until 2026-01-01T00:00:00Z"
        );
        assert!(
            judge(&identity, Access::None)
                .unwrap_err()
                .ends_with("\"guest\"")
        );
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read("@/nowhere/token").unwrap_err();
        assert!(format!("{error:#}").starts_with("reading /nowhere/token: "));
    }
}
