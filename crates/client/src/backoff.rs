//! How long to wait before the next try.

use std::time::{Duration, SystemTime};

/// The longest that a server may make us wait with `Retry-After`.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// The wait after that many failures in a row: a random share (`random` is 0 to 1) of an exponential, so that
/// clients that failed together don't come back together.
pub(crate) fn wait(base: Duration, max: Duration, failures: u32, random: f64) -> Duration {
    let doubled = 2_u32
        .checked_pow(failures)
        .and_then(|factor| base.checked_mul(factor));
    doubled
        .map_or(max, |wait| wait.min(max))
        .mul_f64(random.clamp(0.0, 1.0))
}

/// What a `Retry-After` asks for: seconds or a date. `None` if it asks for nothing that can be understood or
/// is still to come.
pub(crate) fn retry_after(header: &str, now: SystemTime) -> Option<Duration> {
    let header = header.trim();
    let wait = if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit mean more than the limit.
        Duration::from_secs(header.parse().unwrap_or(u64::MAX))
    } else {
        httpdate::parse_http_date(header).ok()?.duration_since(now).ok()?
    };
    (!wait.is_zero()).then(|| wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../../sdk/vectors/backoff.json")).unwrap()
    }

    #[test]
    fn waits_grow_as_agreed() {
        for case in vectors()["waits"].as_array().unwrap() {
            let millis = |name: &str| Duration::from_millis(case[name].as_u64().unwrap());
            let failures = u32::try_from(case["failures"].as_u64().unwrap()).unwrap();
            let wait = |random| wait(millis("retry_base_ms"), millis("retry_max_ms"), failures, random);
            assert_eq!(wait(1.0), millis("at_most_ms"), "{case}");
            assert_eq!(wait(0.5), millis("at_most_ms") / 2, "{case}");
            assert_eq!(wait(0.0), Duration::ZERO, "{case}");
        }
    }

    #[test]
    fn retry_after_is_read_as_agreed() {
        for case in vectors()["retry_after"].as_array().unwrap() {
            let now = httpdate::parse_http_date(case["now"].as_str().unwrap()).unwrap();
            let wait = retry_after(case["header"].as_str().unwrap(), now);
            assert_eq!(
                wait,
                case["wait_ms"].as_u64().map(Duration::from_millis),
                "{case}"
            );
        }
    }
}
