//! Sizes, durations, counts and addresses as people write them; what is none is told in a sentence.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

/// `16MiB`, `64KiB`, `1GiB` or a number of bytes.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let rule = || format!("`{text}` is not a size like 16MiB, 512KiB or 1048576");
    let (number, unit) = split(text);
    let unit: u64 = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(rule()),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(rule)
}

/// `10s`, `5m`, `2h`, `1d`, `250ms`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let rule = || format!("`{text}` is not a duration like 250ms, 10s, 5m, 2h or 90d");
    let (number, unit) = split(text);
    let unit: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(rule()),
    };
    let millis = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit));
    millis.map(Duration::from_millis).ok_or_else(rule)
}

/// A number of things.
pub(crate) fn count<T: FromStr>(text: &str) -> Result<T, String> {
    // `parse` takes a sign, which nobody means.
    let digits = Some(text).filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| format!("`{text}` is not a whole number, or too large a one"))
}

/// A number of things, of which there is at least one.
pub(crate) fn at_least_one<T: FromStr + Default + PartialEq>(text: &str) -> Result<T, String> {
    let number = count(text)?;
    if number == T::default() {
        return Err(format!("`{text}` is not at least 1"));
    }
    Ok(number)
}

/// Where to listen.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not an address like 127.0.0.1:8080 or [::1]:8080"))
}

fn split(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_read_as_written() {
        assert_eq!(
            [bytes("7"), bytes("2KiB"), bytes("16MiB")],
            [Ok(7), Ok(2_048), Ok(16 << 20)]
        );
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "MiB", "1MB", "-1", "1.5GiB", "99999999999GiB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
        assert_eq!([count("0"), count("17")], [Ok(0u64), Ok(17)]);
        assert_eq!(at_least_one("17"), Ok(17u32));
        assert_eq!(
            at_least_one::<u32>("00"),
            Err("`00` is not at least 1".to_owned())
        );
        for wrong in ["", "+1", "-1", "1.0", "99999999999999999999"] {
            assert!(count::<u64>(wrong).is_err(), "{wrong}");
            assert_eq!(at_least_one::<u64>(wrong), count(wrong));
        }
        for wrong in ["", "5", "m", "5 m", "5min"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
