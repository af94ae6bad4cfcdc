//! Times as clients write and read them: ISO 8601 in, RFC 3339 in UTC with milliseconds out.

use reputation::Micros;

/// Why a text is not a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misread {
    /// It is not of the form.
    Form,
    /// It is of the form, but the calendar or the clock has no such time.
    NoSuchTime,
    /// It lies outside the years 1970–9999, as written or in UTC.
    OutOfRange,
}

impl Misread {
    /// The rule that it breaks, as the end of a sentence.
    #[must_use]
    pub fn rule(self) -> &'static str {
        match self {
            Self::Form => "not an ISO 8601 date and time like 2026-01-31T12:00:00Z",
            Self::NoSuchTime => "no such date or time of day",
            Self::OutOfRange => "outside the years 1970 to 9999",
        }
    }
}

/// Reads `YYYY-MM-DD`, `T` or blank, `hh:mm`, optionally `:ss` and then 1–9 digits of fraction, then `Z`,
/// `±hh:mm`, `±hhmm` or nothing (UTC). Digits after the microsecond are cut off.
///
/// A leap second (`:60`) and `24:00` are no such time: no clock of ours can show them, and moving them to
/// the next second would make two different texts one instant.
pub fn parse(text: &str) -> Result<Micros, Misread> {
    let mut rest = Rest(text.as_bytes());
    let date = rest.date().ok_or(Misread::Form)?;
    let time = rest.time().ok_or(Misread::Form)?;
    let offset_minutes = rest.offset().ok_or(Misread::Form)?;

    let days = date.days().ok_or(Misread::NoSuchTime)?;
    let micros = time.micros().ok_or(Misread::NoSuchTime)?;
    let offset = offset_minutes.ok_or(Misread::NoSuchTime)? * 60 * Micros::PER_SECOND;
    let instant = days * MICROS_PER_DAY + micros - offset;
    let in_range = date.year >= 1970 && (0..=Micros::MAX.0).contains(&instant);
    if in_range {
        Ok(Micros(instant))
    } else {
        Err(Misread::OutOfRange)
    }
}

/// Writes `YYYY-MM-DDThh:mm:ss.mmmZ`, with digits after the millisecond cut off. Times outside the years
/// 1970–9999, which nothing here makes, are shown as the nearest within.
#[must_use]
pub fn format(time: Micros) -> String {
    let mut text = format_micros(time);
    text.truncate("0000-00-00T00:00:00.000".len());
    text.push('Z');
    text
}

/// The same to the microsecond.
#[must_use]
pub fn format_micros(time: Micros) -> String {
    let micros = time.clamp(Micros(0), Micros::MAX).0;
    let (days, micro) = (micros / MICROS_PER_DAY, micros % MICROS_PER_DAY);
    let Date { year, month, day } = Date::of_day(days);
    let (second, micro) = (micro / Micros::PER_SECOND, micro % Micros::PER_SECOND);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);

    let mut text = *b"0000-00-00T00:00:00.000000Z";
    for (places, mut number) in [
        (0..4, year),
        (5..7, month),
        (8..10, day),
        (11..13, hour),
        (14..16, minute),
        (17..19, second),
        (20..26, micro),
    ] {
        for place in text[places].iter_mut().rev() {
            *place += u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
        }
    }
    text.iter().copied().map(char::from).collect()
}

const MICROS_PER_DAY: i64 = 86_400 * Micros::PER_SECOND;

/// A day of the Gregorian calendar, perhaps one that it does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Date {
    year: i64,
    month: i64,
    day: i64,
}

/// The days of a common year before each month, and of the whole year.
const DAYS_BEFORE_MONTH: [i64; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];

impl Date {
    /// Days since 1970-01-01, if there is such a day.
    fn days(self) -> Option<i64> {
        let month = usize::try_from(self.month)
            .ok()
            .filter(|month| (1..=12).contains(month))?;
        let leap = i64::from(is_leap(self.year));
        let length =
            DAYS_BEFORE_MONTH[month] - DAYS_BEFORE_MONTH[month - 1] + if month == 2 { leap } else { 0 };
        let before = DAYS_BEFORE_MONTH[month - 1] + if month > 2 { leap } else { 0 };
        (1..=length)
            .contains(&self.day)
            .then(|| first_of_year(self.year) + before + self.day - 1)
    }

    /// The date that many days after 1970-01-01.
    fn of_day(days: i64) -> Self {
        // A year is never longer than 366 days, so the guess is never too late; it is at most some years
        // early, 20 of them in the year 9999.
        let mut year = 1970 + days / 366;
        while first_of_year(year + 1) <= days {
            year += 1;
        }
        let leap = is_leap(year);
        let mut day = days - first_of_year(year);
        let mut month = 1;
        for length in [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
            if day < length {
                break;
            }
            day -= length;
            month += 1;
        }
        Self {
            year,
            month,
            day: day + 1,
        }
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// The day on which a year begins, in days since 1970-01-01.
fn first_of_year(year: i64) -> i64 {
    /// Leap years from the year 1 to before 1970.
    const LEAPS_BEFORE_1970: i64 = 477;
    let past = year - 1;
    365 * (year - 1970) + past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400) - LEAPS_BEFORE_1970
}

/// A time of day, perhaps one that no clock shows.
#[derive(Clone, Copy, Debug)]
struct Time {
    hour: i64,
    minute: i64,
    second: i64,
    micro: i64,
}

impl Time {
    fn micros(self) -> Option<i64> {
        let shown = self.hour < 24 && self.minute < 60 && self.second < 60;
        let seconds = self.hour * 3_600 + self.minute * 60 + self.second;
        shown.then_some(seconds * Micros::PER_SECOND + self.micro)
    }
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn date(&mut self) -> Option<Date> {
        let year = self.number::<4>()?;
        self.byte(b"-")?;
        let month = self.number::<2>()?;
        self.byte(b"-")?;
        Some(Date {
            year,
            month,
            day: self.number::<2>()?,
        })
    }

    fn time(&mut self) -> Option<Time> {
        self.byte(b"T ")?;
        let hour = self.number::<2>()?;
        self.byte(b":")?;
        let minute = self.number::<2>()?;
        let (mut second, mut micro) = (0, 0);
        if self.byte(b":").is_some() {
            second = self.number::<2>()?;
            if self.byte(b".").is_some() {
                micro = self.fraction()?;
            }
        }
        Some(Time {
            hour,
            minute,
            second,
            micro,
        })
    }

    /// 1–9 digits of a second, as whole microseconds.
    fn fraction(&mut self) -> Option<i64> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=9).contains(&digits) {
            return None;
        }
        let (fraction, rest) = self.0.split_at(digits);
        self.0 = rest;
        Some((0..6).fold(0, |micro, at| {
            micro * 10 + fraction.get(at).map_or(0, |&d| i64::from(d - b'0'))
        }))
    }

    /// The offset from UTC in minutes, which ends the text; `Some(None)` is one that no clock shows.
    fn offset(&mut self) -> Option<Option<i64>> {
        let minutes = match self.byte(b"Z+-") {
            None | Some(b'Z') => Some(0),
            Some(sign) => {
                let hours = self.number::<2>()?;
                self.byte(b":");
                let minutes = self.number::<2>()?;
                let offset = hours * 60 + minutes;
                let signed = if sign == b'-' { -offset } else { offset };
                (hours < 24 && minutes < 60).then_some(signed)
            }
        };
        self.0.is_empty().then_some(minutes)
    }

    /// A number of exactly that many digits.
    fn number<const DIGITS: usize>(&mut self) -> Option<i64> {
        let (digits, rest) = self.0.split_first_chunk::<DIGITS>()?;
        let mut number = 0;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return None;
            }
            number = number * 10 + i64::from(digit - b'0');
        }
        self.0 = rest;
        Some(number)
    }

    /// One byte out of these, if it is next.
    fn byte(&mut self, any_of: &[u8]) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        if !any_of.contains(&byte) {
            return None;
        }
        self.0 = rest;
        Some(byte)
    }
}

#[cfg(test)]
mod tests;
