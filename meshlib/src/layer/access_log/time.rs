//! Points in time as `strftime` writes them, in UTC.

use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::{BufMut, BytesMut};

use crate::layer::digits;

/// Envoy's own: `2026-11-22T12:37:01.614Z`.
const DEFAULT: &str = "%Y-%m-%dT%H:%M:%E3SZ";
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const DAY: u64 = 24 * 3600;

/// A compiled time format.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct TimeFormat {
    parts: Vec<Part>,
    last: Last,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(Box<str>),
    Year,
    YearOfCentury,
    Month,
    MonthName,
    Day,
    DayPadded,
    DayOfYear,
    Weekday,
    Hour,
    Minute,
    Second,
    /// Since 1970.
    Epoch,
    /// So many digits of the second's fraction.
    Fraction(u32),
}

impl TimeFormat {
    /// Envoy's.
    pub(super) fn envoys() -> Self {
        // The constant compiles: a test says so.
        Self::parse(DEFAULT).unwrap_or_default()
    }

    /// Compiles a format; the error is what is not understood in it.
    pub(super) fn parse(format: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = format;
        while let Some(at) = rest.find('%') {
            let (text, from) = rest.split_at(at);
            push_text(&mut parts, text);
            rest = parse_one(from.get(1..).unwrap_or(""), &mut parts)?;
        }
        push_text(&mut parts, rest);
        Ok(Self { parts, last: Last::default() })
    }

    /// Appends `time`.
    pub(super) fn push(&self, line: &mut BytesMut, time: SystemTime) {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut last = self.last.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.second != Some(since.as_secs()) {
            last.render(&self.parts, since);
        }
        last.set_fractions(since.subsec_nanos());
        line.put_slice(&last.text);
    }
}

/// The time that was rendered last: the lines of one second differ in its fraction at most, and rendering it was an
/// eighth of a line. It is no part of what a format is.
#[derive(Debug, Default)]
struct Last(Mutex<Rendered>);

#[derive(Debug, Default)]
struct Rendered {
    second: Option<u64>,
    text: BytesMut,
    /// Where in the text fractions stand.
    fractions: Vec<Range<usize>>,
}

impl Clone for Last {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Last {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Rendered {
    fn render(&mut self, parts: &[Part], since: Duration) {
        self.second = Some(since.as_secs());
        self.text.clear();
        self.fractions.clear();
        let civil = Civil::of(since);
        for part in parts {
            let begin = self.text.len();
            civil.push(part, &mut self.text);
            if matches!(part, Part::Fraction(_)) {
                self.fractions.push(begin..self.text.len());
            }
        }
    }

    fn set_fractions(&mut self, nanos: u32) {
        for range in &self.fractions {
            let mut rest = nanos / 10_u32.pow(9_u32.saturating_sub(range.len() as u32));
            for digit in self.text.get_mut(range.clone()).unwrap_or_default().iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(text.into()));
    }
}

/// Compiles what follows a `%`; gives what follows it.
fn parse_one<'a>(rest: &'a str, parts: &mut Vec<Part>) -> Result<&'a str, String> {
    use Part::{Day, Fraction, Hour, Minute, Month, Second, Text, Year};
    let text = |text: &str| Text(text.into());
    // `%E3S` is seconds with three digits, `%3f` the digits alone.
    if let Some((digits, tail)) = digits_between(rest, "E", 'S') {
        parts.extend([Second, text("."), Fraction(digits)]);
        return Ok(tail);
    }
    if let Some((digits, tail)) = digits_between(rest, "", 'f') {
        parts.push(Fraction(digits));
        return Ok(tail);
    }
    let mut letters = rest.chars();
    match letters.next() {
        Some('Y') => parts.push(Year),
        Some('y') => parts.push(Part::YearOfCentury),
        Some('m') => parts.push(Month),
        Some('b' | 'h') => parts.push(Part::MonthName),
        Some('d') => parts.push(Day),
        Some('e') => parts.push(Part::DayPadded),
        Some('j') => parts.push(Part::DayOfYear),
        Some('a') => parts.push(Part::Weekday),
        Some('H') => parts.push(Hour),
        Some('M') => parts.push(Minute),
        Some('S') => parts.push(Second),
        Some('F') => parts.extend([Year, text("-"), Month, text("-"), Day]),
        Some('T') => parts.extend([Hour, text(":"), Minute, text(":"), Second]),
        Some('R') => parts.extend([Hour, text(":"), Minute]),
        Some('s') => parts.push(Part::Epoch),
        Some('f') => parts.push(Fraction(9)),
        Some('z') => parts.push(text("+0000")),
        Some('Z') => parts.push(text("UTC")),
        Some('%') => parts.push(text("%")),
        Some(other) => return Err(format!("unknown time specifier `%{other}`")),
        None => return Err("a lone `%` in a time format".to_owned()),
    }
    Ok(letters.as_str())
}

/// A digit from 1 to 9 between `before` and `after`.
fn digits_between<'a>(rest: &'a str, before: &str, after: char) -> Option<(u32, &'a str)> {
    let mut letters = rest.strip_prefix(before)?.chars();
    let digits = letters.next()?.to_digit(10).filter(|digits| *digits > 0)?;
    (letters.next()? == after).then_some((digits, letters.as_str()))
}

/// A point in time on the calendar.
struct Civil {
    since: Duration,
    year: u64,
    month: u64,
    day: u64,
    day_of_year: u64,
}

impl Civil {
    /// Counts in eras of 400 years that begin on the first of March, so that the leap day comes last.
    fn of(since: Duration) -> Self {
        let days = since.as_secs() / DAY + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_march_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_march_year + 2) / 153;
        let day = day_of_march_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let leap = u64::from(year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400));
        let day_of_year = if month > 2 { day_of_march_year + 60 + leap } else { day_of_march_year - 305 };
        Self { since, year, month, day, day_of_year }
    }

    fn push(&self, part: &Part, line: &mut BytesMut) {
        let second = self.since.as_secs();
        let mut number = |number, width| digits::push_padded(line, number, width);
        match part {
            Part::Text(text) => line.put_slice(text.as_bytes()),
            Part::Year => number(self.year, 1),
            Part::YearOfCentury => number(self.year % 100, 2),
            Part::Month => number(self.month, 2),
            Part::MonthName => push_name(line, &MONTHS, self.month - 1),
            Part::Day => number(self.day, 2),
            Part::DayPadded => {
                line.put_slice(if self.day < 10 { b" " } else { b"" });
                digits::push(line, self.day);
            }
            Part::DayOfYear => number(self.day_of_year, 3),
            Part::Weekday => push_name(line, &WEEKDAYS, (second / DAY + 4) % 7),
            Part::Hour => number(second % DAY / 3600, 2),
            Part::Minute => number(second % 3600 / 60, 2),
            Part::Second => number(second % 60, 2),
            Part::Epoch => number(second, 1),
            // They are set for each line.
            Part::Fraction(digits) => line.put_bytes(b'0', *digits as usize),
        }
    }
}

fn push_name(line: &mut BytesMut, names: &[&'static str], at: u64) {
    line.put_slice(names.get(at as usize).copied().unwrap_or("-").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(format: &str, since: Duration) -> String {
        let mut line = BytesMut::new();
        TimeFormat::parse(format).unwrap().push(&mut line, SystemTime::UNIX_EPOCH + since);
        String::from_utf8(line.to_vec()).unwrap()
    }

    /// As Envoy 1.40 prints them.
    #[test]
    fn agrees_with_envoy() {
        let since = Duration::new(1_795_358_970, 448_376_000);
        assert_eq!(render(DEFAULT, since), "2026-11-22T14:49:30.448Z");
        assert_eq!(
            render("%s.%3f %F %T %z %Z %e %b %f %E3S", since),
            "1795358970.448 2026-11-22 14:49:30 +0000 UTC 22 Nov 448376000 30.448"
        );
    }

    #[test]
    fn the_calendar_agrees_with_another() {
        let mut day = Duration::ZERO;
        while day < Duration::from_secs(500 * 366 * DAY) {
            let expected = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + day);
            assert_eq!(render("%a, %d %b %Y %H:%M:%S GMT", day), expected);
            day += Duration::from_secs(DAY + 12_345);
        }
    }

    #[test]
    fn a_time_in_the_second_of_the_last_one_differs_in_its_fraction() {
        let format = TimeFormat::parse("%9f %S.%3f %1f").unwrap();
        let mut line = BytesMut::new();
        for nanos in [1_999_999_999, 1_000_000_001, 59_010_000_000, 1_100_000_000] {
            format.push(&mut line, SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos));
            line.put_u8(b'\n');
        }
        assert_eq!(line, "999999999 01.999 9\n000000001 01.000 0\n010000000 59.010 0\n100000000 01.100 1\n");
    }

    #[test]
    fn the_smaller_specifiers() {
        let leap = Duration::from_secs(951_782_400); // 2000-02-29
        assert_eq!(render("%y %j %R %% %e", leap), "00 060 00:00 % 29");
        assert_eq!(render("%j", leap + Duration::from_secs(DAY)), "061");
        assert_eq!(render("%j", leap + Duration::from_secs(306 * DAY)), "366");
        assert_eq!(render("%j %e", leap + Duration::from_secs(307 * DAY)), "001  1");
        assert_eq!(TimeFormat::parse("%Q"), Err("unknown time specifier `%Q`".to_owned()));
        assert!(TimeFormat::parse("a%").is_err());
    }
}
