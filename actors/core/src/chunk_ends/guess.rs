//! Guesses of the values of one key column.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::symbols::Alphabet;
use crate::{CivilDate, CivilDateTime, Column, ColumnType, Duration, Value};

const DAY: i128 = 86_400_000_000;

/// What is known of the values of one key column.
#[derive(Debug)]
pub(super) struct Scale {
    alphabet: Alphabet,
    kind: Kind,
    /// Digits behind the point.
    fraction: usize,
    /// Whether the groups of a UUID seem to be compared from the last to the first.
    turned: Option<bool>,
}

/// Texts that are not made of characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Uuid,
    Address,
    Other,
}

/// A guessed value.
#[derive(Debug)]
pub(super) enum Guess {
    Plain(Value<'static>),
    Decimal(String),
    Text(Vec<u8>),
    Bytes(Vec<u8>),
}

impl Guess {
    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Self::Plain(value) => *value,
            Self::Decimal(text) => Value::Decimal(text),
            Self::Text(text) => Value::Text(text),
            Self::Bytes(bytes) => Value::Bytes(bytes),
        }
    }
}

impl Scale {
    pub(super) fn new(column: &Column) -> Self {
        let (kind, fraction) = match column.ty {
            ColumnType::Uuid => (Kind::Uuid, 0),
            ColumnType::Inet4 | ColumnType::Inet6 => (Kind::Address, 0),
            ColumnType::Decimal { scale, .. } => (Kind::Other, usize::from(scale)),
            _ => (Kind::Other, 0),
        };
        Self {
            alphabet: Alphabet::new(column.ty.charset(), column.ty.collation()),
            kind,
            fraction,
            turned: None,
        }
    }

    /// A key has this value.
    pub(super) fn learn(&mut self, value: Value<'_>) {
        match value {
            Value::Text(text) | Value::Bytes(text) => self.alphabet.learn(text),
            _ => {}
        }
    }

    /// These are the least and the greatest value.
    pub(super) fn learn_ends(&mut self, least: Value<'_>, greatest: Value<'_>) {
        if let (Kind::Uuid, Value::Text(a), Value::Text(b)) = (self.kind, least, greatest)
            && let (Some(a), Some(b)) = (uuid(a), uuid(b))
        {
            let width = |a: u128, b: u128| b.saturating_sub(a);
            self.turned = Some(width(turned(a), turned(b)) > width(a, b));
        }
    }

    /// Whether two values seem to be one to the server.
    pub(super) fn same(&self, a: Value<'_>, b: Value<'_>) -> bool {
        match (a, b) {
            (Value::Text(a), Value::Text(b)) => self.alphabet.same(a, b),
            (a, b) => a == b,
        }
    }

    /// A value that lies behind `low` by that share of the way to `high`, and never behind `high`, as far as the server's order is
    /// known here. `None`: nothing can be said of such values.
    pub(super) fn between(&self, low: Value<'_>, high: Value<'_>, share: f64) -> Option<Guess> {
        let step = |low: i128, high: i128| step(low, high, share);
        let plain = match (low, high) {
            (Value::Int(a), Value::Int(b)) => Value::Int(i64::try_from(step(a.into(), b.into())).ok()?),
            (Value::UInt(a), Value::UInt(b)) => Value::UInt(u64::try_from(step(a.into(), b.into())).ok()?),
            (Value::Bit(a), Value::Bit(b)) => Value::Bit(u64::try_from(step(a.into(), b.into())).ok()?),
            (Value::Set(a), Value::Set(b)) => Value::Set(u64::try_from(step(a.into(), b.into())).ok()?),
            (Value::Enum(a), Value::Enum(b)) => Value::Enum(u16::try_from(step(a.into(), b.into())).ok()?),
            (Value::Year(a), Value::Year(b)) => {
                // There is none from 1 to 1900.
                let year = u16::try_from(step(a.into(), b.into())).ok()?;
                Value::Year(if year == 0 { 0 } else { year.max(1901) })
            }
            (Value::Timestamp(a), Value::Timestamp(b)) => {
                let instant = i64::try_from(step(a.into(), b.into())).ok()?;
                // 0 is the zero timestamp; the first second has none.
                Value::Timestamp(if instant == 0 { 0 } else { instant.max(1_000_000) })
            }
            (Value::Time(a), Value::Time(b)) => {
                Value::Time(Duration(i64::try_from(step(a.0.into(), b.0.into())).ok()?))
            }
            (Value::Date(a), Value::Date(b)) => Value::Date(date(step(day_number(a), day_number(b)))?),
            (Value::DateTime(a), Value::DateTime(b)) => {
                Value::DateTime(date_time(step(moment(a), moment(b)))?)
            }
            (Value::Decimal(a), Value::Decimal(b)) => return self.decimal(a, b, share).map(Guess::Decimal),
            (Value::Bytes(a), Value::Bytes(b)) => {
                return self.alphabet.between(a, b, share).map(Guess::Bytes);
            }
            (Value::Text(a), Value::Text(b)) => return self.text(a, b, share).map(Guess::Text),
            _ => return None,
        };
        Some(Guess::Plain(plain))
    }

    fn text(&self, low: &[u8], high: &[u8], share: f64) -> Option<Vec<u8>> {
        match self.kind {
            Kind::Uuid => {
                let (low, high) = (uuid(low)?, uuid(high)?);
                let guess = match self.turned {
                    Some(true) => turned_back(wide_step(turned(low), turned(high), share)),
                    _ => wide_step(low, high, share),
                };
                Some(uuid_text(guess).into_bytes())
            }
            Kind::Address => {
                let (low, high) = (std::str::from_utf8(low).ok()?, std::str::from_utf8(high).ok()?);
                if let (Ok(a), Ok(b)) = (low.parse::<Ipv4Addr>(), high.parse::<Ipv4Addr>()) {
                    let guess = step(u32::from(a).into(), u32::from(b).into(), share);
                    let address = Ipv4Addr::from(u32::try_from(guess).ok()?);
                    return Some(address.to_string().into_bytes());
                }
                let (a, b) = (low.parse::<Ipv6Addr>().ok()?, high.parse::<Ipv6Addr>().ok()?);
                let address = Ipv6Addr::from(wide_step(a.into(), b.into(), share));
                Some(address.to_string().into_bytes())
            }
            Kind::Other => self.alphabet.between(low, high, share),
        }
    }

    fn decimal(&self, low: &str, high: &str, share: f64) -> Option<String> {
        let digits = |text: &str| text.replacen('.', "", 1).parse::<i128>().ok();
        let exact = digits(low).zip(digits(high)).filter(|(a, b)| {
            let most = 10i128.pow(37);
            a.abs() < most && b.abs() < most
        });
        if let Some((a, b)) = exact {
            let n = step(a, b, share);
            let sign = if n < 0 { "-" } else { "" };
            let text = format!("{:0>width$}", n.unsigned_abs(), width = self.fraction + 1);
            let (whole, behind) = text.split_at_checked(text.len().checked_sub(self.fraction)?)?;
            let point = if behind.is_empty() { "" } else { "." };
            return Some(format!("{sign}{whole}{point}{behind}"));
        }
        let (a, b) = (low.parse::<f64>().ok()?, high.parse::<f64>().ok()?);
        let between = a + (b - a) * share;
        // Numbers that a float does not tell apart: the greater one itself.
        Some(match between > a && between < b {
            true => format!("{between:.*}", self.fraction),
            false => high.to_owned(),
        })
    }
}

/// A number behind `low`, by that share of the way to `high`; `high` where there is none or the order is another.
fn step(low: i128, high: i128, share: f64) -> i128 {
    let way = high.saturating_sub(low);
    if way <= 0 {
        return high;
    }
    // A conversion of a float saturates.
    low.saturating_add(((way as f64 * share).ceil() as i128).clamp(1, way))
}

fn wide_step(low: u128, high: u128, share: f64) -> u128 {
    match high.checked_sub(low) {
        None | Some(0) => high,
        Some(way) => low.saturating_add(((way as f64 * share).ceil() as u128).clamp(1, way)),
    }
}

/// In the order of dates, also of those that no calendar has.
fn day_number(date: CivilDate) -> i128 {
    (i128::from(date.year) * 13 + i128::from(date.month)) * 32 + i128::from(date.day)
}

/// A date that every calendar has, except the zero date, at about this number.
fn date(number: i128) -> Option<CivilDate> {
    if number <= 0 {
        return Some(CivilDate::default());
    }
    Some(CivilDate {
        year: u16::try_from(number / 32 / 13).ok()?,
        month: u8::try_from(number / 32 % 13).ok()?.max(1),
        day: u8::try_from(number % 32).ok()?.clamp(1, 28),
    })
}

fn moment(t: CivilDateTime) -> i128 {
    let seconds = (i128::from(t.hour) * 60 + i128::from(t.minute)) * 60 + i128::from(t.second);
    day_number(t.date) * DAY + seconds * 1_000_000 + i128::from(t.micros)
}

fn date_time(moment: i128) -> Option<CivilDateTime> {
    let of_day = moment.rem_euclid(DAY);
    let seconds = of_day / 1_000_000;
    Some(CivilDateTime {
        date: date(moment.div_euclid(DAY))?,
        hour: u8::try_from(seconds / 3_600).ok()?,
        minute: u8::try_from(seconds / 60 % 60).ok()?,
        second: u8::try_from(seconds % 60).ok()?,
        micros: u32::try_from(of_day % 1_000_000).ok()?,
    })
}

fn uuid(text: &[u8]) -> Option<u128> {
    let text = std::str::from_utf8(text).ok()?.replace('-', "");
    u128::from_str_radix(&text, 16).ok()
}

fn uuid_text(n: u128) -> String {
    let (a, b, c, d, e) = (
        n >> 96,
        n >> 80 & 0xffff,
        n >> 64 & 0xffff,
        n >> 48 & 0xffff,
        n & 0xffff_ffff_ffff,
    );
    format!("{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
}

/// The groups of a UUID from the last to the first.
fn turned(n: u128) -> u128 {
    let (a, b, c, d, e) = (
        n >> 96,
        n >> 80 & 0xffff,
        n >> 64 & 0xffff,
        n >> 48 & 0xffff,
        n & 0xffff_ffff_ffff,
    );
    e << 80 | d << 64 | c << 48 | b << 32 | a
}

fn turned_back(n: u128) -> u128 {
    let (e, d, c, b, a) = (
        n >> 80,
        n >> 64 & 0xffff,
        n >> 48 & 0xffff,
        n >> 32 & 0xffff,
        n & 0xffff_ffff,
    );
    a << 96 | b << 80 | c << 64 | d << 48 | e
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scale(ty: ColumnType) -> Scale {
        Scale::new(&Column {
            name: "k".into(),
            ty,
            nullable: false,
            generated: None,
            invisible: false,
        })
    }

    fn decimal() -> Scale {
        scale(ColumnType::Decimal {
            precision: 20,
            scale: 2,
            unsigned: false,
        })
    }

    #[test]
    fn decimals_keep_their_scale() {
        let of = |a, b, share| {
            let guess = decimal().between(Value::Decimal(a), Value::Decimal(b), share);
            match guess {
                Some(Guess::Decimal(text)) => text,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(of("-1.00", "1.00", 0.5), "0.00");
        assert_eq!(of("-1.00", "-0.50", 0.5), "-0.75");
        assert_eq!(of("0.00", "0.01", 0.3), "0.01");
        assert_eq!(of("0.00", "9.99", 0.0), "0.01");
        let (low, high) = ("1".repeat(60) + ".00", "2".repeat(60) + ".00");
        let between = of(&low, &high, 0.5);
        assert!(
            between.starts_with('1') && between.len() == low.len(),
            "{between}"
        );
    }

    #[test]
    fn dates_are_those_of_a_calendar() {
        let day = |year, month, day| CivilDate { year, month, day };
        for share in [0.0, 0.1, 0.37, 0.5, 0.99, 1.0] {
            let guess = scale(ColumnType::Date).between(
                Value::Date(CivilDate::default()),
                Value::Date(day(2024, 12, 31)),
                share,
            );
            let Some(Guess::Plain(Value::Date(d))) = guess else {
                panic!("{guess:?}");
            };
            assert!((1..=12).contains(&d.month) && (1..=28).contains(&d.day), "{d:?}");
        }
    }

    #[test]
    fn uuids_are_turned_where_the_ends_say_so() {
        let n = 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff_u128;
        assert_eq!(turned_back(turned(n)), n);
        assert_eq!(uuid(uuid_text(n).as_bytes()), Some(n));
        let mut scale = scale(ColumnType::Uuid);
        let (a, b) = (
            "ff000000-0000-4000-8000-000000000001",
            "11000000-0000-4000-8000-fff000000000",
        );
        let (a, b) = (Value::Text(a.as_bytes()), Value::Text(b.as_bytes()));
        scale.learn_ends(a, b);
        assert_eq!(scale.turned, Some(true));
        let Some(Guess::Text(text)) = scale.between(a, b, 0.5) else {
            panic!("no guess");
        };
        let text = String::from_utf8(text).unwrap();
        assert!(text.get(24..).unwrap().starts_with("7ff8"), "{text}");
    }

    #[test]
    fn addresses_are_addresses() {
        let addresses = scale(ColumnType::Inet6);
        let of = |a: &str, b: &str| match addresses.between(
            Value::Text(a.as_bytes()),
            Value::Text(b.as_bytes()),
            0.5,
        ) {
            Some(Guess::Text(text)) => String::from_utf8(text).unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(of("10.0.0.0", "10.0.0.16"), "10.0.0.8");
        assert_eq!(of("::", "::10"), "::8");
    }

    proptest! {
        #[test]
        fn numbers_lie_behind_the_lower_one(a in any::<i64>(), b in any::<i64>(), share in 0.0f64..=1.0) {
            let (low, high) = (a.min(b), a.max(b));
            let n = step(low.into(), high.into(), share);
            prop_assert!(n <= high.into() && (n > low.into() || low == high));
        }

        #[test]
        fn any_values_are_taken(
            a in any::<i128>(), b in any::<i128>(), share in 0.0f64..=1.0,
            text in "[-0-9.]{0,50}", other in "[-0-9.a-f:]{0,50}",
        ) {
            let _ = step(a, b, share);
            let _ = decimal().between(Value::Decimal(&text), Value::Decimal(&other), share);
            let uuids = scale(ColumnType::Uuid);
            let _ = uuids.between(Value::Text(text.as_bytes()), Value::Text(other.as_bytes()), share);
            let addresses = scale(ColumnType::Inet6);
            let _ = addresses.between(Value::Text(text.as_bytes()), Value::Text(other.as_bytes()), share);
            let _ = scale(ColumnType::Year).between(Value::Year(a as u16), Value::Year(b as u16), share);
            let _ = scale(ColumnType::Date).between(Value::Int(3), Value::Null, share);
        }
    }
}
