//! Whole numbers beside a value's numbers, which are doubles.

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::common::types::CelDouble;

const ARITHMETIC: [&str; 4] = [
    operators::ADD,
    operators::SUBSTRACT,
    operators::MULTIPLY,
    operators::DIVIDE,
];

/// Whole numbers that are added to, or divide, what is no whole number become doubles: the language knows no
/// arithmetic of both.
pub(super) fn as_doubles(node: &mut IdedExpr) {
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
