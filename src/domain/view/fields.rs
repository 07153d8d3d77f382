//! Parts of a value, by JSON Pointer (RFC 6901).

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{FIELDS_MAX, ViewError};

/// Which parts: a tree of the pointers' tokens.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// `None`: everything from here on.
    below: Option<BTreeMap<String, Fields>>,
}

/// The members of an object, or the items of a list by their number; each as it was written.
type Members<'a> = indexmap::IndexMap<String, &'a RawValue>;

impl Fields {
    /// # Errors
    /// None, too many, or one that is no pointer.
    pub fn parse(pointers: &[String]) -> Result<Self, ViewError> {
        if pointers.is_empty() || pointers.len() > FIELDS_MAX {
            return Err(ViewError::Fields);
        }
        let mut fields = Self {
            below: Some(BTreeMap::new()),
        };
        for pointer in pointers {
            fields.add(pointer)?;
        }
        Ok(fields)
    }

    fn add(&mut self, pointer: &str) -> Result<(), ViewError> {
        let Some(rest) = pointer.strip_prefix('/') else {
            self.below = None;
            return pointer.is_empty().then_some(()).ok_or(ViewError::Fields);
        };
        let mut at = self;
        for token in rest.split('/') {
            // What is wanted as a whole already is not wanted in parts.
            let Some(below) = &mut at.below else {
                return unescape(token).map(drop);
            };
            let new = || Self {
                below: Some(BTreeMap::new()),
            };
            at = below.entry(unescape(token)?).or_insert_with(new);
        }
        at.below = None;
        Ok(())
    }

    pub fn is_whole(&self) -> bool {
        self.below.is_none()
    }

    /// The pointers, each once, in their order, without those below others.
    pub fn pointers(&self) -> Vec<String> {
        let Some(below) = &self.below else {
            return vec![String::new()];
        };
        let escaped = |token: &str| token.replace('~', "~0").replace('/', "~1");
        let with = |(token, fields): (&String, &Self)| {
            let token = escaped(token);
            let rest = fields.pointers().into_iter();
            rest.map(move |rest| format!("/{token}{rest}"))
                .collect::<Vec<_>>()
        };
        below.iter().flat_map(with).collect()
    }

    /// These parts of `value`, in the shape and the words in which they were written; a list of which only some
    /// items are wanted is an object of these by their number. What is not there is left out.
    pub fn of(&self, value: &str) -> String {
        self.part(value).unwrap_or_else(|| "{}".to_owned())
    }

    fn part(&self, value: &str) -> Option<String> {
        let Some(below) = &self.below else {
            return Some(value.to_owned());
        };
        let members = members(value)?;
        let parts: Vec<String> = below
            .iter()
            .filter_map(|(token, fields)| {
                let part = fields.part(members.get(token)?.get())?;
                Some(format!(
                    "{}:{part}",
                    serde_json::Value::from(token.as_str())
                ))
            })
            .collect();
        (!parts.is_empty()).then(|| format!("{{{}}}", parts.join(",")))
    }
}

fn members(value: &str) -> Option<Members<'_>> {
    match value.as_bytes().first()? {
        b'{' => serde_json::from_str(value).ok(),
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(value).ok()?;
            let numbered = items.into_iter().enumerate();
            Some(
                numbered
                    .map(|(nth, item)| (nth.to_string(), item))
                    .collect(),
            )
        }
        _ => None,
    }
}

/// `~` stands before 0 and 1 only.
fn unescape(token: &str) -> Result<String, ViewError> {
    let mut parts = token.split('~');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (escaped, rest) = match part.as_bytes().first() {
            Some(b'0') => ('~', &part[1..]),
            Some(b'1') => ('/', &part[1..]),
            _ => return Err(ViewError::Fields),
        };
        text.push(escaped);
        text.push_str(rest);
    }
    Ok(text)
}
