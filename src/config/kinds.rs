//! The kinds of values a setting can have: what is allowed, how it is read and written.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Value;

use super::error::ConfigError;
use super::secrets::MASK;

/// One kind of value. Reading gives nothing where the value is not allowed; what is allowed is said
/// in words that fit after "allowed is".
pub trait Kind {
    type Meant;
    /// Whether its values are hidden wherever they would be shown, and may hold `${VARIABLE}`.
    const SECRET: bool = false;

    fn allowed(&self) -> String;
    fn read(&self, value: &Value) -> Option<Self::Meant>;
    /// `None` where the key is best left out.
    fn write(&self, meant: &Self::Meant) -> Option<Value>;

    /// What `text`, from the environment or a flag, would be in a file.
    fn value_of(&self, text: &str) -> Value {
        Value::String(text.to_owned())
    }

    /// What people may see of a value, allowed or not.
    fn shown(&self, value: &Value) -> Value {
        match Self::SECRET {
            true => Value::String(MASK.to_owned()),
            false => value.clone(),
        }
    }
}

/// Goes over the settings one by one. Two do: one reads what was written into them, one collects
/// what they are.
pub trait Visitor {
    type Error;

    /// Meets the setting called `key`, which is of `kind` and now is `meant`.
    fn visit<K: Kind>(
        &mut self,
        key: &str,
        kind: K,
        meant: &mut K::Meant,
    ) -> Result<(), Self::Error>;
}

/// A whole number in a range.
pub struct Number<N>(pub RangeInclusive<N>);

impl<N: Copy + PartialOrd + Display + TryFrom<i64> + TryInto<i64>> Kind for Number<N> {
    type Meant = N;

    fn allowed(&self) -> String {
        format!("a whole number from {} to {}", self.0.start(), self.0.end())
    }

    fn read(&self, value: &Value) -> Option<N> {
        let number = N::try_from(value.as_integer()?).ok()?;
        self.0.contains(&number).then_some(number)
    }

    fn write(&self, meant: &N) -> Option<Value> {
        (*meant).try_into().ok().map(Value::Integer)
    }

    fn value_of(&self, text: &str) -> Value {
        integer(text)
    }
}

/// A part of a whole.
pub struct Fraction;

impl Kind for Fraction {
    type Meant = f64;

    fn allowed(&self) -> String {
        "a number from 0 to 1".to_owned()
    }

    fn read(&self, value: &Value) -> Option<f64> {
        let whole = || value.as_integer().map(|whole| whole as f64);
        let fraction = value.as_float().or_else(whole)?;
        (0.0..=1.0).contains(&fraction).then_some(fraction)
    }

    fn write(&self, meant: &f64) -> Option<Value> {
        Some(Value::Float(*meant))
    }
}

/// A time, written as a whole number of milliseconds in a range.
pub struct Millis(pub RangeInclusive<u64>);

impl Kind for Millis {
    type Meant = Duration;

    fn allowed(&self) -> String {
        let (from, to) = (self.0.start(), self.0.end());
        format!("a whole number of milliseconds from {from} to {to}")
    }

    fn read(&self, value: &Value) -> Option<Duration> {
        Number(self.0.clone())
            .read(value)
            .map(Duration::from_millis)
    }

    fn write(&self, meant: &Duration) -> Option<Value> {
        i64::try_from(meant.as_millis()).ok().map(Value::Integer)
    }

    fn value_of(&self, text: &str) -> Value {
        integer(text)
    }
}

fn integer(text: &str) -> Value {
    match text.parse() {
        Ok(number) => Value::Integer(number),
        Err(_) => Value::String(text.to_owned()),
    }
}

/// On or off.
pub struct Flag;

impl Kind for Flag {
    type Meant = bool;

    fn allowed(&self) -> String {
        "true or false".to_owned()
    }

    fn read(&self, value: &Value) -> Option<bool> {
        value.as_bool()
    }

    fn write(&self, meant: &bool) -> Option<Value> {
        Some(Value::Boolean(*meant))
    }

    fn value_of(&self, text: &str) -> Value {
        match text {
            "true" | "1" => Value::Boolean(true),
            "false" | "0" => Value::Boolean(false),
            _ => Value::String(text.to_owned()),
        }
    }
}

/// A text that stands for something else, such as an address.
pub struct Text<T> {
    pub allowed: &'static str,
    pub parse: fn(&str) -> Option<T>,
    pub print: fn(&T) -> String,
}

impl<T> Kind for Text<T> {
    type Meant = T;

    fn allowed(&self) -> String {
        self.allowed.to_owned()
    }

    fn read(&self, value: &Value) -> Option<T> {
        (self.parse)(value.as_str()?)
    }

    fn write(&self, meant: &T) -> Option<Value> {
        Some(Value::String((self.print)(meant)))
    }
}

/// A text that is kept as a text; `parse` says which are allowed.
pub fn text(allowed: &'static str, parse: fn(&str) -> Option<String>) -> Text<String> {
    Text {
        allowed,
        parse,
        print: String::clone,
    }
}

/// One of a few words.
pub struct Choice<T: 'static>(pub &'static [(&'static str, T)]);

impl<T: Copy + PartialEq> Kind for Choice<T> {
    type Meant = T;

    fn allowed(&self) -> String {
        let words: Vec<_> = self.0.iter().map(|(word, _)| *word).collect();
        format!("one of {}", words.join(", "))
    }

    fn read(&self, value: &Value) -> Option<T> {
        let wanted = value.as_str()?;
        let found = self.0.iter().find(|(word, _)| *word == wanted)?;
        Some(found.1)
    }

    fn write(&self, meant: &T) -> Option<Value> {
        let found = self.0.iter().find(|(_, choice)| choice == meant)?;
        Some(Value::String(found.0.to_owned()))
    }
}

/// A list, each element of the same kind.
pub struct List<K> {
    pub of: K,
    /// Fewest elements.
    pub min: usize,
}

impl<K: Kind> Kind for List<K> {
    type Meant = Vec<K::Meant>;
    const SECRET: bool = K::SECRET;

    fn allowed(&self) -> String {
        let not_empty = if self.min > 0 {
            " that is not empty"
        } else {
            ""
        };
        format!("a list{not_empty}, each {}", self.of.allowed())
    }

    fn read(&self, value: &Value) -> Option<Self::Meant> {
        let list = value.as_array()?;
        let meant = list.iter().map(|one| self.of.read(one)).collect();
        (list.len() >= self.min).then_some(meant)?
    }

    fn write(&self, meant: &Self::Meant) -> Option<Value> {
        let written = meant.iter().filter_map(|one| self.of.write(one));
        Some(Value::Array(written.collect()))
    }
}

/// A setting that need not be there.
pub struct Maybe<K>(pub K);

impl<K: Kind> Kind for Maybe<K> {
    type Meant = Option<K::Meant>;
    const SECRET: bool = K::SECRET;

    fn allowed(&self) -> String {
        self.0.allowed()
    }

    fn read(&self, value: &Value) -> Option<Self::Meant> {
        self.0.read(value).map(Some)
    }

    fn write(&self, meant: &Self::Meant) -> Option<Value> {
        self.0.write(meant.as_ref()?)
    }

    fn value_of(&self, text: &str) -> Value {
        self.0.value_of(text)
    }

    fn shown(&self, value: &Value) -> Value {
        self.0.shown(value)
    }
}

/// Reads `value` as `kind`, or says what is allowed under the name `key`.
pub fn read<K: Kind>(key: &str, kind: &K, value: &Value) -> Result<K::Meant, ConfigError> {
    kind.read(value)
        .ok_or_else(|| ConfigError::value(key, &kind.shown(value), kind.allowed()))
}
