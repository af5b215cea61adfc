//! Dates and times as storage engines keep them.

use oms_core::{CivilDate, CivilDateTime, Duration};

use super::{bytes_reader::Reader, error::EventError};

/// Bytes of a fraction with this many digits.
fn fraction_bytes(digits: u8) -> usize {
    usize::from(digits.div_ceil(2))
}

/// Microseconds of a fraction as stored in whole bytes.
fn fraction_micros(stored: u64, digits: u8) -> Result<u32, EventError> {
    let scale = match fraction_bytes(digits) {
        0 => return Ok(0),
        1 => 10_000,
        2 => 100,
        _ => 1,
    };
    u32::try_from(stored * scale)
        .ok()
        .filter(|us| *us < 1_000_000)
        .ok_or_else(|| EventError::corrupt("a fraction of a second is out of range"))
}

fn civil(year: u64, month: u64, day: u64) -> Result<CivilDate, EventError> {
    if year > 9999 || month > 12 || day > 31 {
        return Err(EventError::corrupt("a date is out of range"));
    }
    Ok(CivilDate {
        year: year as u16,
        month: month as u8,
        day: day as u8,
    })
}

fn civil_time(
    date: CivilDate,
    hour: u64,
    minute: u64,
    second: u64,
    micros: u32,
) -> Result<CivilDateTime, EventError> {
    if hour > 23 || minute > 59 || second > 59 {
        return Err(EventError::corrupt("a time of day is out of range"));
    }
    Ok(CivilDateTime {
        date,
        hour: hour as u8,
        minute: minute as u8,
        second: second as u8,
        micros,
    })
}

fn span(negative: bool, hours: u64, minute: u64, second: u64, micros: u32) -> Result<Duration, EventError> {
    if hours > 1023 || minute > 59 || second > 59 {
        return Err(EventError::corrupt("a span of time is out of range"));
    }
    let us = ((hours * 60 + minute) * 60 + second) as i64 * 1_000_000 + i64::from(micros);
    Ok(Duration(if negative { -us } else { us }))
}

/// DATE: 15 bits year, 4 month, 5 day, little endian.
pub(crate) fn date(r: &mut Reader<'_>) -> Result<CivilDate, EventError> {
    let n = r.uint(3)?;
    civil(n >> 9, n >> 5 & 15, n & 31)
}

/// TIME before MySQL 5.6: the digits HHMMSS as a signed number of three bytes.
pub(crate) fn old_time(r: &mut Reader<'_>) -> Result<Duration, EventError> {
    let n = (r.uint(3)? << 40) as i64 >> 40;
    let m = n.unsigned_abs();
    span(n < 0, m / 10_000, m / 100 % 100, m % 100, 0)
}

/// TIME: sign, 10 bits hours, 6 minutes, 6 seconds, fraction; as one number with an offset, so
/// that negative values complement the fraction as well.
pub(crate) fn time(r: &mut Reader<'_>, digits: u8) -> Result<Duration, EventError> {
    let bytes = fraction_bytes(digits);
    let bits = 8 * (3 + bytes) as u32;
    let n = r.uint_be(3 + bytes)? as i64 - (1i64 << (bits - 1));
    let m = n.unsigned_abs();
    let hms = m >> (8 * bytes);
    let micros = fraction_micros(m & ((1 << (8 * bytes)) - 1), digits)?;
    span(n < 0, hms >> 12, hms >> 6 & 63, hms & 63, micros)
}

/// TIME with a fraction in MariaDB's own format: units of the fraction above the smallest time.
pub(crate) fn mariadb_time(r: &mut Reader<'_>, digits: u8) -> Result<Duration, EventError> {
    const LENGTH: [usize; 7] = [3, 4, 4, 5, 5, 5, 6];
    const LARGEST: i64 = 838 * 3600 + 59 * 60 + 59;
    let length = LENGTH.get(usize::from(digits)).copied().unwrap_or(6);
    let unit = 10i64.pow(6 - u32::from(digits.min(6)));
    let zero = (LARGEST + 1) * (1_000_000 / unit);
    let n = r.uint_be(length)? as i64 - zero;
    if n.abs() > zero {
        return Err(EventError::corrupt("a span of time is out of range"));
    }
    Ok(Duration(n * unit))
}

/// DATETIME before MySQL 5.6: the digits YYYYMMDDHHMMSS as a number.
pub(crate) fn old_datetime(r: &mut Reader<'_>) -> Result<CivilDateTime, EventError> {
    let n = r.u64()?;
    let (d, t) = (n / 1_000_000, n % 1_000_000);
    let date = civil(d / 10_000, d / 100 % 100, d % 100)?;
    civil_time(date, t / 10_000, t / 100 % 100, t % 100, 0)
}

/// DATETIME: sign, 17 bits year and month (13 per year), 5 day, 5 hour, 6 minute, 6 second; then
/// the fraction.
pub(crate) fn datetime(r: &mut Reader<'_>, digits: u8) -> Result<CivilDateTime, EventError> {
    let n = r
        .uint_be(5)?
        .checked_sub(0x80_0000_0000)
        .ok_or_else(|| EventError::corrupt("a date is negative"))?;
    let micros = fraction_micros(r.uint_be(fraction_bytes(digits))?, digits)?;
    let year_month = n >> 22;
    let date = civil(year_month / 13, year_month % 13, n >> 17 & 31)?;
    civil_time(date, n >> 12 & 31, n >> 6 & 63, n & 63, micros)
}

/// DATETIME with a fraction in MariaDB's own format: mixed radix in units of the fraction.
pub(crate) fn mariadb_datetime(r: &mut Reader<'_>, digits: u8) -> Result<CivilDateTime, EventError> {
    const LENGTH: [usize; 7] = [5, 6, 6, 7, 7, 7, 8];
    let length = LENGTH.get(usize::from(digits)).copied().unwrap_or(8);
    let unit = 10u64.pow(6 - u32::from(digits.min(6)));
    let per_second = 1_000_000 / unit;
    let n = r.uint_be(length)?;
    let micros = (n % per_second * unit) as u32;
    let n = n / per_second;
    let (second, n) = (n % 60, n / 60);
    let (minute, n) = (n % 60, n / 60);
    let (hour, n) = (n % 24, n / 24);
    let (day, n) = (n % 32, n / 32);
    civil_time(civil(n / 13, n % 13, day)?, hour, minute, second, micros)
}

/// TIMESTAMP before MySQL 5.6: seconds, little endian. In microseconds since the epoch.
pub(crate) fn old_timestamp(r: &mut Reader<'_>) -> Result<i64, EventError> {
    Ok(i64::from(r.u32()?) * 1_000_000)
}

/// TIMESTAMP: seconds, big endian, and the fraction.
pub(crate) fn timestamp(r: &mut Reader<'_>, digits: u8) -> Result<i64, EventError> {
    let seconds = r.uint_be(4)? as i64;
    let micros = fraction_micros(r.uint_be(fraction_bytes(digits))?, digits)?;
    Ok(seconds * 1_000_000 + i64::from(micros))
}

/// TIMESTAMP with a fraction in MariaDB's own format: seconds and fraction, big endian.
pub(crate) fn mariadb_timestamp(r: &mut Reader<'_>, digits: u8) -> Result<i64, EventError> {
    let seconds = r.uint_be(4)? as i64;
    let stored = r.uint_be(fraction_bytes(digits))?;
    // The fraction is in units of its last digit, unlike MySQL's.
    let unit = 10u64.pow(6 - u32::from(digits.min(6)));
    let micros = i64::try_from(stored * unit)
        .ok()
        .filter(|us| *us < 1_000_000)
        .ok_or_else(|| EventError::corrupt("a fraction of a second is out of range"))?;
    Ok(seconds * 1_000_000 + micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(bytes: &[u8], digits: u8) -> i64 {
        time(&mut Reader::new(bytes), digits).unwrap().0
    }

    #[test]
    fn times_with_sign_and_fraction() {
        assert_eq!(us(&[0x80, 0, 0], 0), 0);
        // -00:00:01 and its fractions: the offset number complements as a whole.
        assert_eq!(us(&[0x7f, 0xff, 0xff], 0), -1_000_000);
        assert_eq!(us(&[0x7f, 0xff, 0xff, 0xff], 2), -10_000);
        assert_eq!(us(&[0x7f, 0xff, 0xff, 0x9d], 2), -990_000);
        assert_eq!(us(&[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff], 6), -1);
        assert_eq!(us(&[0x7f, 0xff, 0xff, 0xff, 0xff], 4), -100);
    }

    #[test]
    fn times_of_the_old_format() {
        let n = (-8_385_959i32).to_le_bytes();
        let t = old_time(&mut Reader::new(&n[..3])).unwrap();
        assert_eq!(t.0, -(838 * 3600 + 59 * 60 + 59) * 1_000_000);
    }

    #[test]
    fn dates_out_of_range_are_refused() {
        assert!(date(&mut Reader::new(&[0xff, 0xff, 0xff])).is_err());
        assert!(datetime(&mut Reader::new(&[0; 5]), 0).is_err());
        assert!(old_datetime(&mut Reader::new(&[0xff; 8])).is_err());
        assert_eq!(date(&mut Reader::new(&[0; 3])).unwrap(), CivilDate::default());
    }
}
