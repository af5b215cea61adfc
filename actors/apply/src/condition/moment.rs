//! Dates and times as texts.

use oms_core::{CivilDate, CivilDateTime, Duration, format_fraction};

/// Minutes east of Greenwich of a TIMESTAMP literal without a zone: as in OMS.
pub(super) const DEFAULT_ZONE_MINUTES: i64 = 8 * 60;

fn number<T: std::str::FromStr>(text: &str, least: usize, most: usize) -> Option<T> {
    let fits = (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// `2024-02-29`. Days, months and years may be zero, as the servers allow.
pub(super) fn date(text: &str) -> Option<CivilDate> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let year: u16 = number(year, 4, 4)?;
    let (month, day): (u8, u8) = (number(month, 1, 2)?, number(day, 1, 2)?);
    let days = match month {
        2 if is_leap(year) || year == 0 => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        0..=12 => 31,
        _ => return None,
    };
    (day <= days).then_some(CivilDate { year, month, day })
}

/// `10:20:30.5`: hours, minutes, seconds and microseconds.
fn clock(text: &str) -> Option<(u64, u8, u8, u32)> {
    let mut parts = text.split(':');
    let (hour, minute, rest) = (parts.next()?, parts.next()?, parts.next());
    if parts.next().is_some() {
        return None;
    }
    let (second, fraction) = match rest {
        None => ("0", ""),
        Some(rest) => rest.split_once('.').unwrap_or((rest, "")),
    };
    let (hour, minute, second): (u64, u8, u8) =
        (number(hour, 1, 3)?, number(minute, 1, 2)?, number(second, 1, 2)?);
    let micros = match fraction {
        "" => 0,
        digits => number::<u32>(digits, 1, 6)? * 10_u32.pow(6 - digits.len() as u32),
    };
    (minute < 60 && second < 60).then_some((hour, minute, second, micros))
}

/// A date, or a date and a time. The second says whether there was a time.
pub(super) fn date_time(text: &str) -> Option<(CivilDateTime, bool)> {
    let text = text.trim_matches(' ');
    let Some((day, time)) = text.split_once([' ', 'T']) else {
        let date = date(text)?;
        let midnight = CivilDateTime {
            date,
            ..CivilDateTime::default()
        };
        return Some((midnight, false));
    };
    let (hour, minute, second, micros) = clock(time.trim_start_matches(' '))?;
    let moment = CivilDateTime {
        date: date(day)?,
        hour: u8::try_from(hour).ok().filter(|h| *h < 24)?,
        minute,
        second,
        micros,
    };
    Some((moment, true))
}

/// `-838:59:59.000000`, in microseconds.
pub(super) fn time(text: &str) -> Option<i64> {
    let text = text.trim_matches(' ');
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (hour, minute, second, micros) = clock(digits)?;
    if hour > 838 {
        return None;
    }
    let seconds = i64::try_from(hour).ok()? * 3_600 + i64::from(minute) * 60 + i64::from(second);
    let all = seconds * 1_000_000 + i64::from(micros);
    Some(if negative { -all } else { all })
}

/// `Z`, `UTC` or `+08:00`, in minutes.
fn zone(text: &str) -> Option<i64> {
    if ["Z", "UTC"].iter().any(|z| z.eq_ignore_ascii_case(text)) {
        return Some(0);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes): (i64, i64) = (number(hours, 1, 2)?, number(minutes, 2, 2)?);
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

/// `2024-02-29 10:20:30 +08:00`, as microseconds since the epoch. Without a zone: +08:00.
pub(super) fn instant(text: &str) -> Option<i64> {
    let text = text.trim_matches(' ');
    let (moment, minutes) = match text.rsplit_once(' ').map(|(before, z)| (before, zone(z))) {
        Some((before, Some(minutes))) => (before, minutes),
        _ => (text, DEFAULT_ZONE_MINUTES),
    };
    let (civil, _) = date_time(moment)?;
    if civil == CivilDateTime::default() {
        // The zero timestamp, which has no zone.
        return Some(0);
    }
    let utc = civil.to_epoch_micros()?;
    utc.checked_sub(minutes * 60_000_000)
}

/// The text of a date.
pub(super) fn show_date(date: CivilDate) -> String {
    format!("{:04}-{:02}-{:02}", date.year, date.month, date.day)
}

/// Digits of a fraction that is shown in full, or not at all if it is zero.
fn digits_of(micros: u32, digits: Option<u8>) -> u8 {
    digits.unwrap_or(if micros == 0 { 0 } else { 6 })
}

/// The text of a date and time. Without `digits` the fraction is shown if there is one.
pub(super) fn show_date_time(moment: CivilDateTime, digits: Option<u8>) -> String {
    let mut text = format!(
        "{} {:02}:{:02}:{:02}",
        show_date(moment.date),
        moment.hour,
        moment.minute,
        moment.second
    );
    format_fraction(&mut text, moment.micros, digits_of(moment.micros, digits));
    text
}

/// The text of a TIME.
pub(super) fn show_time(Duration(all): Duration, digits: Option<u8>) -> String {
    let sign = if all < 0 { "-" } else { "" };
    let all = all.unsigned_abs();
    let (seconds, micros) = (all / 1_000_000, (all % 1_000_000) as u32);
    let mut text = format!(
        "{sign}{:02}:{:02}:{:02}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    );
    format_fraction(&mut text, micros, digits_of(micros, digits));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_and_calendars() {
        let noon = 1_709_164_800_000_000;
        for (text, expected) in [
            ("2024-02-29 00:00:00 Z", Some(noon)),
            ("2024-02-29 00:00:00 UTC", Some(noon)),
            ("2024-02-29 08:00:00", Some(noon)),
            ("2024-02-29 08:00:00 +08:00", Some(noon)),
            ("2024-02-28 19:00:00 -05:00", Some(noon)),
            ("2024-02-29 00:00:00.000001 +00:00", Some(noon + 1)),
            ("2024-02-29", Some(noon - 8 * 3_600_000_000)),
            ("2024-02-29 UTC", Some(noon)),
            ("0000-00-00 00:00:00", Some(0)),
            ("2023-02-29 00:00:00 Z", None),
            ("2024-02-29 24:00:00", None),
            ("2024-02-29 00:00:00 CET", None),
            ("2024-00-01", None),
        ] {
            assert_eq!(instant(text), expected, "{text}");
        }
        assert_eq!(time("-838:59:59.5"), Some(-3_020_399_500_000));
        assert_eq!(time("839:00:00"), None);
        assert_eq!(date("2024-13-01"), None);
        assert_eq!(show_time(Duration(-1_500_000), None), "-00:00:01.500000");
    }
}
