//! Numbers as people write them: `4`, not `4.0`.

use serde::Serializer;

/// A number that is whole is written without a point; any other by the fewest digits that name it.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    /// Up to here every whole double has one whole number that it stands for.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        // Whole and in range, so nothing is cut off.
        serializer.serialize_i64(*value as i64)
    } else {
        serializer.serialize_f64(*value)
    }
}

/// The same for a number that may be absent.
pub(super) mod optional {
    use serde::Serializer;

    pub(in super::super) fn serialize<S: Serializer>(
        value: &Option<f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_short_as_they_can_be() {
        let written = |value: f64| {
            let mut bytes = Vec::new();
            serialize(&value, &mut serde_json::Serializer::new(&mut bytes)).unwrap();
            String::from_utf8(bytes).unwrap()
        };
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (4.0, "4"),
            (4.25, "4.25"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e9, "1000000000"),
            (5e-324, "5e-324"),
            (0.001, "0.001"),
        ] {
            assert_eq!(written(value), text);
        }
    }
}
