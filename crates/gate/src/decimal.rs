//! Exact decimal numbers, as JSON writes them, compared without floating point.

use std::cmp::Ordering;

/// A number: its digits without zeros at either end, and where the point stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    negative: bool,
    /// Digits 0–9, most significant first; none for zero.
    digits: Vec<u8>,
    /// How many of the digits stand before the decimal point; may be negative or beyond their number.
    point: i64,
}

/// Far beyond what the length of a text can balance, and far from overflowing.
const FAR_EXPONENT: i64 = 1 << 40;

impl Decimal {
    /// Reads a number in the grammar of JSON.
    pub(crate) fn parse(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (negative, mantissa) = match mantissa.strip_prefix('-') {
            Some(magnitude) => (true, magnitude),
            None => (false, mantissa),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = whole.bytes().chain(fraction.bytes()).map(|digit| digit - b'0');
        Self::of(
            negative,
            digits.collect(),
            length(whole.len()) + saturating_exponent(exponent),
        )
    }

    fn of(negative: bool, mut digits: Vec<u8>, point: i64) -> Self {
        let leading = digits.iter().take_while(|&&digit| digit == 0).count();
        digits.drain(..leading);
        while digits.last() == Some(&0) {
            digits.pop();
        }
        let is_zero = digits.is_empty();
        Self {
            negative: negative && !is_zero,
            point: if is_zero { 0 } else { point - length(leading) },
            digits,
        }
    }

    pub(crate) fn is_negative(&self) -> bool {
        self.negative
    }

    pub(crate) fn is_positive(&self) -> bool {
        !self.negative && !self.digits.is_empty()
    }

    /// The exact product. Its work is the product of the lengths, so one of them should be a setting's.
    pub(crate) fn times(&self, other: &Self) -> Self {
        let mut product = vec![0u32; self.digits.len() + other.digits.len()];
        for (i, &a) in self.digits.iter().enumerate().rev() {
            let mut carry = 0;
            for (j, &b) in other.digits.iter().enumerate().rev() {
                let sum = product[i + j + 1] + u32::from(a) * u32::from(b) + carry;
                product[i + j + 1] = sum % 10;
                carry = sum / 10;
            }
            product[i] += carry;
        }
        #[expect(clippy::cast_possible_truncation, reason = "each is a digit")]
        let digits = product.into_iter().map(|digit| digit as u8).collect();
        Self::of(self.negative != other.negative, digits, self.point + other.point)
    }

    fn cmp_magnitude(&self, other: &Self) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            // Without zeros at either end, a longer row of digits with the same beginning is greater.
            (false, false) => self
                .point
                .cmp(&other.point)
                .then_with(|| self.digits.cmp(&other.digits)),
        }
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.cmp_magnitude(other),
            (true, true) => other.cmp_magnitude(self),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn length(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(FAR_EXPONENT)
}

fn saturating_exponent(text: &str) -> i64 {
    let magnitude = text.trim_start_matches(['+', '-']).bytes();
    let magnitude = magnitude.fold(0i64, |value, digit| {
        (value * 10 + i64::from(digit - b'0')).min(FAR_EXPONENT)
    });
    if text.starts_with('-') {
        -magnitude
    } else {
        magnitude
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cmp(a: &str, b: &str) -> Ordering {
        Decimal::parse(a).cmp(&Decimal::parse(b))
    }

    #[test]
    fn numbers_are_compared_as_they_are_written() {
        for (a, b) in [
            ("0.1", "1e-1"),
            ("-0", "0.000e9"),
            ("100", "1e2"),
            ("1.50", "15E-1"),
            ("-2", "-0.2e+1"),
        ] {
            assert_eq!(cmp(a, b), Ordering::Equal, "{a} {b}");
        }
        for (a, b) in [
            ("0.1", "0.10000000000000000000000001"),
            ("-1", "0"),
            ("-2", "-1"),
            ("9007199254740992", "9007199254740993"),
            ("1e308", "1e309"),
            ("0", "1e-999999999999999999999"),
            ("1", "1e999999999999999999999"),
        ] {
            assert_eq!(cmp(a, b), Ordering::Less, "{a} {b}");
            assert_eq!(cmp(b, a), Ordering::Greater, "{a} {b}");
        }
    }

    #[test]
    fn products_are_exact() {
        let product = |a: &str, b: &str| Decimal::parse(a).times(&Decimal::parse(b));
        assert_eq!(product("0.1", "3"), Decimal::parse("0.3"));
        assert_eq!(
            product("99999999999999999999", "50"),
            Decimal::parse("4999999999999999999950")
        );
        assert_eq!(product("-2.5", "4"), Decimal::parse("-10"));
        assert_eq!(product("0", "50"), Decimal::parse("0"));
    }

    proptest! {
        #[test]
        fn whole_numbers_compare_and_multiply_as_integers_do(a in any::<i64>(), b in any::<i64>(), zeros in 0u32..5) {
            let padded = |value: i64| format!("{value}{}e-{zeros}", "0".repeat(zeros as usize));
            prop_assert_eq!(cmp(&padded(a), &b.to_string()), a.cmp(&b));
            let product = Decimal::parse(&a.to_string()).times(&Decimal::parse(&b.to_string()));
            prop_assert_eq!(product, Decimal::parse(&(i128::from(a) * i128::from(b)).to_string()));
        }
    }
}
