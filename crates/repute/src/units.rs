//! Sizes and durations as people write them.

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
    let rule = || format!("`{text}` is not a duration like 10s, 5m, 2h or 250ms");
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
        for wrong in ["", "5", "m", "5 m", "5min"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
