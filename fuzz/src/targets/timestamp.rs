//! Timestamps, against `jiff`.

use super::{Outcome, Target};
use jiff::civil::{self, DateTime};
use reputation::Micros;
use wire::timestamp;

pub(super) const TARGET: Target = Target {
    name: "timestamp",
    read,
    words: &[
        "2026-05-07T14:22:10.123Z",
        "1970-01-01",
        "9999-12-31",
        "T23:59:59",
        "24:00",
        ":60",
        ".999999999",
        "+02:00",
        "-2359",
        "Z",
        " ",
        "02-29",
        "1900",
        "2000",
    ],
};

fn read(bytes: &[u8]) -> Outcome {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Outcome::refused("not UTF-8");
    };
    match timestamp::parse(text) {
        Ok(time) => {
            assert!(
                (0..=Micros::MAX.0).contains(&time.0),
                "{text} is outside the range"
            );
            assert_eq!(read_by_jiff(text), Some(time.0), "{text} is another time");
            assert_eq!(timestamp::parse(&timestamp::format_micros(time)), Ok(time));
            let to_the_milli = Micros(time.millis() * Micros::PER_MILLI);
            assert_eq!(timestamp::parse(&timestamp::format(time)), Ok(to_the_milli));
            Outcome::good((text.len(), text.as_bytes().last().map(u8::is_ascii_digit)))
        }
        Err(misread) => {
            // `jiff` takes other forms too, but none that is written like ours and is a time within the range.
            if misread != timestamp::Misread::Form && !text.contains(":60") {
                let in_range = read_by_jiff(text).filter(|micros| (0..=Micros::MAX.0).contains(micros));
                assert!(
                    in_range.is_none() || text.starts_with("1969"),
                    "{text} is refused: {misread:?}"
                );
            }
            Outcome::refused(misread.rule())
        }
    }
}

/// Date and time as `jiff` reads them, and the offset by hand.
fn read_by_jiff(text: &str) -> Option<i64> {
    let time = text.get(11..)?;
    let zone = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let civil: DateTime = text.get(..11 + zone)?.parse().ok()?;
    let minutes = match time.get(zone..)? {
        "" | "Z" => 0,
        offset => {
            let digits: String = offset[1..].chars().filter(|c| *c != ':').collect();
            let (hours, minutes) = (
                digits.get(..2)?.parse::<i32>().ok()?,
                digits.get(2..)?.parse::<i32>().ok()?,
            );
            (hours < 24 && minutes < 60).then_some(())?;
            (hours * 60 + minutes) * if offset.starts_with('-') { -1 } else { 1 }
        }
    };
    let since_1970 = civil.duration_since(civil::date(1970, 1, 1).at(0, 0, 0, 0));
    let nanos = since_1970.as_nanos() - i128::from(minutes) * 60 * 1_000_000_000;
    i64::try_from(nanos.div_euclid(1_000)).ok()
}
