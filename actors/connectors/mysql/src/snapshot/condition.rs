//! Conditions as SQL.

use oms_core::{ConditionValue, RowCondition, RowOperator};

use crate::catalog::quoted;

/// The condition as servers of the MySQL family take it. It is true for a row if and only if the condition holds.
///
/// To the server a comparison with NULL is unknown. In what AND and OR make of comparisons, unknown is as good as false:
/// neither gives true where two-valued logic gives false. So only what is negated is made two-valued, by IFNULL, and
/// the negation is two-valued then.
pub fn sql_condition(condition: &RowCondition) -> String {
    let joined = |parts: &[RowCondition], word: &str| {
        let parts: Vec<_> = parts.iter().map(sql_condition).collect();
        format!("({})", parts.join(word))
    };
    match condition {
        RowCondition::Compare {
            column,
            operator,
            value,
        } => {
            let operator = match operator {
                RowOperator::Equal => "=",
                RowOperator::NotEqual => "<>",
                RowOperator::Less => "<",
                RowOperator::LessOrEqual => "<=",
                RowOperator::Greater => ">",
                RowOperator::GreaterOrEqual => ">=",
            };
            format!("{} {operator} {}", quoted(column), constant(value))
        }
        RowCondition::IsNull(column) => format!("{} IS NULL", quoted(column)),
        RowCondition::And(parts) => joined(parts, " AND "),
        RowCondition::Or(parts) => joined(parts, " OR "),
        RowCondition::Not(inner) => format!("NOT IFNULL({}, FALSE)", sql_condition(inner)),
    }
}

fn constant(value: &ConditionValue) -> String {
    match value {
        ConditionValue::Integer(n) => n.to_string(),
        ConditionValue::Date(d) => format!("DATE'{:04}-{:02}-{:02}'", d.year, d.month, d.day),
        ConditionValue::DateTime(t) => {
            let fraction = if t.micros == 0 {
                String::new()
            } else {
                format!(".{:06}", t.micros)
            };
            format!(
                "TIMESTAMP'{:04}-{:02}-{:02} {:02}:{:02}:{:02}{fraction}'",
                t.date.year, t.date.month, t.date.day, t.hour, t.minute, t.second
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negations_are_two_valued() {
        let compare = |n| RowCondition::Compare {
            column: "a`b".into(),
            operator: RowOperator::Less,
            value: ConditionValue::Integer(n),
        };
        let either = RowCondition::Or(vec![compare(-1), RowCondition::IsNull("c".into())]);
        let both = RowCondition::And(vec![compare(7), RowCondition::Not(Box::new(either))]);
        assert_eq!(
            sql_condition(&both),
            "(`a``b` < 7 AND NOT IFNULL((`a``b` < -1 OR `c` IS NULL), FALSE))"
        );
    }
}
