//! What of a condition can be said to a server.
//!
//! Only comparisons of integers, dates and DATETIMEs with constants, and tests for NULL: of these the server's meaning
//! is known to be ours, except that to the server a comparison with NULL is neither true nor false. What is rendered is
//! two-valued for that reason, see [`RowCondition`].

use oms_core::{CivilDateTime, ConditionValue, RowCondition, RowOperator};

use super::{
    expression::{Conversion, Expression, Op},
    syntax::Comparison,
    value::{Ty, Val},
};

/// A condition that is true wherever the expression is.
pub(super) fn weaker(expression: &Expression) -> Option<RowCondition> {
    if let Some(exact) = exact(expression) {
        return Some(exact);
    }
    match &expression.op {
        Op::And(parts) => {
            let parts: Vec<_> = parts.iter().filter_map(weaker).collect();
            (!parts.is_empty()).then_some(RowCondition::And(parts))
        }
        Op::Or(parts) => all(parts, weaker).map(RowCondition::Or),
        _ => None,
    }
}

/// A condition that is true exactly where the expression is.
fn exact(expression: &Expression) -> Option<RowCondition> {
    match &expression.op {
        Op::And(parts) => all(parts, exact).map(RowCondition::And),
        Op::Or(parts) => all(parts, exact).map(RowCondition::Or),
        Op::Not(a) => Some(RowCondition::Not(Box::new(exact(a)?))),
        Op::IsNull(a) => match &a.op {
            Op::Column(read) => Some(RowCondition::IsNull(read.name.clone())),
            _ => None,
        },
        Op::Compare(comparison, a, b) => {
            compare(*comparison, a, b).or_else(|| compare(mirrored(*comparison), b, a))
        }
        Op::Among(a, list) => {
            let column = plain(a, Ty::Integer)?;
            if list.is_empty() {
                return None;
            }
            let each = list.iter().map(|n| {
                Some(RowCondition::Compare {
                    column: column.clone(),
                    operator: RowOperator::Equal,
                    value: ConditionValue::Integer(in_bounds(*n)?),
                })
            });
            each.collect::<Option<Vec<_>>>().map(RowCondition::Or)
        }
        _ => None,
    }
}

fn all(
    parts: &[Expression],
    each: impl Fn(&Expression) -> Option<RowCondition>,
) -> Option<Vec<RowCondition>> {
    parts.iter().map(each).collect()
}

fn mirrored(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        same => same,
    }
}

/// The name of a column that is read as it is.
fn plain(expression: &Expression, ty: Ty) -> Option<String> {
    match &expression.op {
        Op::Column(read) if expression.ty == ty && read.plain => Some(read.name.clone()),
        _ => None,
    }
}

fn in_bounds(n: i128) -> Option<i128> {
    (n >= i128::from(i64::MIN) && n <= i128::from(u64::MAX)).then_some(n)
}

fn compare(comparison: Comparison, a: &Expression, b: &Expression) -> Option<RowCondition> {
    let Op::Constant(constant) = &b.op else {
        return None;
    };
    // A date that is compared as a moment, with midnight.
    let date = match &a.op {
        Op::Convert(Conversion::ToDateTime, inner) => plain(inner, Ty::Date),
        _ => None,
    };
    let (column, value) = match (constant, date) {
        (Val::Integer(n), None) => (plain(a, Ty::Integer)?, ConditionValue::Integer(in_bounds(*n)?)),
        (Val::DateTime(at), Some(column)) => {
            let midnight = CivilDateTime {
                date: at.date,
                ..CivilDateTime::default()
            };
            if *at != midnight || !is_whole(at) {
                return None;
            }
            (column, ConditionValue::Date(at.date))
        }
        (Val::DateTime(at), None) if is_whole(at) => (plain(a, Ty::DateTime)?, ConditionValue::DateTime(*at)),
        _ => return None,
    };
    let operator = match comparison {
        Comparison::Equal => RowOperator::Equal,
        Comparison::NotEqual => RowOperator::NotEqual,
        Comparison::Less => RowOperator::Less,
        Comparison::LessOrEqual => RowOperator::LessOrEqual,
        Comparison::Greater => RowOperator::Greater,
        Comparison::GreaterOrEqual => RowOperator::GreaterOrEqual,
    };
    Some(RowCondition::Compare {
        column,
        operator,
        value,
    })
}

/// Whether a server takes it as a literal whatever its settings are.
fn is_whole(at: &CivilDateTime) -> bool {
    at.date.year >= 1_000 && at.date.month > 0 && at.date.day > 0
}
