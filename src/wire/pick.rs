//! Picking values out of JSON text without reading the rest of it into anything.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;

/// A JSON Pointer (RFC 6901), taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// Of the whole value where `text` is empty.
    pub fn parse(text: &str) -> Self {
        let tokens = text.split('/').skip(1);
        Self(
            tokens
                .map(|it| it.replace("~1", "/").replace("~0", "~"))
                .collect(),
        )
    }
}

/// What stands at a place of a JSON text.
#[derive(Debug, Clone, PartialEq)]
pub enum Picked<'a> {
    /// Nothing, or `null`.
    Nothing,
    Bool(bool),
    Number(f64),
    Text(Cow<'a, str>),
    /// An object or an array.
    Composite,
}

/// What stands in `json` where `pointer` leads. Of a name that an object has twice the last counts.
///
/// # Errors
/// No JSON, as far as it had to be read.
pub fn pick<'a>(json: &'a str, pointer: &Pointer) -> serde_json::Result<Picked<'a>> {
    let mut deserializer = Deserializer::from_str(json);
    Steps(&pointer.0).deserialize(&mut deserializer)
}

/// The steps that are still to be gone.
#[derive(Clone, Copy)]
struct Steps<'p>(&'p [String]);

impl<'de> DeserializeSeed<'de> for Steps<'_> {
    type Value = Picked<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl Steps<'_> {
    fn scalar<'de, E: Error>(self, picked: Picked<'de>) -> Result<Picked<'de>, E> {
        Ok(match self.0 {
            [] => picked,
            _ => Picked::Nothing,
        })
    }
}

impl<'de> Visitor<'de> for Steps<'_> {
    type Value = Picked<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        self.scalar(Picked::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        self.scalar(Picked::Number(value as f64))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        self.scalar(Picked::Number(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        self.scalar(Picked::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        self.scalar(Picked::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Self::Value, E> {
        self.scalar(Picked::Text(Cow::Borrowed(value)))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Picked::Nothing)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Some((step, rest)) = self.0.split_first() else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Picked::Composite);
        };
        let mut picked = Picked::Nothing;
        while let Some(is_it) = map.next_key_seed(Is(step))? {
            match is_it {
                true => picked = map.next_value_seed(Steps(rest))?,
                false => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(picked)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let Some((step, rest)) = self.0.split_first() else {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Picked::Composite);
        };
        let wanted: Option<usize> = index(step);
        let mut picked = Picked::Nothing;
        let mut nth = 0;
        loop {
            if wanted == Some(nth) {
                match seq.next_element_seed(Steps(rest))? {
                    Some(found) => picked = found,
                    None => return Ok(picked),
                }
            } else if seq.next_element::<IgnoredAny>()?.is_none() {
                return Ok(picked);
            }
            nth += 1;
        }
    }
}

/// Without a sign and without leading zeros, as the RFC wants it.
fn index(step: &str) -> Option<usize> {
    let plain = step.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = plain && (step == "0" || !step.starts_with('0'));
    canonical.then(|| step.parse().ok()).flatten()
}

/// Whether a name is the one that is looked for.
struct Is<'p>(&'p str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn check(json: &str, pointer: &str, expected: Picked<'_>) {
        let picked = pick(json, &Pointer::parse(pointer));
        assert_eq!(picked.unwrap(), expected, "{pointer} in {json}");
    }

    #[test]
    fn what_a_pointer_leads_to_is_picked() {
        let text = |text| Picked::Text(Cow::Borrowed(text));
        let json = r#" {"a":{"b":[1,{"c":"x"},-2.5]},"a/b":true,"m~n":"~","":"empty","n":null,"e":"\u0041"} "#;
        check(json, "/a/b/0", Picked::Number(1.0));
        check(json, "/a/b/1/c", text("x"));
        check(json, "/a/b/2", Picked::Number(-2.5));
        check(json, "/a/b/3", Picked::Nothing);
        check(json, "/a/b/01", Picked::Nothing);
        check(json, "/a/b/-", Picked::Nothing);
        check(json, "/a/b", Picked::Composite);
        check(json, "", Picked::Composite);
        check(json, "/a~1b", Picked::Bool(true));
        check(json, "/m~0n", text("~"));
        check(json, "/", text("empty"));
        check(json, "/n", Picked::Nothing);
        check(json, "/n/x", Picked::Nothing);
        check(json, "/e", text("A"));
        check("7", "", Picked::Number(7.0));
        check("7", "/a", Picked::Nothing);
        check(r#"{"a":1,"a":2}"#, "/a", Picked::Number(2.0));
        for bad in ["", "{", r#"{"a":1"#, r#"{"a":1e999}"#] {
            assert!(pick(bad, &Pointer::parse("/a")).is_err(), "{bad}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-c/~\"\\\\é]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c/~0-2]{0,2}", inner, 0..4)
                    .prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_pointer_leads_where_serde_json_says(json in any_json(), pointer in "(/[a-c0-2]{0,2}){0,3}") {
            let text = json.to_string();
            let expected = match json.pointer(&pointer) {
                None | Some(Value::Null) => Picked::Nothing,
                Some(Value::Bool(is)) => Picked::Bool(*is),
                Some(Value::Number(number)) => Picked::Number(number.as_f64().unwrap()),
                Some(Value::String(text)) => Picked::Text(Cow::Borrowed(text)),
                Some(_) => Picked::Composite,
            };
            prop_assert_eq!(pick(&text, &Pointer::parse(&pointer)).unwrap(), expected);
        }
    }
}
