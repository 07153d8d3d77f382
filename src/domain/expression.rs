//! Expressions over a published value, in the Common Expression Language.
//!
//! What clients and operators write is compiled once, with its faults told by line and column, and its
//! cost is bounded before it runs: its length and depth, no loop inside a loop, no regular expression, and
//! of a loop no more steps than [`STEPS_MAX`] over the value at hand.
//!
//! Numbers of a value are doubles, as in JSON, so that `data.errors / data.requests` is a share; whole
//! numbers that stand beside them in an expression are doubles too.

use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::common::types::CelDouble;
use cel::parser::PrattParser;
use cel::{Context, Env, Value};

/// Longest expression, in bytes.
pub const TEXT_BYTES_MAX: usize = 1024;
/// Deepest nesting of parentheses, calls and operators.
const DEPTH_MAX: u16 = 32;
const NODES_MAX: usize = 200;
/// Steps that one evaluation may take: a few milliseconds at worst.
pub const STEPS_MAX: usize = 50_000;

/// What an expression may call besides the operators and the macros `has`, `all`, `exists`, `exists_one`, `map` and
/// `filter`.
const FUNCTIONS: [&str; 10] = [
    "bool",
    "contains",
    "double",
    "endsWith",
    "int",
    "size",
    "startsWith",
    "string",
    "type",
    "uint",
];
const OPERATORS: [&str; 18] = [
    operators::ADD,
    operators::CONDITIONAL,
    operators::DIVIDE,
    operators::EQUALS,
    operators::GREATER,
    operators::GREATER_EQUALS,
    operators::IN,
    operators::INDEX,
    operators::LESS,
    operators::LESS_EQUALS,
    operators::LOGICAL_AND,
    operators::LOGICAL_NOT,
    operators::LOGICAL_OR,
    operators::MODULO,
    operators::MULTIPLY,
    operators::NEGATE,
    operators::NOT_EQUALS,
    operators::SUBSTRACT,
];

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A compiled expression. Two of the same text are equal.
#[derive(Clone)]
pub struct Expression {
    text: Arc<str>,
    program: Arc<IdedExpr>,
    cost: Cost,
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
            .error_recovery_limit(1)
            .error_reporting_limit(1);
        let parsed = catch_unwind(AssertUnwindSafe(|| parser.parse(text)));
        let mut program = match parsed {
            Ok(Ok(program)) => program,
            Ok(Err(errors)) => return Err(first_of(&errors, text)),
            Err(_) => return Err(at(text, (1, 1), "this is no expression".into())),
        };
        let mut check = Check {
            known: variables.iter().copied().collect(),
            cost: Cost::default(),
            in_loop: false,
        };
        check
            .look_at(&program, 0)
            .map_err(|Fault { word, reason }| {
                let before = word.and_then(|word| first_place(text, word));
                at(text, place_of(text, before.unwrap_or_default()), reason)
            })?;
        let cost = check.cost;
        as_doubles(&mut program);
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

/// Steps of an evaluation, one a node; those of loops once for each part of the value.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    once: usize,
    each: usize,
}

impl Cost {
    fn steps(self, size: usize) -> usize {
        self.once
            .saturating_add(self.each.saturating_mul(size.max(self.once)))
    }
}

/// What is wrong, and by which word of the text.
struct Fault<'a> {
    word: Option<&'a str>,
    reason: String,
}

struct Check<'a> {
    known: BTreeSet<&'a str>,
    cost: Cost,
    in_loop: bool,
}

impl<'a> Check<'a> {
    fn look_at(&mut self, node: &'a IdedExpr, depth: usize) -> Result<(), Fault<'a>> {
        if self.in_loop {
            self.cost.each += 1;
        } else {
            self.cost.once += 1;
        }
        let fault = |word, reason: &str| {
            Err(Fault {
                word,
                reason: reason.into(),
            })
        };
        // Evaluating recurses, too.
        if depth > usize::from(DEPTH_MAX) {
            return fault(
                None,
                "this is too deep: please use fewer operators in a row, or parentheses",
            );
        }
        match &node.expr {
            Expr::Ident(name) if !self.known.contains(name.as_str()) && !name.starts_with('@') => {
                let known: Vec<_> = self.known.iter().copied().collect();
                let reason = format!("there is no {name:?} here, only {}", known.join(", "));
                fault(Some(name), &reason)
            }
            Expr::Struct(it) => fault(Some(&it.type_name), "there are no types of this kind here"),
            Expr::Unspecified => fault(None, "this is no expression"),
            Expr::Comprehension(it) => self.look_at_loop(it, depth),
            Expr::Call(call) => {
                let name = call.func_name.as_str();
                let known = FUNCTIONS.contains(&name) || OPERATORS.contains(&name);
                if !known && !name.starts_with('@') {
                    let known = FUNCTIONS.join(", ");
                    return fault(
                        Some(name),
                        &format!("there is no function {name:?}, only {known}"),
                    );
                }
                self.look_at_parts(node, depth)
            }
            _ => self.look_at_parts(node, depth),
        }
    }

    fn look_at_parts(&mut self, node: &'a IdedExpr, depth: usize) -> Result<(), Fault<'a>> {
        parts(node)
            .into_iter()
            .try_for_each(|part| self.look_at(part, depth + 1))
    }

    fn look_at_loop(&mut self, it: &'a ComprehensionExpr, depth: usize) -> Result<(), Fault<'a>> {
        self.look_at(&it.iter_range, depth + 1)?;
        if self.in_loop {
            return Err(Fault {
                word: Some(&it.iter_var),
                reason: "there may be no loop inside a loop".into(),
            });
        }
        self.look_at(&it.accu_init, depth + 1)?;
        let new = [
            Some(&it.iter_var),
            it.iter_var2.as_ref(),
            Some(&it.accu_var),
        ];
        let new: Vec<&str> = new.into_iter().flatten().map(String::as_str).collect();
        let new: Vec<&str> = new
            .into_iter()
            .filter(|name| self.known.insert(name))
            .collect();
        self.in_loop = true;
        let parts = [&it.loop_cond, &it.loop_step, &it.result];
        let looked = parts
            .into_iter()
            .try_for_each(|part| self.look_at(part, depth + 1));
        self.in_loop = false;
        new.iter().for_each(|name| _ = self.known.remove(name));
        looked
    }
}

fn parts(node: &IdedExpr) -> Vec<&IdedExpr> {
    match &node.expr {
        Expr::Call(call) => call
            .target
            .iter()
            .map(Box::as_ref)
            .chain(&call.args)
            .collect(),
        Expr::Select(select) => vec![&*select.operand],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map
            .entries
            .iter()
            .flat_map(|entry| match &entry.expr {
                EntryExpr::MapEntry(it) => vec![&it.key, &it.value],
                EntryExpr::StructField(it) => vec![&it.value],
            })
            .collect(),
        _ => Vec::new(),
    }
}

const ARITHMETIC: [&str; 4] = [
    operators::ADD,
    operators::SUBSTRACT,
    operators::MULTIPLY,
    operators::DIVIDE,
];

/// Whole numbers that are added to, or divide, what is no whole number become doubles: the language knows no
/// arithmetic of both.
fn as_doubles(node: &mut IdedExpr) {
    let is_mixed = match &node.expr {
        Expr::Call(call) if ARITHMETIC.contains(&call.func_name.as_str()) => {
            !call.args.iter().all(is_whole)
        }
        _ => false,
    };
    each_part(node, &mut |part| {
        if is_mixed {
            make_double(part);
        }
        as_doubles(part);
    });
}

fn is_whole(node: &IdedExpr) -> bool {
    match &node.expr {
        Expr::Literal(literal) => !matches!(literal, LiteralValue::Double(_)),
        Expr::Call(call)
            if ["int", "uint", "size", operators::MODULO].contains(&call.func_name.as_str()) =>
        {
            true
        }
        Expr::Call(call) if ARITHMETIC.contains(&call.func_name.as_str()) => {
            call.args.iter().all(is_whole)
        }
        Expr::Call(call) if call.func_name == operators::NEGATE => call.args.iter().all(is_whole),
        _ => false,
    }
}

fn make_double(node: &mut IdedExpr) {
    match &mut node.expr {
        Expr::Literal(literal) => {
            let double = match literal {
                LiteralValue::Int(int) => *int.inner() as f64,
                LiteralValue::UInt(int) => *int.inner() as f64,
                _ => return,
            };
            *literal = LiteralValue::Double(CelDouble::from(double));
        }
        Expr::Call(call) => {
            let name = call.func_name.as_str();
            if ARITHMETIC.contains(&name) || name == operators::NEGATE {
                call.args.iter_mut().for_each(make_double);
            }
        }
        _ => {}
    }
}

fn each_part(node: &mut IdedExpr, act: &mut impl FnMut(&mut IdedExpr)) {
    match &mut node.expr {
        Expr::Call(call) => {
            call.target
                .iter_mut()
                .map(Box::as_mut)
                .chain(&mut call.args)
                .for_each(act);
        }
        Expr::Select(select) => act(&mut select.operand),
        Expr::List(list) => list.elements.iter_mut().for_each(act),
        Expr::Map(map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(it) = &mut entry.expr {
                    act(&mut it.key);
                    act(&mut it.value);
                }
            }
        }
        Expr::Comprehension(it) => {
            let it = it.as_mut();
            let parts = [
                &mut it.iter_range,
                &mut it.accu_init,
                &mut it.loop_cond,
                &mut it.loop_step,
                &mut it.result,
            ];
            parts.into_iter().for_each(act);
        }
        Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => {}
    }
}

#[cfg(test)]
mod tests;
