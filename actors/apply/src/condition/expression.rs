//! A condition that was checked, and its values.

use std::borrow::Cow;

use oms_core::{CivilDateTime, Duration, Row, Value};

use super::{
    TextDecoder, decimal, moment,
    syntax::{Comparison, Operator},
    value::{Ty, Val},
};

/// Why an expression has no value for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoValue {
    /// The character of the text at which it is, from 1.
    pub(crate) at: usize,
    /// Why.
    pub(crate) why: &'static str,
    /// The row does not carry a column.
    pub(crate) absent: bool,
}

/// An expression over the columns of one table, free of type errors.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    pub(super) at: usize,
    pub(super) ty: Ty,
    pub(super) op: Op,
}

#[derive(Clone, Debug)]
pub(super) enum Op {
    Constant(Val<'static>),
    Column(ColumnRead),
    Not(Box<Expression>),
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Xor(Box<Expression>, Box<Expression>),
    IsNull(Box<Expression>),
    /// Whether a condition is what the second says; NULL is neither.
    IsTruth(Box<Expression>, bool),
    /// Both sides are of one kind.
    Compare(Comparison, Box<Expression>, Box<Expression>),
    /// Integers, sorted.
    Among(Box<Expression>, Vec<i128>),
    Negate(Box<Expression>),
    Invert(Box<Expression>),
    Arithmetic(Operator, Box<Expression>, Box<Expression>),
    Concat(Box<Expression>, Box<Expression>),
    Substring(Box<Expression>, Box<Expression>, Option<Box<Expression>>),
    Replace(Box<Expression>, Box<Expression>, Box<Expression>),
    /// Every match of the pattern is replaced.
    ReplacePattern(Box<Expression>, regex::Regex, String),
    Convert(Conversion, Box<Expression>),
}

/// How a column is read.
#[derive(Clone, Debug)]
pub(super) struct ColumnRead {
    /// Index into the row.
    pub(super) index: usize,
    /// Its name.
    pub(super) name: String,
    /// Its characters.
    pub(super) text: TextForm,
    /// Digits of its fraction of seconds.
    pub(super) fraction: Option<u8>,
    /// Whether every server compares it with constants as we do.
    pub(super) plain: bool,
}

/// How bytes of a column become characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TextForm {
    /// They are UTF-8.
    Utf8,
    /// Those below 128 are ASCII, others need a table.
    AsciiAndMore(String),
    /// All need a table.
    Other(String),
    /// The texts of members, by number.
    Members(Vec<String>),
}

/// A change of kind. NULL stays NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conversion {
    /// An integer, or a text that is one.
    ToInteger,
    /// A number is rounded, a text must be a number.
    ToSigned,
    ToUnsigned,
    /// An integer, or a text that is a number.
    ToDecimal,
    /// With this precision and scale.
    ToSizedDecimal(u8, u8),
    /// With so many characters at most, and digits of fractions of seconds.
    ToText(Option<usize>, Option<u8>),
    ToDate,
    ToTime,
    ToDateTime,
    /// Seconds since the epoch.
    ToInstant,
    /// A truth as 1 or 0.
    TruthToInteger,
}

const OUT_OF_RANGE: &str = "the result is out of range";
const NO_INTEGER: &str = "a text is not an integer";
const NO_NUMBER: &str = "a text is not a number";

/// What a row is read with.
pub(super) struct Reading<'v> {
    pub(super) row: &'v Row,
    pub(super) texts: &'v dyn TextDecoder,
}

fn in_range(n: i128) -> Option<i128> {
    (n >= i128::from(i64::MIN) && n <= i128::from(u64::MAX)).then_some(n)
}

/// The 64 bits of an integer.
fn bits(n: i128) -> u64 {
    // Within the range of integers: negative ones as two's complement.
    n as u64
}

/// Whether one of the parts is `wanted`: then that, else its opposite.
fn decides<'v>(parts: &'v [Expression], r: &Reading<'v>, wanted: bool) -> Result<bool, NoValue> {
    for part in parts {
        if part.is_true(r)? == wanted {
            return Ok(wanted);
        }
    }
    Ok(!wanted)
}

impl Expression {
    fn no_value(&self, why: &'static str) -> NoValue {
        NoValue {
            at: self.at,
            why,
            absent: false,
        }
    }

    /// Whether it is true for a row.
    pub(super) fn is_true<'v>(&'v self, reading: &Reading<'v>) -> Result<bool, NoValue> {
        Ok(self.value(reading)?.is_true())
    }

    /// Its value for a row.
    pub(super) fn value<'v>(&'v self, r: &Reading<'v>) -> Result<Val<'v>, NoValue> {
        Ok(match &self.op {
            Op::Constant(value) => value.borrowed(),
            Op::Column(column) => self.read(column, r)?,
            Op::Not(inner) => Val::Truth(!inner.is_true(r)?),
            // What comes behind the part that decides is not computed.
            Op::And(parts) => Val::Truth(decides(parts, r, false)?),
            Op::Or(parts) => Val::Truth(decides(parts, r, true)?),
            Op::Xor(left, right) => Val::Truth(left.is_true(r)? != right.is_true(r)?),
            Op::IsNull(inner) => Val::Truth(inner.value(r)? == Val::Null),
            Op::IsTruth(inner, wanted) => {
                let value = inner.value(r)?;
                Val::Truth(value != Val::Null && value.is_true() == *wanted)
            }
            Op::Compare(comparison, left, right) => {
                let (left, right) = (left.value(r)?, right.value(r)?);
                Val::Truth(left.order(&right).is_some_and(|order| comparison.holds(order)))
            }
            Op::Among(inner, list) => match inner.value(r)? {
                Val::Integer(n) => Val::Truth(list.binary_search(&n).is_ok()),
                _ => Val::Truth(false),
            },
            Op::Negate(inner) => match inner.value(r)? {
                Val::Integer(n) => Val::Integer(in_range(-n).ok_or_else(|| self.no_value(OUT_OF_RANGE))?),
                Val::Decimal(n) => match n.strip_prefix('-') {
                    Some(positive) => Val::Decimal(Cow::Owned(positive.to_owned())),
                    None => Val::Decimal(Cow::Owned(format!("-{}", n.trim_start_matches('+')))),
                },
                _ => Val::Null,
            },
            Op::Invert(inner) => match inner.value(r)? {
                Val::Integer(n) => Val::Integer(i128::from(!bits(n))),
                _ => Val::Null,
            },
            Op::Arithmetic(operator, left, right) => match (left.value(r)?, right.value(r)?) {
                (Val::Integer(a), Val::Integer(b)) => self.compute(*operator, a, b)?,
                _ => Val::Null,
            },
            Op::Concat(left, right) => match (left.value(r)?, right.value(r)?) {
                (Val::Text(a), Val::Text(b)) => Val::Text(a + b),
                (Val::Text(a), _) | (_, Val::Text(a)) => Val::Text(a),
                _ => Val::Null,
            },
            Op::Substring(text, start, length) => {
                let (text, start) = (text.value(r)?, start.value(r)?);
                let length = match length {
                    None => Val::Integer(i128::MAX),
                    Some(length) => length.value(r)?,
                };
                match (text, start, length) {
                    (Val::Text(text), Val::Integer(start), Val::Integer(length)) => {
                        Val::Text(substring(text, start, length))
                    }
                    _ => Val::Null,
                }
            }
            Op::Replace(text, from, to) => match (text.value(r)?, from.value(r)?, to.value(r)?) {
                (Val::Text(text), Val::Text(from), to) if !from.is_empty() => {
                    let to = match &to {
                        Val::Text(to) => to,
                        _ => "",
                    };
                    Val::Text(Cow::Owned(text.replace(&*from, to)))
                }
                (text, ..) => text,
            },
            Op::ReplacePattern(text, pattern, to) => match text.value(r)? {
                Val::Text(text) => {
                    Val::Text(Cow::Owned(pattern.replace_all(&text, to.as_str()).into_owned()))
                }
                _ => Val::Null,
            },
            Op::Convert(conversion, inner) => self.convert(*conversion, inner.value(r)?)?,
        })
    }

    fn read<'v>(&self, column: &'v ColumnRead, r: &Reading<'v>) -> Result<Val<'v>, NoValue> {
        Ok(match r.row.get(column.index) {
            Value::Null => Val::Null,
            Value::Absent => {
                return Err(NoValue {
                    at: self.at,
                    why: "the change does not carry this column",
                    absent: true,
                });
            }
            _ if self.ty == Ty::Opaque => Val::Opaque,
            Value::Int(n) => Val::Integer(n.into()),
            Value::UInt(n) | Value::Bit(n) => Val::Integer(n.into()),
            Value::Year(n) => Val::Integer(n.into()),
            Value::Decimal(n) => Val::Decimal(Cow::Borrowed(n)),
            Value::Date(date) => Val::Date(date),
            Value::DateTime(moment) => Val::DateTime(moment),
            Value::Time(Duration(all)) => Val::Time(all),
            Value::Timestamp(micros) => Val::Instant(micros),
            Value::Bytes(bytes) => Val::Bytes(Cow::Borrowed(bytes)),
            Value::Text(bytes) => Val::Text(self.characters(column, bytes, r)?),
            Value::Enum(number) => match &column.text {
                TextForm::Members(members) => {
                    let member = usize::from(number).checked_sub(1).and_then(|i| members.get(i));
                    Val::Text(Cow::Borrowed(member.map_or("", String::as_str)))
                }
                _ => Val::Opaque,
            },
            Value::Float(_) | Value::Double(_) | Value::Json(_) | Value::Set(_) | Value::Geometry(_) => {
                Val::Opaque
            }
        })
    }

    fn characters<'v>(
        &self,
        column: &ColumnRead,
        bytes: &'v [u8],
        r: &Reading<'v>,
    ) -> Result<Cow<'v, str>, NoValue> {
        let undecodable = || self.no_value("a value has bytes that are not characters of its character set");
        let plain = || std::str::from_utf8(bytes).map(Cow::Borrowed);
        match &column.text {
            TextForm::Utf8 | TextForm::Members(_) => plain().map_err(|_| undecodable()),
            TextForm::AsciiAndMore(_) if bytes.is_ascii() => plain().map_err(|_| undecodable()),
            TextForm::AsciiAndMore(charset) | TextForm::Other(charset) => {
                let text = r.texts.decode(charset, bytes).ok_or_else(undecodable)?;
                Ok(Cow::Owned(text))
            }
        }
    }

    fn compute(&self, operator: Operator, a: i128, b: i128) -> Result<Val<'static>, NoValue> {
        let shift = |by: i128| u32::try_from(by).ok().filter(|by| *by < 64);
        let result = match operator {
            Operator::Add => a.checked_add(b),
            Operator::Subtract => a.checked_sub(b),
            Operator::Multiply => a.checked_mul(b),
            Operator::Divide | Operator::Remainder if b == 0 => return Ok(Val::Null),
            Operator::Divide => a.checked_div(b),
            Operator::Remainder => a.checked_rem(b),
            Operator::BitAnd => Some((bits(a) & bits(b)).into()),
            Operator::BitOr => Some((bits(a) | bits(b)).into()),
            Operator::BitXor => Some((bits(a) ^ bits(b)).into()),
            Operator::ShiftLeft => Some(shift(b).map_or(0, |by| bits(a) << by).into()),
            Operator::ShiftRight => Some(shift(b).map_or(0, |by| bits(a) >> by).into()),
        };
        let result = result.and_then(in_range);
        result
            .map(Val::Integer)
            .ok_or_else(|| self.no_value(OUT_OF_RANGE))
    }

    fn convert<'v>(&self, conversion: Conversion, value: Val<'v>) -> Result<Val<'v>, NoValue> {
        convert(conversion, value).map_err(|why| self.no_value(why))
    }
}

/// Converts a value whose kind the conversion takes.
pub(super) fn convert(conversion: Conversion, value: Val<'_>) -> Result<Val<'_>, &'static str> {
    use Conversion as C;
    let integer = |n: Option<i128>| n.and_then(in_range).map(Val::Integer).ok_or(OUT_OF_RANGE);
    let whole_of = |text: &str| {
        let number = decimal::read(text)
            .filter(|n| !n.contains('.'))
            .ok_or(NO_INTEGER)?;
        integer(number.parse().ok())
    };
    Ok(match (conversion, value) {
        (_, Val::Null) => Val::Null,
        (C::TruthToInteger, Val::Truth(truth)) => Val::Integer(truth.into()),
        (C::ToInteger, Val::Text(text)) => whole_of(&text)?,
        (C::ToInteger, value) => value,
        (C::ToSigned, Val::Integer(n)) => integer(i64::try_from(n).ok().map(i128::from))?,
        (C::ToUnsigned, Val::Integer(n)) => integer(u64::try_from(n).ok().map(i128::from))?,
        (C::ToSigned | C::ToUnsigned, Val::Decimal(n)) => convert(conversion, integer(decimal::whole(&n))?)?,
        (C::ToSigned | C::ToUnsigned, Val::Text(text)) => {
            let number = decimal::read(&text).ok_or(NO_NUMBER)?;
            convert(conversion, integer(decimal::whole(number))?)?
        }
        (C::ToDecimal, Val::Integer(n)) => Val::Decimal(Cow::Owned(n.to_string())),
        (C::ToDecimal, Val::Text(text)) => {
            let number = decimal::read(&text).ok_or(NO_NUMBER)?;
            Val::Decimal(Cow::Owned(number.to_owned()))
        }
        (C::ToDecimal, value) => value,
        (C::ToSizedDecimal(precision, scale), value) => {
            let Val::Decimal(n) = convert(C::ToDecimal, value)? else {
                return Ok(Val::Null);
            };
            Val::Decimal(Cow::Owned(
                decimal::fit(&n, precision, scale).ok_or(OUT_OF_RANGE)?,
            ))
        }
        (C::ToText(most, digits), value) => {
            let text = match value {
                Val::Text(text) => text,
                Val::Integer(n) => Cow::Owned(n.to_string()),
                Val::Decimal(n) => n,
                Val::Date(date) => Cow::Owned(moment::show_date(date)),
                Val::DateTime(at) => Cow::Owned(moment::show_date_time(at, digits)),
                Val::Time(all) => Cow::Owned(moment::show_time(Duration(all), digits)),
                other => return Ok(other),
            };
            Val::Text(match most {
                None => text,
                Some(most) => substring(text, 1, most as i128),
            })
        }
        (C::ToDate, Val::DateTime(at)) => Val::Date(at.date),
        (C::ToDate, Val::Text(text)) => {
            Val::Date(moment::date_time(&text).ok_or("a text is not a date")?.0.date)
        }
        (C::ToDateTime, Val::Date(date)) => Val::DateTime(CivilDateTime {
            date,
            ..CivilDateTime::default()
        }),
        (C::ToDateTime, Val::Text(text)) => {
            Val::DateTime(moment::date_time(&text).ok_or("a text is not a date and time")?.0)
        }
        (C::ToTime, Val::DateTime(at)) => Val::Time(
            (i64::from(at.hour) * 3_600 + i64::from(at.minute) * 60 + i64::from(at.second)) * 1_000_000
                + i64::from(at.micros),
        ),
        (C::ToTime, Val::Text(text)) => Val::Time(moment::time(&text).ok_or("a text is not a time")?),
        (C::ToInstant, Val::Integer(seconds)) => {
            let micros = seconds.checked_mul(1_000_000).and_then(|m| i64::try_from(m).ok());
            Val::Instant(micros.ok_or(OUT_OF_RANGE)?)
        }
        (C::ToInstant, Val::Text(text)) => {
            Val::Instant(moment::instant(&text).ok_or("a text is not a date and time with an optional zone")?)
        }
        (C::TruthToInteger | C::ToSigned | C::ToUnsigned, value)
        | (C::ToDate | C::ToDateTime | C::ToTime | C::ToInstant, value) => value,
    })
}

/// `length` characters from number `start` on, which counts from 1, or from the end if it is negative.
fn substring(text: Cow<'_, str>, start: i128, length: i128) -> Cow<'_, str> {
    let all = text.chars().count() as i128;
    let skipped = if start < 0 { all + start } else { start - 1 };
    if start == 0 || length <= 0 || skipped < 0 || skipped >= all {
        return Cow::Borrowed("");
    }
    let byte = |characters: i128| {
        let n = usize::try_from(characters).unwrap_or(usize::MAX);
        text.char_indices().nth(n).map_or(text.len(), |(i, _)| i)
    };
    let (begin, end) = (byte(skipped), byte(skipped.saturating_add(length)));
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(begin..end).unwrap_or("")),
        Cow::Owned(text) => Cow::Owned(text.get(begin..end).unwrap_or("").to_owned()),
    }
}
