use super::*;
use jiff::Timestamp;
use proptest::prelude::*;

const MAX: i64 = Micros::MAX.0;

#[test]
fn one_instant_can_be_written_in_many_ways() {
    for text in [
        "2026-01-31T12:00:00Z",
        "2026-01-31 12:00:00Z",
        "2026-01-31T12:00Z",
        "2026-01-31T12:00",
        "2026-01-31T12:00:00",
        "2026-01-31T12:00:00.0",
        "2026-01-31T12:00:00.000000999Z",
        "2026-01-31T13:30:00+01:30",
        "2026-01-31T13:30:00+0130",
        "2026-01-31T11:00-0100",
        "2026-01-31T12:00:00-00:00",
        "2026-02-01T11:59:00.0+23:59",
    ] {
        assert_eq!(parse(text), Ok(Micros(1_769_860_800_000_000)), "{text}");
    }
}

#[test]
fn fractions_are_cut_to_the_microsecond() {
    for (fraction, micros) in [
        ("1", 100_000),
        ("12", 120_000),
        ("123456", 123_456),
        ("1234567", 123_456),
        ("999999999", 999_999),
    ] {
        assert_eq!(
            parse(&format!("1970-01-01T00:00:00.{fraction}Z")),
            Ok(Micros(micros))
        );
    }
}

#[test]
fn what_is_not_a_timestamp_is_told_why() {
    use Misread::{Form, NoSuchTime, OutOfRange};
    for (text, misread) in [
        ("", Form),
        ("2026-01-31", Form),
        ("2026-01-31T12", Form),
        ("2026-01-31T12:00:00.", Form),
        ("2026-01-31T12:00:00.1234567890Z", Form),
        ("2026-01-31T12:00:00,5Z", Form),
        ("2026-01-31T12:00.5Z", Form),
        ("2026-01-31t12:00:00Z", Form),
        ("2026-01-31T12:00:00z", Form),
        ("2026-01-31T12:00:00 Z", Form),
        ("2026-01-31  12:00:00Z", Form),
        ("2026-01-31T12:00:00Zx", Form),
        ("2026-01-31T12:00:00+01", Form),
        ("2026-01-31T12:00:00+1:00", Form),
        ("2026-01-31T12:00:00+01:0", Form),
        ("2026-01-31T12:00:00+01:00:00", Form),
        ("2026-01-31T12:00:00\u{2212}01:00", Form),
        ("20260131T120000Z", Form),
        ("2026-1-31T12:00:00Z", Form),
        ("+2026-01-31T12:00:00Z", Form),
        ("02026-01-31T12:00:00Z", Form),
        (" 2026-01-31T12:00:00Z", Form),
        ("２026-01-31T12:00:00Z", Form),
        ("1769860800", Form),
        ("2026-00-10T00:00Z", NoSuchTime),
        ("2026-13-10T00:00Z", NoSuchTime),
        ("2026-01-00T00:00Z", NoSuchTime),
        ("2026-01-32T00:00Z", NoSuchTime),
        ("2026-04-31T00:00Z", NoSuchTime),
        ("2026-02-29T00:00Z", NoSuchTime),
        ("2100-02-29T00:00Z", NoSuchTime),
        ("2026-01-31T24:00:00Z", NoSuchTime),
        ("2026-01-31T12:60:00Z", NoSuchTime),
        ("2016-12-31T23:59:60Z", NoSuchTime),
        ("2026-01-31T12:00:00+24:00", NoSuchTime),
        ("2026-01-31T12:00:00+00:60", NoSuchTime),
        ("0000-01-01T00:00:00Z", OutOfRange),
        ("1969-12-31T23:59:59.999999Z", OutOfRange),
        ("1970-01-01T00:00:00+00:01", OutOfRange),
        ("1969-12-31T23:59:59-01:00", OutOfRange),
        ("9999-12-31T23:59:59-00:01", OutOfRange),
    ] {
        assert_eq!(parse(text), Err(misread), "{text}");
    }
}

#[test]
fn the_first_and_the_last_instant_can_be_read_and_written() {
    for (text, micros) in [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("9999-12-31T23:59:59.999999999Z", MAX),
        ("2000-02-29T00:00:00Z", 951_782_400_000_000),
    ] {
        assert_eq!(parse(text), Ok(Micros(micros)), "{text}");
    }
    assert_eq!(format(Micros(0)), "1970-01-01T00:00:00.000Z");
    assert_eq!(format(Micros::MAX), "9999-12-31T23:59:59.999Z");
    assert_eq!(format(Micros(i64::MAX)), "9999-12-31T23:59:59.999Z");
    assert_eq!(format(Micros(i64::MIN)), "1970-01-01T00:00:00.000Z");
}

#[test]
fn every_day_up_to_9999_is_read_as_it_is_written() {
    for day in 0..=MAX / MICROS_PER_DAY {
        let date = Date::of_day(day);
        assert_eq!(date.days(), Some(day), "{date:?}");
    }
}

proptest! {
    #[test]
    fn jiff_reads_the_same_instant(
        seconds in 86_400i64..=MAX / 1_000_000 - 86_400,
        fraction in "(\\.[0-9]{1,9})?",
        offset in -1_439i64..=1_439,
        blank in any::<bool>(),
    ) {
        let local = Timestamp::from_second(seconds + offset * 60).unwrap();
        let separator = if blank { ' ' } else { 'T' };
        let sign = if offset < 0 { '-' } else { '+' };
        let (hours, minutes) = (offset.abs() / 60, offset.abs() % 60);
        let date_time = local.strftime(&format!("%Y-%m-%d{separator}%H:%M:%S")).to_string();
        let text = format!("{date_time}{fraction}{sign}{hours:02}:{minutes:02}");
        let theirs: Timestamp = text.parse().unwrap();
        prop_assert_eq!(parse(&text), Ok(Micros(theirs.as_nanosecond().div_euclid(1_000) as i64)), "{}", text);
    }

    #[test]
    fn jiff_knows_the_same_calendar(
        year in 1971i64..=9998, month in 0i64..=13, day in 0i64..=32, hour in 0i64..=25, minute in 0i64..=61,
    ) {
        let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:59Z");
        prop_assert_eq!(parse(&text).is_ok(), text.parse::<Timestamp>().is_ok(), "{}", text);
    }

    #[test]
    fn jiff_writes_the_same_text(micros in 0..=MAX) {
        let theirs = Timestamp::from_microsecond(micros).unwrap().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
        prop_assert_eq!(format(Micros(micros)), theirs);
    }

    #[test]
    fn what_is_written_is_read_to_the_millisecond(micros in 0..=MAX) {
        prop_assert_eq!(parse(&format(Micros(micros))), Ok(Micros(micros / 1_000 * 1_000)));
    }

    #[test]
    fn nearly_timestamps_are_read_or_refused(
        text in "[12][09][0-9]{2}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9](:[0-6][0-9](\\.[0-9]{0,10})?)?\
                 (Z|[+-][0-9]{2}:?[0-9]{2}|é)?",
        any in ".{0,40}",
    ) {
        for text in [text, any] {
            if let Ok(instant) = parse(&text) {
                prop_assert!((0..=MAX).contains(&instant.0));
            }
        }
    }
}
