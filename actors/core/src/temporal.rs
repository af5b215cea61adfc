//! Dates and times as the databases mean them: civil, without a calendar library's opinions.

/// A date. Zero and partial dates (`0000-00-00`, `2024-00-00`, `2024-05-00`) are values of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CivilDate {
    /// 0 to 9999.
    pub year: u16,
    /// 0 to 12.
    pub month: u8,
    /// 0 to 31.
    pub day: u8,
}

/// A date and time of day without a zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CivilDateTime {
    /// The date.
    pub date: CivilDate,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// 0 to 999 999.
    pub micros: u32,
}

/// A signed span of time, in microseconds (the TIME type).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub i64);

impl CivilDateTime {
    /// The civil time in UTC of an instant, given in microseconds since 1970-01-01T00:00:00Z.
    /// `None` outside the years 0 to 9999.
    pub fn from_epoch_micros(micros: i64) -> Option<Self> {
        let seconds = micros.div_euclid(1_000_000);
        let fraction = micros.rem_euclid(1_000_000) as u32;
        let days = seconds.div_euclid(86_400);
        let of_day = seconds.rem_euclid(86_400) as u32;
        // Days to civil date in the proleptic Gregorian calendar, by eras of 400 years.
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = (doy - (153 * mp + 2) / 5 + 1) as u8;
        let month = if mp < 10 { mp + 3 } else { mp - 9 } as u8;
        let year = yoe + era * 400 + i64::from(month <= 2);
        let year = u16::try_from(year).ok().filter(|y| *y <= 9_999)?;
        Some(Self {
            date: CivilDate { year, month, day },
            hour: (of_day / 3_600) as u8,
            minute: (of_day / 60 % 60) as u8,
            second: (of_day % 60) as u8,
            micros: fraction,
        })
    }

    /// Microseconds since 1970-01-01T00:00:00Z of this civil time in UTC. `None` for zero and
    /// partial dates.
    pub fn to_epoch_micros(self) -> Option<i64> {
        let CivilDate { year, month, day } = self.date;
        if month == 0 || day == 0 {
            return None;
        }
        let y = i64::from(year) - i64::from(month <= 2);
        let era = y.div_euclid(400);
        let yoe = y.rem_euclid(400);
        let m = i64::from(month);
        let doy = (153 * (if m > 2 { m - 3 } else { m + 9 }) + 2) / 5 + i64::from(day) - 1;
        let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
        let days = era * 146_097 + doe - 719_468;
        let seconds = days * 86_400
            + i64::from(self.hour) * 3_600
            + i64::from(self.minute) * 60
            + i64::from(self.second);
        Some(seconds * 1_000_000 + i64::from(self.micros))
    }
}

/// Appends `.ffffff` with `digits` digits (0 to 6) of a fraction in microseconds.
pub fn format_fraction(out: &mut String, micros: u32, digits: u8) {
    if digits == 0 {
        return;
    }
    let text = format!("{micros:06}");
    out.push('.');
    out.push_str(text.get(..usize::from(digits.min(6))).unwrap_or(&text));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn instants_round_trip(micros in -62_000_000_000_000_000i64..253_402_300_799_999_999) {
            let civil = CivilDateTime::from_epoch_micros(micros).unwrap();
            prop_assert_eq!(civil.to_epoch_micros(), Some(micros));
        }
    }

    #[test]
    fn known_instants() {
        let t = CivilDateTime::from_epoch_micros(951_782_400_000_000).unwrap();
        assert_eq!((t.date.year, t.date.month, t.date.day), (2000, 2, 29));
        assert_eq!(CivilDateTime::from_epoch_micros(i64::MAX), None);
        assert_eq!(CivilDateTime::default().to_epoch_micros(), None);
    }
}
