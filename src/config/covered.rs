//! What the file says and nobody hears, because the environment or a flag goes over it: at a reload whoever has
//! changed it is told, or would wait for what does not come.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::written::Reader;
use super::{Settings, auth_keys, known_keys};

/// By key of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Covered(BTreeMap<String, Value>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Value {
    /// The variable or flag that goes over it.
    by: &'static str,
    /// Of what is written there, which may be a secret.
    digest: [u8; 32],
}

impl Covered {
    pub(super) fn find(reader: &Reader<'_>) -> Self {
        let keys = known_keys().iter().map(|key| key.name.clone());
        let each = keys.filter_map(|key| reader.over(&key).map(|by| (key, by)));
        let all = each.chain(auth_keys::covered(reader));
        let written = all.filter_map(|(key, by)| {
            let digest = Sha256::digest(reader.in_file(&key)?.to_string()).into();
            Some((key, Value { by, digest }))
        });
        Self(written.collect())
    }
}

impl Settings {
    /// Where the file of `new` differs without any effect: each key, with what goes over it.
    pub fn overridden(&self, new: &Self) -> Vec<String> {
        let old = &self.covered.0;
        let other = new.covered.0.iter();
        let other = other.filter(|(key, value)| old.get(*key) != Some(*value));
        other
            .map(|(key, value)| format!("{key} ({})", value.by))
            .collect()
    }
}
