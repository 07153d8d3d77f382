//! HS256 secrets that stand in files: the one that tokens are signed with, and those of before that still hold.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail, ensure};

use crate::config::{self, AuthKeys};

/// No secret is as long. A file may be named by mistake, or have no end.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// What tokens of one's own are signed with.
///
/// # Errors
/// There are public keys only, or the file cannot be read or holds no good secret.
pub fn signing_secret(keys: &AuthKeys) -> anyhow::Result<Cow<'_, str>> {
    match keys {
        AuthKeys::Secret(secret) => Ok(secret.into()),
        AuthKeys::SecretFile(path) => Ok(read_one(path)?.into()),
        _ => bail!("the settings hold public keys, and with those tokens can be checked, not made"),
    }
}

/// All of the file is the secret, but for one newline at its end, which most editors and `echo` put there.
pub(super) fn read_one(path: &Path) -> anyhow::Result<String> {
    const KEY: &str = "auth.secret_file";
    let text = read(KEY, path)?;
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    check(secret).with_context(|| unusable(KEY, path))?;
    Ok(secret.to_owned())
}

/// One on each line; there may be none at the moment.
pub(super) fn read_previous(path: &Path) -> anyhow::Result<Vec<String>> {
    const KEY: &str = "auth.previous_secret_file";
    let text = read(KEY, path)?;
    let secrets = text.lines().filter(|line| !line.is_empty());
    let checked = secrets.map(|secret| check(secret).map(|()| secret.to_owned()));
    checked
        .collect::<anyhow::Result<_>>()
        .with_context(|| unusable(KEY, path))
}

fn read(key: &str, path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read =
        File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text));
    read.with_context(|| format!("{key} {} cannot be read", path.display()))?;
    Ok(text)
}

fn check(secret: &str) -> anyhow::Result<()> {
    ensure!(
        config::is_good_secret(secret),
        "a secret in it is none; allowed is {}",
        config::good_secret()
    );
    Ok(())
}

fn unusable(key: &str, path: &Path) -> String {
    format!("{key} {} cannot be used", path.display())
}
