//! The language of row filters and computed columns.
//!
//! A text is read into a tree ([`syntax`]), the tree is checked against a table's columns ([`check`]), and what comes
//! out is evaluated on rows ([`expression`]) from the snapshot and from the log alike. What the language means is in
//! `node/docs/row-and-column-filters.md`.

mod check;
mod decimal;
mod expression;
mod mistake;
mod moment;
mod parse;
mod push_down;
mod syntax;
mod token;
mod value;

use std::{fmt, sync::Arc};

use oms_core::{CivilDateTime, ColumnType, Duration, Row, RowBuilder, RowCondition, TableSchema, Value};

use check::Checker;
use expression::{Conversion, Expression, Op, Reading, convert};
use value::{Ty, Val};

pub(crate) use expression::NoValue;
pub use mistake::Mistake;

/// Decodes character sets as the servers define them.
pub trait TextDecoder: Send + Sync {
    /// Whether [`TextDecoder::decode`] knows the character set, by the server's name of it in lower case.
    fn is_known(&self, charset: &str) -> bool;

    /// The characters; `None` when the bytes are no text of this character set. Nothing is ever replaced.
    fn decode(&self, charset: &str, bytes: &[u8]) -> Option<String>;
}

/// Knows no character set besides UTF-8 and ASCII, which need no tables.
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8Only;

impl TextDecoder for Utf8Only {
    fn is_known(&self, _: &str) -> bool {
        false
    }

    fn decode(&self, _: &str, _: &[u8]) -> Option<String> {
        None
    }
}

/// Reads a condition or expression and says where its syntax is wrong, without knowing any table.
///
/// # Errors
/// The first mistake.
pub fn check_syntax(text: &str) -> Result<(), Mistake> {
    parse::parse(text).map(|_| ())
}

/// A row filter: a condition over the columns of one table.
#[derive(Clone)]
pub struct Condition {
    root: Expression,
    texts: Arc<dyn TextDecoder>,
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Condition").field(&self.root).finish()
    }
}

impl Condition {
    /// Reads a condition and checks it against the columns of a table.
    ///
    /// # Errors
    /// All mistakes, in the order of the text (of syntax: the first).
    pub fn new(text: &str, table: &TableSchema, texts: Arc<dyn TextDecoder>) -> Result<Self, Vec<Mistake>> {
        let node = parse::parse(text).map_err(|m| vec![m])?;
        let mut checker = Checker {
            table,
            texts: &*texts,
            mistakes: Vec::new(),
        };
        match checker.condition(&node) {
            Some(root) if checker.mistakes.is_empty() => Ok(Self { root, texts }),
            _ => Err(sorted(checker.mistakes)),
        }
    }

    /// Whether it is true for a row of the table.
    pub(crate) fn holds(&self, row: &Row) -> Result<bool, NoValue> {
        let reading = Reading {
            row,
            texts: &*self.texts,
        };
        self.root.is_true(&reading)
    }

    /// A condition that a server understands, and that is true for every row for which this one is. `None`: nothing of
    /// it can be said to a server so that it certainly means the same.
    pub fn push_down(&self) -> Option<RowCondition> {
        push_down::weaker(&self.root)
    }

    /// Indexes of the columns it reads, sorted.
    pub fn columns(&self) -> Vec<usize> {
        let mut columns = Vec::new();
        columns_of(&self.root, &mut columns);
        columns.sort_unstable();
        columns.dedup();
        columns
    }
}

fn sorted(mut mistakes: Vec<Mistake>) -> Vec<Mistake> {
    mistakes.sort();
    mistakes.dedup();
    mistakes
}

fn columns_of(expression: &Expression, columns: &mut Vec<usize>) {
    match &expression.op {
        Op::Constant(_) => {}
        Op::Column(read) => columns.push(read.index),
        Op::Not(a)
        | Op::IsNull(a)
        | Op::IsTruth(a, _)
        | Op::Among(a, _)
        | Op::Negate(a)
        | Op::Invert(a)
        | Op::ReplacePattern(a, ..)
        | Op::Convert(_, a) => columns_of(a, columns),
        Op::And(parts) | Op::Or(parts) => parts.iter().for_each(|e| columns_of(e, columns)),
        Op::Xor(a, b) | Op::Compare(_, a, b) | Op::Arithmetic(_, a, b) | Op::Concat(a, b) => {
            [a, b].into_iter().for_each(|e| columns_of(e, columns))
        }
        Op::Replace(a, b, c) => [a, b, c].into_iter().for_each(|e| columns_of(e, columns)),
        Op::Substring(a, b, c) => {
            [a, b].into_iter().chain(c).for_each(|e| columns_of(e, columns));
        }
    }
}

/// A computed column: an expression, and the type its values are stored as.
#[derive(Clone)]
pub struct Computed {
    root: Expression,
    ty: ColumnType,
    texts: Arc<dyn TextDecoder>,
}

impl fmt::Debug for Computed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Computed")
            .field("root", &self.root)
            .field("ty", &self.ty)
            .finish()
    }
}

impl Computed {
    /// Reads an expression and checks it against the columns of a table and the type of the result.
    ///
    /// # Errors
    /// All mistakes, in the order of the text (of syntax: the first).
    pub fn new(
        text: &str,
        ty: &ColumnType,
        table: &TableSchema,
        texts: Arc<dyn TextDecoder>,
    ) -> Result<Self, Vec<Mistake>> {
        let node = parse::parse(text).map_err(|m| vec![m])?;
        let mut checker = Checker {
            table,
            texts: &*texts,
            mistakes: Vec::new(),
        };
        let Some(root) = checker.expression(&node).filter(|_| checker.mistakes.is_empty()) else {
            return Err(sorted(checker.mistakes));
        };
        let takes: &[Ty] = match ty {
            ColumnType::Integer { .. } => &[Ty::Integer, Ty::Decimal, Ty::Truth],
            ColumnType::Decimal { .. } => &[Ty::Integer, Ty::Decimal],
            ColumnType::Char { .. } | ColumnType::VarChar { .. } | ColumnType::Text { .. } => &[
                Ty::Text,
                Ty::Integer,
                Ty::Decimal,
                Ty::Date,
                Ty::DateTime,
                Ty::Time,
            ],
            ColumnType::Date => &[Ty::Date],
            ColumnType::DateTime { .. } => &[Ty::DateTime, Ty::Date],
            ColumnType::Time { .. } => &[Ty::Time],
            ColumnType::Timestamp { .. } => &[Ty::Instant],
            _ => &[],
        };
        let literal = matches!(root.op, Op::Constant(Val::Text(_)));
        let is_time = matches!(
            ty,
            ColumnType::Date
                | ColumnType::DateTime { .. }
                | ColumnType::Time { .. }
                | ColumnType::Timestamp { .. }
        );
        if root.ty != Ty::Null && !takes.contains(&root.ty) && !(literal && is_time) {
            let words = format!("{} cannot be stored in this column", root.ty.words());
            return Err(vec![Mistake::new(node.at, words)]);
        }
        let computed = Self {
            root,
            ty: ty.clone(),
            texts,
        };
        if let Op::Constant(value) = &computed.root.op {
            // What is wrong with a constant is wrong with every row.
            let mut builder = RowBuilder::new();
            builder.begin(1);
            let put = computed.store(value.borrowed(), &mut builder);
            put.map_err(|why| vec![Mistake::new(node.at, why)])?;
        }
        Ok(computed)
    }

    /// Whether no row can give NULL.
    pub fn is_never_null(&self) -> bool {
        matches!(&self.root.op, Op::Constant(value) if *value != Val::Null)
    }

    /// Indexes of the columns it reads, sorted.
    pub fn columns(&self) -> Vec<usize> {
        let mut columns = Vec::new();
        columns_of(&self.root, &mut columns);
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// Computes the value for a row and appends it.
    pub(crate) fn push(&self, row: &Row, to: &mut RowBuilder) -> Result<(), NoValue> {
        let reading = Reading {
            row,
            texts: &*self.texts,
        };
        let value = self.root.value(&reading)?;
        self.store(value, to).map_err(|why| NoValue {
            at: self.root.at,
            why,
            absent: false,
        })
    }

    /// Appends a value in the form of the column.
    fn store(&self, value: Val<'_>, to: &mut RowBuilder) -> Result<(), &'static str> {
        const TOO_LARGE: &str = "the value does not fit into the column";
        if value == Val::Null {
            to.push(Value::Null);
            return Ok(());
        }
        let truth = |value| match value {
            Val::Truth(_) => convert(Conversion::TruthToInteger, value),
            other => Ok(other),
        };
        match &self.ty {
            ColumnType::Integer { bytes, unsigned } => {
                let value = truth(value)?;
                if *unsigned {
                    let Val::Integer(n) = convert(Conversion::ToUnsigned, value)? else {
                        return Err(TOO_LARGE);
                    };
                    let n = u64::try_from(n).map_err(|_| TOO_LARGE)?;
                    if *bytes < 8 && n >= 1 << (u32::from(*bytes) * 8) {
                        return Err(TOO_LARGE);
                    }
                    to.push(Value::UInt(n));
                } else {
                    let Val::Integer(n) = convert(Conversion::ToSigned, value)? else {
                        return Err(TOO_LARGE);
                    };
                    let n = i64::try_from(n).map_err(|_| TOO_LARGE)?;
                    let limit = 1_i128 << (u32::from(*bytes) * 8 - 1);
                    if i128::from(n) < -limit || i128::from(n) >= limit {
                        return Err(TOO_LARGE);
                    }
                    to.push(Value::Int(n));
                }
            }
            ColumnType::Decimal {
                precision,
                scale,
                unsigned,
            } => {
                let Val::Decimal(n) = convert(Conversion::ToSizedDecimal(*precision, *scale), value)? else {
                    return Err(TOO_LARGE);
                };
                if *unsigned && n.starts_with('-') {
                    return Err(TOO_LARGE);
                }
                to.push(Value::Decimal(&n));
            }
            ColumnType::Char { length, .. } | ColumnType::VarChar { length, .. } => {
                let Val::Text(text) = convert(Conversion::ToText(None, None), value)? else {
                    return Err(TOO_LARGE);
                };
                let is_char = matches!(self.ty, ColumnType::Char { .. });
                let text = if is_char {
                    text.trim_end_matches(' ')
                } else {
                    &*text
                };
                if text.chars().count() > *length as usize {
                    return Err(TOO_LARGE);
                }
                to.push(Value::Text(text.as_bytes()));
            }
            ColumnType::Text { tier, .. } => {
                let Val::Text(text) = convert(Conversion::ToText(None, None), value)? else {
                    return Err(TOO_LARGE);
                };
                if text.len() as u64 >= 1 << (u32::from(*tier) * 8) {
                    return Err(TOO_LARGE);
                }
                to.push(Value::Text(text.as_bytes()));
            }
            ColumnType::Date => match convert(Conversion::ToDate, value)? {
                Val::Date(date) => to.push(Value::Date(date)),
                _ => return Err(TOO_LARGE),
            },
            ColumnType::DateTime { fraction } => match convert(Conversion::ToDateTime, value)? {
                Val::DateTime(at) => to.push(Value::DateTime(CivilDateTime {
                    micros: whole(at.micros, *fraction)?,
                    ..at
                })),
                _ => return Err(TOO_LARGE),
            },
            ColumnType::Time { fraction } => match convert(Conversion::ToTime, value)? {
                Val::Time(all) => {
                    whole((all.unsigned_abs() % 1_000_000) as u32, *fraction)?;
                    to.push(Value::Time(Duration(all)));
                }
                _ => return Err(TOO_LARGE),
            },
            ColumnType::Timestamp { fraction } => match convert(Conversion::ToInstant, value)? {
                Val::Instant(micros) => {
                    whole(micros.rem_euclid(1_000_000) as u32, *fraction)?;
                    // What the type holds: up to 2038-01-19 03:14:07 UTC.
                    if !(0..=2_147_483_647_999_999).contains(&micros) {
                        return Err(TOO_LARGE);
                    }
                    to.push(Value::Timestamp(micros));
                }
                _ => return Err(TOO_LARGE),
            },
            _ => return Err("the column's type cannot be computed"),
        }
        Ok(())
    }
}

/// A fraction of a second that a column with so many digits holds.
fn whole(micros: u32, digits: u8) -> Result<u32, &'static str> {
    let unit = 10_u32.pow(6 - u32::from(digits.min(6)));
    if micros.is_multiple_of(unit) {
        Ok(micros)
    } else {
        Err("the value has more digits of a fraction of a second than the column")
    }
}

#[cfg(test)]
mod tests;
