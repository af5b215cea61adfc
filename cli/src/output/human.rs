//! Numbers, sizes and times as people read them.

use std::time::{SystemTime, UNIX_EPOCH};

/// The present time, for "ago".
pub(crate) struct Human {
    now_ms: i64,
}

impl Human {
    /// Reads the clock.
    pub(crate) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            now_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        }
    }

    /// `2026-01-31T12:00:00Z (5m 12s ago)`; `-` if it has not happened.
    pub(crate) fn moment(&self, at_ms: i64) -> String {
        if at_ms == 0 {
            return "-".to_owned();
        }
        format!("{} ({})", timestamp(at_ms), ago(self.now_ms, at_ms))
    }

    /// `5m 12s ago`; `-` if it has not happened.
    pub(crate) fn ago(&self, at_ms: i64) -> String {
        if at_ms == 0 {
            "-".to_owned()
        } else {
            ago(self.now_ms, at_ms)
        }
    }

    /// `in 5m 12s`; `3s ago` if it is over.
    pub(crate) fn ahead(&self, at_ms: i64) -> String {
        match u64::try_from(at_ms.saturating_sub(self.now_ms)) {
            Ok(left) if left > 0 => format!("in {}", duration_ms(left.max(1000))),
            _ => ago(self.now_ms, at_ms),
        }
    }

    /// How long something took, or has taken so far.
    pub(crate) fn span(&self, from_ms: i64, to_ms: i64) -> String {
        if from_ms == 0 {
            return "-".to_owned();
        }
        let end = if to_ms == 0 { self.now_ms } else { to_ms };
        duration_ms(u64::try_from(end.saturating_sub(from_ms)).unwrap_or_default())
    }
}

/// How long before `now_ms` something was. Clocks of two machines differ: what lies in the future is now.
pub(crate) fn ago(now_ms: i64, at_ms: i64) -> String {
    let passed = u64::try_from(now_ms.saturating_sub(at_ms)).unwrap_or_default();
    if passed < 1000 {
        "just now".to_owned()
    } else {
        format!("{} ago", duration_ms(passed / 1000 * 1000))
    }
}

/// RFC 3339 in UTC, to the second.
pub(crate) fn timestamp(at_ms: i64) -> String {
    let seconds = at_ms.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days to civil date in the proleptic Gregorian calendar, with years that begin in March.
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// `350ms`, `4.2s`, `42s`, `5m 12s`, `3h 04m`, `2d 05h`.
pub(crate) fn duration_ms(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms}ms"),
        1..10 if ms % 1000 >= 100 => format!("{seconds}.{}s", ms % 1000 / 100),
        1..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// `12 B`, `1.5 kB`, `52.1 MB`: powers of 1000.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if n < 1000 {
        return format!("{n} B");
    }
    let mut whole = n;
    let mut rest = 0;
    let mut unit = "B";
    for name in UNITS {
        if whole < 1000 {
            break;
        }
        rest = whole % 1000;
        whole /= 1000;
        unit = name;
    }
    format!("{whole}.{} {unit}", rest / 100)
}

/// `1,234,567`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 table`, `1,234 tables`.
pub(crate) fn amount(n: u64, singular: &str) -> String {
    format!("{} {singular}{}", count(n), if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59Z"),
            (1_798_761_599_000, "2026-12-31T23:59:59Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(timestamp(ms), text);
        }
        for extreme in [i64::MIN, i64::MAX] {
            assert!(timestamp(extreme).ends_with('Z'));
        }
    }

    #[test]
    fn spans_keep_two_units() {
        for (ms, text) in [
            (0, "0ms"),
            (999, "999ms"),
            (1_000, "1s"),
            (4_250, "4.2s"),
            (59_900, "59s"),
            (312_000, "5m 12s"),
            (11_040_000, "3h 04m"),
            (190_800_000, "2d 05h"),
        ] {
            assert_eq!(duration_ms(ms), text);
        }
        assert_eq!(ago(10_000, 20_000), "just now");
        assert_eq!(ago(75_500, 500), "1m 15s ago");
    }

    #[test]
    fn sizes_and_counts() {
        for (n, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1500, "1.5 kB"),
            (52_149_000, "52.1 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(n), text);
        }
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(n), text);
        }
        assert_eq!(
            (amount(1, "row"), amount(2000, "row")),
            ("1 row".to_owned(), "2,000 rows".to_owned())
        );
    }
}
