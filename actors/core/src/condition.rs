//! Conditions that every server understands.

use crate::{CivilDate, CivilDateTime};

/// A condition over the columns of one table, in two-valued logic: a comparison with NULL is false, and its negation
/// true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowCondition {
    /// A column compared with a constant.
    Compare {
        /// The column's name.
        column: String,
        /// How it is compared.
        operator: RowOperator,
        /// With what.
        value: ConditionValue,
    },
    /// Whether a column is NULL.
    IsNull(String),
    /// Whether all hold. At least one.
    And(Vec<RowCondition>),
    /// Whether one holds. At least one.
    Or(Vec<RowCondition>),
    /// Whether it does not hold.
    Not(Box<RowCondition>),
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowOperator {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// A constant of a condition. Its kind is that of the column it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionValue {
    /// From -2^63 to 2^64-1.
    Integer(i128),
    /// A date whose parts are not zero.
    Date(CivilDate),
    /// A date and time whose date's parts are not zero.
    DateTime(CivilDateTime),
}
