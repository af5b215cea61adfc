//! From what was written to what can be evaluated: columns are found, kinds are checked, constants converted.

use std::borrow::Cow;

use oms_core::{Column, ColumnType, TableSchema};

use super::{
    Mistake, TextDecoder,
    expression::{ColumnRead, Conversion, Expression, Op, TextForm, convert},
    syntax::{Comparison, Node, NodeKind, Operator, Target},
    value::{Ty, Val},
};

/// What expressions are checked against. Collects all mistakes.
pub(super) struct Checker<'t> {
    pub(super) table: &'t TableSchema,
    pub(super) texts: &'t dyn TextDecoder,
    pub(super) mistakes: Vec<Mistake>,
}

/// Functions, with the numbers of arguments they take.
const FUNCTIONS: &[(&str, std::ops::RangeInclusive<usize>)] = &[
    ("CONCAT", 2..=2),
    ("SUBSTR", 2..=3),
    ("SUBSTRING", 2..=3),
    ("REPLACE", 3..=3),
    ("REGEXP_REPLACE", 3..=3),
];

fn made(at: usize, ty: Ty, op: Op) -> Expression {
    Expression { at, ty, op }
}

fn constant(at: usize, ty: Ty, value: Val<'static>) -> Expression {
    made(at, ty, Op::Constant(value))
}

fn is_utf8(charset: &str) -> bool {
    ["utf8", "utf8mb3", "utf8mb4", "ascii"].contains(&charset)
}

/// Character sets in which bytes below 128 that stand alone in a value are ASCII characters.
fn holds_ascii(charset: &str) -> bool {
    ["latin1", "latin2", "gbk", "gb18030", "gb2312"].contains(&charset)
}

impl Checker<'_> {
    fn wrong(&mut self, at: usize, what: impl Into<String>) -> Option<Expression> {
        self.mistakes.push(Mistake::new(at, what));
        None
    }

    /// A condition: something that is true or not.
    pub(super) fn condition(&mut self, node: &Node) -> Option<Expression> {
        let found = self.expression(node)?;
        match found.ty {
            Ty::Truth | Ty::Integer | Ty::Null => Some(found),
            other => {
                let words = format!("{} is not a condition: compare it with something", other.words());
                self.wrong(node.at, words)
            }
        }
    }

    fn conditions(&mut self, nodes: &[Node]) -> Option<Vec<Expression>> {
        let parts: Vec<_> = nodes.iter().map(|n| self.condition(n)).collect();
        parts.into_iter().collect()
    }

    /// An expression of any kind.
    pub(super) fn expression(&mut self, node: &Node) -> Option<Expression> {
        let at = node.at;
        let made = |ty, op| Some(made(at, ty, op));
        match &node.kind {
            NodeKind::Null => Some(constant(at, Ty::Null, Val::Null)),
            NodeKind::Truth(truth) => Some(constant(at, Ty::Truth, Val::Truth(*truth))),
            NodeKind::Integer(digits) => Some(number(at, digits)),
            NodeKind::Decimal(digits) => Some(constant(
                at,
                Ty::Decimal,
                Val::Decimal(Cow::Owned(digits.clone())),
            )),
            NodeKind::Text(text) => Some(constant(at, Ty::Text, Val::Text(Cow::Owned(text.clone())))),
            NodeKind::Bytes(bytes) => Some(constant(at, Ty::Bytes, Val::Bytes(Cow::Owned(bytes.clone())))),
            NodeKind::Column(name) => self.column(at, name),
            NodeKind::Not(inner) => {
                let inner = self.condition(inner)?;
                made(Ty::Truth, Op::Not(Box::new(inner)))
            }
            NodeKind::Plus(inner) => {
                let inner = self.expression(inner)?;
                self.numeric(inner, "+")
            }
            NodeKind::Minus(inner) => {
                let inner = self.expression(inner)?;
                let inner = self.numeric(inner, "-")?;
                // The smallest integer is written with a sign in front of a number that is too large by itself.
                if let (Ty::Decimal, Op::Constant(Val::Decimal(digits))) = (inner.ty, &inner.op)
                    && !digits.contains('.')
                    && let Ok(n) = format!("-{digits}").parse::<i64>()
                {
                    return Some(constant(at, Ty::Integer, Val::Integer(n.into())));
                }
                if let Op::Constant(Val::Integer(n)) = &inner.op
                    && *n <= 1 << 63
                {
                    return Some(constant(at, Ty::Integer, Val::Integer(-n)));
                }
                made(inner.ty, Op::Negate(Box::new(inner)))
            }
            NodeKind::Invert(inner) => {
                let inner = self.integer(inner, "~")?;
                made(Ty::Integer, Op::Invert(Box::new(inner)))
            }
            NodeKind::And(parts) => made(Ty::Truth, Op::And(self.conditions(parts)?)),
            NodeKind::Or(parts) => made(Ty::Truth, Op::Or(self.conditions(parts)?)),
            NodeKind::Xor(left, right) => {
                let (left, right) = (self.condition(left), self.condition(right));
                made(Ty::Truth, Op::Xor(Box::new(left?), Box::new(right?)))
            }
            NodeKind::IsNull(inner, negated) => {
                let inner = match &inner.kind {
                    NodeKind::Column(name) => self.any_column(inner.at, name),
                    _ => self.expression(inner),
                }?;
                Some(negate(
                    *negated,
                    self::made(at, Ty::Truth, Op::IsNull(Box::new(inner))),
                ))
            }
            NodeKind::IsTruth(inner, wanted, negated) => {
                let inner = self.condition(inner)?;
                let is = self::made(at, Ty::Truth, Op::IsTruth(Box::new(inner), *wanted));
                Some(negate(*negated, is))
            }
            NodeKind::Compare(comparison, left, right) => {
                let (left, right) = (self.expression(left), self.expression(right));
                self.compare(at, *comparison, left?, right?)
            }
            NodeKind::Between(inner, low, high, negated) => {
                let (inner, low, high) = (
                    self.expression(inner),
                    self.expression(low),
                    self.expression(high),
                );
                let (inner, low, high) = (inner?, low?, high?);
                let least = self.compare(at, Comparison::GreaterOrEqual, inner.clone(), low);
                let most = self.compare(at, Comparison::LessOrEqual, inner, high);
                let both = self::made(at, Ty::Truth, Op::And(vec![least?, most?]));
                Some(negate(*negated, both))
            }
            NodeKind::In(inner, list, negated) => {
                let inner = self.expression(inner);
                let list: Vec<_> = list.iter().map(|n| self.expression(n)).collect();
                let list: Vec<Expression> = list.into_iter().collect::<Option<_>>()?;
                Some(negate(*negated, self.among(at, inner?, list)?))
            }
            NodeKind::Arithmetic(operator, left, right) => {
                let symbol = symbol(*operator);
                let (left, right) = (self.integer(left, symbol), self.integer(right, symbol));
                made(
                    Ty::Integer,
                    Op::Arithmetic(*operator, Box::new(left?), Box::new(right?)),
                )
            }
            NodeKind::Call(name, arguments) => self.call(at, name, arguments),
            NodeKind::Cast(inner, target) => {
                let inner = self.expression(inner)?;
                self.cast(at, inner, *target)
            }
        }
    }

    /// A column whose values can be looked at.
    fn column(&mut self, at: usize, name: &str) -> Option<Expression> {
        let found = self.any_column(at, name)?;
        if found.ty != Ty::Opaque {
            return Some(found);
        }
        let ty = match &found.op {
            Op::Column(read) => self.table.columns.get(read.index).map(|c| &c.ty),
            _ => None,
        };
        let why = match ty {
            Some(ColumnType::Float | ColumnType::Double) => {
                "floating point values are not exact and cannot be compared; only IS NULL is possible"
                    .to_owned()
            }
            Some(other) => match other.charset() {
                Some(charset) if !matches!(other, ColumnType::Set { .. }) => {
                    format!("its character set {charset} is not known; only IS NULL is possible")
                }
                _ => "values of its type cannot be used; only IS NULL is possible".to_owned(),
            },
            None => "it cannot be used".to_owned(),
        };
        self.wrong(at, format!("column `{name}`: {why}"))
    }

    /// Any column, if only to test it for NULL.
    fn any_column(&mut self, at: usize, name: &str) -> Option<Expression> {
        let Some(index) = self.table.column_index(name) else {
            let words = format!("{} has no column `{name}`", self.table.name);
            return self.wrong(at, words);
        };
        let column = self.table.columns.get(index)?;
        let (ty, text) = kind(column, self.texts);
        let fraction = match column.ty {
            ColumnType::Time { fraction }
            | ColumnType::DateTime { fraction }
            | ColumnType::Timestamp { fraction } => Some(fraction),
            _ => None,
        };
        let read = ColumnRead {
            index,
            name: column.name.clone(),
            text,
            fraction,
            plain: matches!(
                column.ty,
                ColumnType::Integer { .. } | ColumnType::Date | ColumnType::DateTime { .. }
            ),
        };
        Some(made(at, ty, Op::Column(read)))
    }

    fn numeric(&mut self, inner: Expression, symbol: &str) -> Option<Expression> {
        match inner.ty {
            Ty::Integer | Ty::Decimal | Ty::Null => Some(inner),
            other => {
                let words = format!("{symbol} takes a number, not {}", other.words());
                self.wrong(inner.at, words)
            }
        }
    }

    fn integer(&mut self, node: &Node, symbol: &str) -> Option<Expression> {
        let inner = self.expression(node)?;
        match inner.ty {
            Ty::Integer | Ty::Null => Some(inner),
            other => {
                let words = format!(
                    "{symbol} takes integers, not {}; CAST(… AS SIGNED) makes one",
                    other.words()
                );
                self.wrong(node.at, words)
            }
        }
    }

    fn text(&mut self, node: &Node, function: &str) -> Option<Expression> {
        let inner = self.expression(node)?;
        match inner.ty {
            Ty::Text | Ty::Null => Some(inner),
            other => {
                let words = format!(
                    "{function} takes texts, not {}; CAST(… AS CHAR) makes one",
                    other.words()
                );
                self.wrong(node.at, words)
            }
        }
    }

    fn among(&mut self, at: usize, inner: Expression, list: Vec<Expression>) -> Option<Expression> {
        let integer = |e: &Expression| match &e.op {
            Op::Constant(Val::Integer(n)) => Some(Some(*n)),
            Op::Constant(Val::Null) => Some(None),
            _ => None,
        };
        if inner.ty == Ty::Integer
            && let Some(constants) = list.iter().map(integer).collect::<Option<Vec<_>>>()
        {
            let mut constants: Vec<i128> = constants.into_iter().flatten().collect();
            constants.sort_unstable();
            return Some(made(at, Ty::Truth, Op::Among(Box::new(inner), constants)));
        }
        let each: Vec<_> = list
            .into_iter()
            .map(|one| self.compare(one.at, Comparison::Equal, inner.clone(), one))
            .collect();
        let each: Vec<Expression> = each.into_iter().collect::<Option<_>>()?;
        Some(made(at, Ty::Truth, Op::Or(each)))
    }

    fn compare(
        &mut self,
        at: usize,
        comparison: Comparison,
        left: Expression,
        right: Expression,
    ) -> Option<Expression> {
        let Some((to_left, to_right)) = common(&left, &right) else {
            let mut words = format!("{} cannot be compared with {}", left.ty.words(), right.ty.words());
            if [left.ty, right.ty].contains(&Ty::Text) {
                words.push_str("; use CAST");
            }
            return self.wrong(at, words);
        };
        let (left, right) = (self.converted(left, to_left), self.converted(right, to_right));
        Some(made(
            at,
            Ty::Truth,
            Op::Compare(comparison, Box::new(left?), Box::new(right?)),
        ))
    }

    /// The expression with a conversion around it, which constants undergo here and now.
    fn converted(&mut self, inner: Expression, conversion: Option<Conversion>) -> Option<Expression> {
        let Some(conversion) = conversion else {
            return Some(inner);
        };
        let (at, ty) = (inner.at, result(conversion));
        match inner.op {
            Op::Constant(value) => match convert(conversion, value) {
                Ok(value) => Some(constant(at, ty, value)),
                Err(why) => {
                    let expected = match conversion {
                        Conversion::ToDate | Conversion::ToDateTime => {
                            "; a date is written 'yyyy-MM-dd' or 'yyyy-MM-dd HH:mm:ss'"
                        }
                        Conversion::ToInstant => "; it is written 'yyyy-MM-dd HH:mm:ss +08:00'",
                        Conversion::ToTime => "; a time is written 'HH:mm:ss'",
                        _ => "",
                    };
                    self.wrong(at, format!("{why}{expected}"))
                }
            },
            op => Some(made(
                at,
                ty,
                Op::Convert(conversion, Box::new(made(at, inner.ty, op))),
            )),
        }
    }

    fn call(&mut self, at: usize, name: &str, arguments: &[Node]) -> Option<Expression> {
        let Some((_, counts)) = FUNCTIONS.iter().find(|(known, _)| *known == name) else {
            let known: Vec<_> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
            let words = format!(
                "the function {name} is not supported; there are {} and CAST",
                known.join(", ")
            );
            return self.wrong(at, words);
        };
        if !counts.contains(&arguments.len()) {
            let (least, most) = (counts.start(), counts.end());
            let wanted = if least == most {
                format!("{least}")
            } else {
                format!("{least} or {most}")
            };
            return self.wrong(
                at,
                format!("{name} takes {wanted} arguments, not {}", arguments.len()),
            );
        }
        let made = |op| Some(made(at, Ty::Text, op));
        match (name, arguments) {
            ("CONCAT", [a, b]) => {
                let (a, b) = (self.text(a, name), self.text(b, name));
                made(Op::Concat(Box::new(a?), Box::new(b?)))
            }
            ("REPLACE", [text, from, to]) => {
                let (text, from, to) = (self.text(text, name), self.text(from, name), self.text(to, name));
                made(Op::Replace(Box::new(text?), Box::new(from?), Box::new(to?)))
            }
            ("REGEXP_REPLACE", [text, pattern, to]) => {
                let text = self.text(text, name);
                let (pattern, to) = (self.pattern(pattern), self.replacement(to));
                made(Op::ReplacePattern(Box::new(text?), pattern?, to?))
            }
            (_, [text, start, rest @ ..]) => {
                let text = self.text(text, name);
                let start = self.integer(start, name);
                let length = match rest.first() {
                    None => None,
                    Some(length) => Some(self.integer(length, name)?),
                };
                made(Op::Substring(
                    Box::new(text?),
                    Box::new(start?),
                    length.map(Box::new),
                ))
            }
            _ => None,
        }
    }

    fn pattern(&mut self, node: &Node) -> Option<regex::Regex> {
        let NodeKind::Text(text) = &node.kind else {
            self.wrong(node.at, "the pattern must be a text in quotes");
            return None;
        };
        let built = regex::RegexBuilder::new(text).size_limit(1 << 20).build();
        match built {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                let line = error
                    .to_string()
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim()
                    .to_owned();
                self.wrong(
                    node.at,
                    format!("the pattern is not a regular expression: {line}"),
                );
                None
            }
        }
    }

    /// `$1` stands for the first group, `\$` for a dollar sign.
    fn replacement(&mut self, node: &Node) -> Option<String> {
        let NodeKind::Text(text) = &node.kind else {
            self.wrong(node.at, "the replacement must be a text in quotes");
            return None;
        };
        let mut out = String::new();
        let mut characters = text.chars().peekable();
        while let Some(c) = characters.next() {
            match c {
                '\\' => match characters.next() {
                    Some('$') | None => out.push_str("$$"),
                    Some(other) => out.push(other),
                },
                '$' => match characters.next_if(char::is_ascii_digit) {
                    Some(group) => {
                        out.push_str("${");
                        out.push(group);
                        out.push('}');
                    }
                    None => out.push_str("$$"),
                },
                c => out.push(c),
            }
        }
        Some(out)
    }

    fn cast(&mut self, at: usize, inner: Expression, target: Target) -> Option<Expression> {
        let digits = match &inner.op {
            Op::Column(read) => read.fraction,
            _ => None,
        };
        let (conversion, takes): (Conversion, &[Ty]) = match target {
            Target::Char(most) => (
                Conversion::ToText(most, digits),
                &[
                    Ty::Text,
                    Ty::Integer,
                    Ty::Decimal,
                    Ty::Date,
                    Ty::DateTime,
                    Ty::Time,
                ],
            ),
            Target::Decimal(p, s) => (
                Conversion::ToSizedDecimal(p, s),
                &[Ty::Decimal, Ty::Integer, Ty::Text],
            ),
            Target::Signed => (Conversion::ToSigned, &[Ty::Integer, Ty::Decimal, Ty::Text]),
            Target::Unsigned => (Conversion::ToUnsigned, &[Ty::Integer, Ty::Decimal, Ty::Text]),
            Target::Date => (Conversion::ToDate, &[Ty::Date, Ty::DateTime, Ty::Text]),
            Target::Time => (Conversion::ToTime, &[Ty::Time, Ty::DateTime, Ty::Text]),
            Target::DateTime => (Conversion::ToDateTime, &[Ty::DateTime, Ty::Date, Ty::Text]),
        };
        if inner.ty == Ty::Truth {
            let inner = self.converted(inner, Some(Conversion::TruthToInteger))?;
            return self.cast(at, inner, target);
        }
        if inner.ty == Ty::Null || takes.contains(&inner.ty) {
            return self.converted(inner, Some(conversion));
        }
        let zone = if inner.ty == Ty::Instant {
            ": how it reads depends on a time zone; compare it with a text that names one"
        } else {
            ""
        };
        let words = format!(
            "{} cannot be cast to {}{zone}",
            inner.ty.words(),
            result(conversion).words()
        );
        self.wrong(at, words)
    }
}

fn negate(negated: bool, inner: Expression) -> Expression {
    if negated {
        made(inner.at, Ty::Truth, Op::Not(Box::new(inner)))
    } else {
        inner
    }
}

/// An integer, or a decimal number where it is too large for one.
fn number(at: usize, digits: &str) -> Expression {
    match digits.parse::<u64>() {
        Ok(n) => constant(at, Ty::Integer, Val::Integer(n.into())),
        Err(_) => constant(at, Ty::Decimal, Val::Decimal(Cow::Owned(digits.to_owned()))),
    }
}

fn symbol(operator: Operator) -> &'static str {
    match operator {
        Operator::Add => "+",
        Operator::Subtract => "-",
        Operator::Multiply => "*",
        Operator::Divide => "/",
        Operator::Remainder => "%",
        Operator::BitAnd => "&",
        Operator::BitOr => "|",
        Operator::BitXor => "^",
        Operator::ShiftLeft => "<<",
        Operator::ShiftRight => ">>",
    }
}

fn result(conversion: Conversion) -> Ty {
    match conversion {
        Conversion::ToInteger
        | Conversion::ToSigned
        | Conversion::ToUnsigned
        | Conversion::TruthToInteger => Ty::Integer,
        Conversion::ToDecimal | Conversion::ToSizedDecimal(..) => Ty::Decimal,
        Conversion::ToText(..) => Ty::Text,
        Conversion::ToDate => Ty::Date,
        Conversion::ToTime => Ty::Time,
        Conversion::ToDateTime => Ty::DateTime,
        Conversion::ToInstant => Ty::Instant,
    }
}

/// How two sides become of one kind; `None`: they cannot.
fn common(left: &Expression, right: &Expression) -> Option<(Option<Conversion>, Option<Conversion>)> {
    if left.ty == right.ty && left.ty != Ty::Opaque {
        return Some((None, None));
    }
    if left.ty == Ty::Null || right.ty == Ty::Null {
        return Some((None, None));
    }
    one_way(left, right).or_else(|| one_way(right, left).map(|(r, l)| (l, r)))
}

/// As [`common`], for one order of the kinds.
fn one_way(left: &Expression, right: &Expression) -> Option<(Option<Conversion>, Option<Conversion>)> {
    use Conversion as C;
    let literal = matches!(right.op, Op::Constant(_));
    Some(match (left.ty, right.ty) {
        (Ty::Decimal, Ty::Integer | Ty::Text) => (None, Some(C::ToDecimal)),
        (Ty::Integer, Ty::Text) => (None, Some(C::ToInteger)),
        (Ty::Integer, Ty::Truth) if literal => (None, Some(C::TruthToInteger)),
        (Ty::DateTime, Ty::Date) => (None, Some(C::ToDateTime)),
        (Ty::DateTime, Ty::Text) if literal => (None, Some(C::ToDateTime)),
        // A date beside a text with a time is a moment: midnight.
        (Ty::Date, Ty::Text) if literal => (Some(C::ToDateTime), Some(C::ToDateTime)),
        (Ty::Time, Ty::Text) if literal => (None, Some(C::ToTime)),
        (Ty::Instant, Ty::Integer) => (None, Some(C::ToInstant)),
        (Ty::Instant, Ty::Text) if literal => (None, Some(C::ToInstant)),
        _ => return None,
    })
}

/// Of which kind the values of a column are, and how characters are read.
fn kind(column: &Column, texts: &dyn TextDecoder) -> (Ty, TextForm) {
    let plain = TextForm::Utf8;
    match &column.ty {
        ColumnType::Integer { .. } | ColumnType::Year | ColumnType::Bit { .. } => (Ty::Integer, plain),
        ColumnType::Decimal { .. } => (Ty::Decimal, plain),
        ColumnType::Date => (Ty::Date, plain),
        ColumnType::DateTime { .. } => (Ty::DateTime, plain),
        ColumnType::Time { .. } => (Ty::Time, plain),
        ColumnType::Timestamp { .. } => (Ty::Instant, plain),
        ColumnType::Binary { .. } | ColumnType::VarBinary { .. } | ColumnType::Blob { .. } => {
            (Ty::Bytes, plain)
        }
        ColumnType::Uuid | ColumnType::Inet4 | ColumnType::Inet6 => (Ty::Text, plain),
        ColumnType::Enum { members, .. } => (Ty::Text, TextForm::Members(members.clone())),
        ColumnType::Char { charset, .. }
        | ColumnType::VarChar { charset, .. }
        | ColumnType::Text { charset, .. } => {
            let charset = charset.to_lowercase();
            if is_utf8(&charset) {
                (Ty::Text, plain)
            } else if !texts.is_known(&charset) {
                (Ty::Opaque, plain)
            } else if holds_ascii(&charset) {
                (Ty::Text, TextForm::AsciiAndMore(charset))
            } else {
                (Ty::Text, TextForm::Other(charset))
            }
        }
        ColumnType::Float
        | ColumnType::Double
        | ColumnType::Set { .. }
        | ColumnType::Json
        | ColumnType::Geometry { .. } => (Ty::Opaque, plain),
    }
}
