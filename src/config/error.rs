//! Why the settings were refused, in one line.

/// Longest piece of the operator's own text that an error repeats, in characters.
const SHOWN_CHARS_MAX: usize = 80;

/// Why there are no settings. Its text is one line that names the key, the value and what is
/// allowed, and never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("{file} cannot be read: {reason}")]
    Unreadable { file: String, reason: String },
    #[error("{file}:{line}: {message}")]
    Syntax {
        file: String,
        line: usize,
        message: String,
    },
    #[error("unknown key {key}; the nearest known one is {nearest}")]
    Unknown { key: String, nearest: String },
    #[error("{key} is {value}; allowed is {allowed}")]
    Value {
        key: String,
        value: String,
        allowed: String,
    },
    #[error("{key} is missing; allowed is {allowed}")]
    Missing { key: String, allowed: String },
    #[error("{key} is wrong: {reason}")]
    Wrong { key: String, reason: String },
    #[error("{key} is set, but {reason}")]
    Misplaced { key: String, reason: String },
    #[error("{variable} is no text in UTF-8")]
    NotUnicode { variable: String },
    #[error("{key} needs the environment variable {variable}, which is not set")]
    Variable { key: String, variable: String },
    #[error(
        "there is no JWT key; set JWT_SECRET to at least 32 random bytes, or name a key in [auth] \
         of the file, or start with --dev"
    )]
    NoKey,
}

impl ConfigError {
    /// For a value that is not one of the allowed.
    pub(super) fn value(key: &str, value: &impl ToString, allowed: impl Into<String>) -> Self {
        Self::Value {
            key: key.to_owned(),
            value: shown(&value.to_string()),
            allowed: allowed.into(),
        }
    }

    pub(super) fn missing(key: String, allowed: &str) -> Self {
        let allowed = allowed.to_owned();
        Self::Missing { key, allowed }
    }

    pub(super) fn misplaced(key: String, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::Misplaced { key, reason }
    }
}

/// `text` on one line, without control characters and not too long: it may be anything at all.
pub(super) fn shown(text: &str) -> String {
    let escape = |c: char| match c {
        '"' | '\'' | '\\' => c.to_string(),
        _ => c.escape_debug().to_string(),
    };
    let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).map(escape).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}
