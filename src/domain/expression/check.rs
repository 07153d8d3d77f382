//! What an expression may be made of, and what it costs.

use std::collections::BTreeSet;

use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, IdedExpr, operators};

use super::DEPTH_MAX;

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

/// Steps of an evaluation, one a node; those of loops once for each part of the value.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    once: usize,
    each: usize,
}

impl Cost {
    /// For a value that is made of so many parts.
    pub fn steps(self, size: usize) -> usize {
        self.once
            .saturating_add(self.each.saturating_mul(size.max(self.once)))
    }
}

/// What is wrong, and by which word of the text.
pub(super) struct Fault<'a> {
    pub word: Option<&'a str>,
    pub reason: String,
}

/// What is looked at before an expression is taken.
pub(super) struct Check<'a> {
    known: BTreeSet<&'a str>,
    cost: Cost,
    in_loop: bool,
}

impl<'a> Check<'a> {
    /// Of an expression that may name `known`.
    pub fn new(known: &[&'a str]) -> Self {
        Self {
            known: known.iter().copied().collect(),
            cost: Cost::default(),
            in_loop: false,
        }
    }

    pub fn cost(&self) -> Cost {
        self.cost
    }

    pub fn look_at(&mut self, node: &'a IdedExpr, depth: usize) -> Result<(), Fault<'a>> {
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
