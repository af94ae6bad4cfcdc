//! Times as the API writes them.

use reputation::Micros;
use std::time::{SystemTime, UNIX_EPOCH};

/// That time in UTC, to the millisecond: `2026-05-07T14:22:10.000Z`.
pub(crate) fn written(time: SystemTime) -> String {
    let micros = time
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
    wire::timestamp::format(Micros(micros))
}

/// Whether the server takes this text as a time.
pub(crate) fn is_taken(text: &str) -> bool {
    wire::timestamp::parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_read_and_written_as_agreed() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../../sdk/vectors/timestamps.json")).unwrap();
        let texts = |name: &str| {
            vectors[name]
                .as_array()
                .unwrap()
                .iter()
                .map(|text| text.as_str().unwrap())
        };
        assert!(texts("taken").count() >= 17 && texts("not_taken").count() >= 41);
        for text in texts("taken") {
            assert!(is_taken(text), "{text}");
        }
        for text in texts("not_taken") {
            assert!(!is_taken(text), "{text}");
        }
        for case in vectors["written"].as_array().unwrap() {
            let time = UNIX_EPOCH + Duration::from_millis(case["unix_ms"].as_u64().unwrap());
            assert_eq!(case["text"], written(time));
        }
    }
}
