//! Expressions over a published value, in the Common Expression Language.
//!
//! What clients and operators write is compiled once, with its faults told by line and column, and its
//! cost is bounded before it runs: its length and depth, no loop inside a loop, no regular expression, and
//! of a loop no more steps than [`STEPS_MAX`] over the value at hand.
//!
//! Numbers of a value are doubles, as in JSON, so that `data.errors / data.requests` is a share; whole
//! numbers that stand beside them in an expression are doubles too.

mod check;
mod numbers;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use cel::common::ast::IdedExpr;
use cel::parser::PrattParser;
use cel::{Context, Env, Value};

use check::{Check, Fault};

/// Longest expression, in bytes.
pub const TEXT_BYTES_MAX: usize = 1024;
/// Deepest nesting of parentheses, calls and operators.
const DEPTH_MAX: u16 = 32;
const NODES_MAX: usize = 200;
/// Faults that the parser looks behind; the first is told.
const RECOVERIES_MAX: u32 = 10;
/// Steps that one evaluation may take: a few milliseconds at worst.
pub const STEPS_MAX: usize = 50_000;

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A compiled expression. Two of the same text are equal.
#[derive(Clone)]
pub struct Expression {
    text: Arc<str>,
    program: Arc<IdedExpr>,
    cost: check::Cost,
}

/// What is wrong with an expression, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
pub struct ExpressionError {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub reason: String,
}

/// Why an expression has no answer for a value, in words for whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EvaluationError(String);

/// What an expression is asked about: made once for a message, whoever asks.
pub struct Subject {
    context: Context<'static, 'static>,
    size: usize,
}

impl Subject {
    /// `data` is the published value, as JSON; it is null where that does not parse.
    pub fn new(metric: &str, data: &str) -> Self {
        let data = serde_json::from_str(data).unwrap_or_default();
        let mut size = 0;
        let data = value_of(data, &mut size);
        let mut context = Context::with_env(ENVIRONMENT.clone());
        context.add_variable_from_value("data", data);
        context.add_variable_from_value("metric", metric);
        Self { context, size }
    }

    /// One more thing to ask about, besides `data` and `metric`.
    #[must_use]
    pub fn with(mut self, name: &str, value: serde_json::Value) -> Self {
        let value = value_of(value, &mut self.size);
        self.context.add_variable_from_value(name, value);
        self
    }
}

impl Expression {
    /// Variables that every expression knows: the published value, and the metric's name.
    pub const VARIABLES: [&str; 2] = ["data", "metric"];

    /// Compiles `text`, which may name `variables`.
    ///
    /// # Errors
    /// Too long, too deep, no expression, an unknown name, or a loop inside a loop.
    pub fn parse(text: &str, variables: &[&str]) -> Result<Self, ExpressionError> {
        if text.len() > TEXT_BYTES_MAX {
            let reason = format!("an expression has at most {TEXT_BYTES_MAX} bytes");
            return Err(ExpressionError {
                line: 1,
                column: 1,
                reason,
            });
        }
        // Of the crate's two parsers this one takes little stack and counts nodes; for the other a dozen
        // parentheses can be too many.
        let parser = PrattParser::new()
            .max_recursion_depth(DEPTH_MAX)
            .max_expression_node_count(NODES_MAX)
            .error_recovery_limit(RECOVERIES_MAX)
            .error_reporting_limit(RECOVERIES_MAX);
        let parsed = catch_unwind(AssertUnwindSafe(|| parser.parse(text)));
        let mut program = match parsed {
            Ok(Ok(program)) => program,
            Ok(Err(errors)) => return Err(first_of(&errors, text)),
            Err(_) => return Err(at(text, (1, 1), "this is no expression".into())),
        };
        let mut check = Check::new(variables);
        check
            .look_at(&program, 0)
            .map_err(|Fault { word, reason }| {
                let before = word.and_then(|word| first_place(text, word));
                at(text, place_of(text, before.unwrap_or_default()), reason)
            })?;
        let cost = check.cost();
        numbers::as_doubles(&mut program);
        Ok(Self {
            text: text.into(),
            cost,
            program: Arc::new(program),
        })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it says of `subject`.
    ///
    /// # Errors
    /// Something it names is not there or of another kind, or it would take too many steps.
    pub fn evaluate(&self, subject: &Subject) -> Result<serde_json::Value, EvaluationError> {
        let value = self.resolve(subject)?;
        value
            .json()
            .map_err(|_| EvaluationError("the result is no JSON value".into()))
    }

    /// Whether it holds of `subject`.
    ///
    /// # Errors
    /// As [`Expression::evaluate`]; or the result is neither true nor false.
    pub fn holds(&self, subject: &Subject) -> Result<bool, EvaluationError> {
        match self.resolve(subject)? {
            Value::Bool(holds) => Ok(holds),
            other => Err(EvaluationError(format!(
                "the result is {} and not true or false",
                other.type_of()
            ))),
        }
    }

    fn resolve(&self, subject: &Subject) -> Result<Value, EvaluationError> {
        if self.cost.steps(subject.size) > STEPS_MAX {
            let reason =
                format!("this would take more than {STEPS_MAX} steps for a value of this size");
            return Err(EvaluationError(reason));
        }
        // Whatever a client wrote, it must not end the hub.
        let answer = catch_unwind(AssertUnwindSafe(|| {
            Value::resolve(&self.program, &subject.context)
        }));
        match answer {
            Ok(answer) => answer.map_err(|error| EvaluationError(error.to_string())),
            Err(_) => Err(EvaluationError("this cannot be evaluated".into())),
        }
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Expression {}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}

/// JSON as the language has it; counts what it is made of.
fn value_of(json: serde_json::Value, size: &mut usize) -> Value {
    use serde_json::Value as Json;
    *size += 1;
    match json {
        Json::Null => Value::Null,
        Json::Bool(bool) => bool.into(),
        Json::Number(number) => number.as_f64().unwrap_or(f64::NAN).into(),
        Json::String(text) => text.into(),
        Json::Array(items) => {
            let items = items.into_iter().map(|item| value_of(item, size));
            Value::List(Arc::new(items.collect()))
        }
        Json::Object(members) => {
            let members = members
                .into_iter()
                .map(|(key, value)| (key, value_of(value, size)));
            members.collect::<std::collections::HashMap<_, _>>().into()
        }
    }
}

fn first_of(errors: &cel::ParseErrors, text: &str) -> ExpressionError {
    let first = errors.errors.first();
    let (line, column) = first.map_or((1, 1), |error| error.pos);
    let from_one = |at: isize| usize::try_from(at).unwrap_or(1);
    let reason = first.map_or("this is no expression", |error| error.msg.as_str());
    let reason = reason
        .strip_prefix("Syntax error: ")
        .unwrap_or(reason)
        .to_owned();
    at(text, (from_one(line), from_one(column)), reason)
}

/// Where `word` stands for itself in `text`, in bytes.
fn first_place(text: &str, word: &str) -> Option<usize> {
    let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
    let whole = text.match_indices(word).find(|(at, _)| {
        let after = &text[at + word.len()..];
        !text[..*at].ends_with(is_of_word) && !after.starts_with(is_of_word)
    });
    whole.map(|(at, _)| at)
}

/// Line and column, both from 1, of what has so many bytes before it.
fn place_of(text: &str, before: usize) -> (usize, usize) {
    let before = &text[..before];
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    (before.matches('\n').count() + 1, column)
}

fn at(text: &str, place: (usize, usize), reason: String) -> ExpressionError {
    let (line, column) = place;
    let line = line.clamp(1, text.lines().count().max(1));
    let length = text
        .lines()
        .nth(line - 1)
        .unwrap_or_default()
        .chars()
        .count();
    let column = column.clamp(1, length + 1);
    ExpressionError {
        line,
        column,
        reason,
    }
}

#[cfg(test)]
mod tests;
