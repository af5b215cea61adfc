//! Dates and times as text.

use oms_core::{CivilDate, CivilDateTime, Duration};

use crate::number;

/// How a fraction of a second is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fraction {
    /// Without zeros at its end, and not at all if it is zero.
    Trimmed,
    /// With exactly so many digits, 0 to 6; no point for none.
    Digits(u8),
}

/// Appends a number with at least so many digits.
pub(crate) fn padded(value: u64, digits: u32, out: &mut Vec<u8>) {
    let mut bound = 1u64;
    for _ in 1..digits {
        bound = bound.saturating_mul(10);
    }
    while value < bound && bound > 1 {
        out.push(b'0');
        bound /= 10;
    }
    number::unsigned(value, out);
}

fn fraction(micros: u32, form: Fraction, out: &mut Vec<u8>) {
    let (mut value, mut digits) = (u64::from(micros), 6u8);
    match form {
        Fraction::Digits(wanted) => {
            for _ in wanted.min(6)..6 {
                value /= 10;
                digits -= 1;
            }
        }
        Fraction::Trimmed => {
            while digits > 0 && value % 10 == 0 {
                value /= 10;
                digits -= 1;
            }
        }
    }
    if digits > 0 {
        out.push(b'.');
        padded(value, u32::from(digits), out);
    }
}

/// `YYYY-MM-DD`: zero and partial dates as they are.
pub(crate) fn date(date: CivilDate, out: &mut Vec<u8>) {
    padded(u64::from(date.year), 4, out);
    out.push(b'-');
    padded(u64::from(date.month), 2, out);
    out.push(b'-');
    padded(u64::from(date.day), 2, out);
}

/// A date, something between, a time of day.
pub(crate) fn date_time(at: CivilDateTime, between: u8, form: Fraction, out: &mut Vec<u8>) {
    date(at.date, out);
    out.push(between);
    padded(u64::from(at.hour), 2, out);
    out.push(b':');
    padded(u64::from(at.minute), 2, out);
    out.push(b':');
    padded(u64::from(at.second), 2, out);
    fraction(at.micros, form, out);
}

/// `HH:mm:ss` with as many digits of hours as there are, and a sign if it is negative.
pub(crate) fn time(span: Duration, form: Fraction, out: &mut Vec<u8>) {
    if span.0 < 0 {
        out.push(b'-');
    }
    let micros = span.0.unsigned_abs();
    let seconds = micros / 1_000_000;
    padded(seconds / 3_600, 2, out);
    out.push(b':');
    padded(seconds / 60 % 60, 2, out);
    out.push(b':');
    padded(seconds % 60, 2, out);
    fraction((micros % 1_000_000) as u32, form, out);
}

/// `<seconds>[.f]` since 1970 of an instant in microseconds.
pub(crate) fn unix_seconds(micros: i64, out: &mut Vec<u8>) {
    if micros < 0 {
        out.push(b'-');
    }
    let micros = micros.unsigned_abs();
    number::unsigned(micros / 1_000_000, out);
    fraction((micros % 1_000_000) as u32, Fraction::Trimmed, out);
}

/// Whether the calendar has this date.
pub(crate) fn possible(date: CivilDate) -> bool {
    let CivilDate { year, month, day } = date;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// Days from 1970-01-01 to a date; `None` where the calendar does not have it.
pub(crate) fn epoch_days(date: CivilDate) -> Option<i64> {
    if !possible(date) {
        return None;
    }
    let at = CivilDateTime {
        date,
        ..CivilDateTime::default()
    };
    at.to_epoch_micros()
        .map(|micros| micros.div_euclid(86_400_000_000))
}

/// `YYYY-MM-DDTHH:mm:ss` of Unix seconds in a zone; the epoch where the year has more than four digits.
pub(crate) fn zoned_seconds(seconds: i64, zone_seconds: i32, out: &mut Vec<u8>) {
    let micros = seconds
        .saturating_add(i64::from(zone_seconds))
        .saturating_mul(1_000_000);
    let at = CivilDateTime::from_epoch_micros(micros)
        .or_else(|| CivilDateTime::from_epoch_micros(0))
        .unwrap_or_default();
    date_time(at, b'T', Fraction::Digits(0), out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(f: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        f(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn spans_and_instants() {
        let t = |micros, form| text(|o| time(Duration(micros), form, o));
        assert_eq!(t(37_230_250_000, Fraction::Trimmed), "10:20:30.25");
        assert_eq!(t(-3_020_399_000_001, Fraction::Trimmed), "-838:59:59.000001");
        assert_eq!(t(1_000_000, Fraction::Digits(3)), "00:00:01.000");
        assert_eq!(text(|o| unix_seconds(1_709_605_230_120_000, o)), "1709605230.12");
        assert_eq!(text(|o| unix_seconds(-1_500_000, o)), "-1.5");
        assert_eq!(
            text(|o| zoned_seconds(1_709_605_230, 28_800, o)),
            "2024-03-05T10:20:30"
        );
    }

    #[test]
    fn impossible_dates_are_none() {
        let d = |year, month, day| CivilDate { year, month, day };
        assert_eq!(epoch_days(d(2024, 3, 5)), Some(19_787));
        assert_eq!(epoch_days(d(1969, 12, 31)), Some(-1));
        assert_eq!(epoch_days(d(2024, 2, 29)), Some(19_782));
        assert_eq!(epoch_days(d(2023, 2, 29)), None);
        assert_eq!(epoch_days(d(2024, 0, 1)), None);
        assert_eq!(epoch_days(d(0, 0, 0)), None);
        assert_eq!(text(|o| date(d(0, 0, 0), o)), "0000-00-00");
    }
}
