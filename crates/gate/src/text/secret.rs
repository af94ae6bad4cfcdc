//! Keys, tokens and passwords of well-known shapes, told from placeholders by their entropy and, where there
//! are some, by their check digits.

use super::pattern;
use crate::{Budget, OutOfBudget};
use regex::Regex;
use std::sync::LazyLock;

/// A kind of secret.
pub(crate) struct Shape {
    /// What it is called in reasons.
    pub(crate) name: &'static str,
    /// What it looks like.
    pub(crate) pattern: &'static str,
    check: Check,
}

/// What tells a secret from what only looks like one.
#[derive(Clone, Copy)]
enum Check {
    /// Its characters are not those of a placeholder.
    Entropy,
    /// The same of its random part alone: what stands before that is somebody's comment.
    RandomPart,
    /// The last six of its 36 characters are the checksum of the others.
    Checksum,
}

const fn shape(name: &'static str, pattern: &'static str) -> Shape {
    Shape {
        name,
        pattern,
        check: Check::Entropy,
    }
}

const fn checked(name: &'static str, pattern: &'static str) -> Shape {
    Shape {
        name,
        pattern,
        check: Check::Checksum,
    }
}

/// All kinds, in the order in which they are told. Where a last character may be no letter, digit or `_`, no `\b`
/// stands behind it. What is repeated without an end follows what has one, for implementations that backtrack.
pub(crate) const SHAPES: [Shape; 21] = [
    // Five hyphens and a word begin or end a block; what stands between them is of one key.
    Shape {
        name: "private key",
        pattern: r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-{1,4}[^-]|-{5,80}[^-BE]){0,200}?[A-Za-z0-9+/]{40}",
        check: Check::RandomPart,
    },
    shape("AWS access key", r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b"),
    shape(
        "AWS secret key",
        r#"(?i:secret_?access_?key|aws_?secret_?key)["']?\s{0,4}[:=]\s{0,4}["']?[A-Za-z0-9+/]{39}(?:[A-Za-z0-9]\b|[+/])"#,
    ),
    checked("GitHub token", r"\bgh[pousr]_[A-Za-z0-9]{36}\b"),
    shape("GitHub token", r"\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}\b"),
    shape("GitLab token", r"\bglpat-[A-Za-z0-9_-]{19}(?:[A-Za-z0-9_]\b|-)"),
    shape(
        "GitLab token",
        r"\bglpat-[A-Za-z0-9_-]{27,300}\.(?:[0-9a-z]{2}\.)?[0-9a-z]{9}\b",
    ),
    shape("Slack token", r"\bxox[abprs]-[0-9]{10,13}-[A-Za-z0-9-]{16,80}"),
    shape(
        "Slack webhook",
        r"\bhttps://hooks\.slack\.com/services/T[A-Z0-9]{8,12}/B[A-Z0-9]{8,12}/[A-Za-z0-9]{24}\b",
    ),
    shape("live secret key", r"\b[rs]k_live_[A-Za-z0-9]{24,99}\b"),
    shape("Google API key", r"\bAIza[A-Za-z0-9_-]{34}(?:[A-Za-z0-9_]\b|-)"),
    shape(
        "Google OAuth secret",
        r"\bGOCSPX-[A-Za-z0-9_-]{27}(?:[A-Za-z0-9_]\b|-)",
    ),
    shape(
        "OpenAI key",
        r"\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,100}T3BlbkFJ[A-Za-z0-9_-]{20,100}",
    ),
    shape(
        "Anthropic key",
        r"\bsk-ant-(?:api|admin)[0-9]{2}-[A-Za-z0-9_-]{93}AA\b",
    ),
    shape("SendGrid key", r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}\b"),
    shape("Twilio key", r"\bSK[0-9a-f]{32}\b"),
    checked("npm token", r"\bnpm_[A-Za-z0-9]{36}\b"),
    shape("PyPI token", r"\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,200}"),
    shape("Hugging Face token", r"\bhf_[A-Za-z0-9]{34}\b"),
    shape(
        "JSON web token",
        r"\beyJ[A-Za-z0-9_-]{10,400}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,700}",
    ),
    shape("Azure storage key", r"\bAccountKey=[A-Za-z0-9+/]{86}=="),
];

static COMPILED: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    SHAPES
        .iter()
        .map(|shape| pattern::compile(shape.pattern))
        .collect()
});

/// How many of the last characters of a match are its random part.
const RANDOM_PART: usize = 40;
/// Less, in bits a character, is a word or a row of the same character.
const MIN_ENTROPY_BITS: f64 = 2.6;
/// What documentation writes into its examples.
const PLACEHOLDERS: [&str; 3] = ["EXAMPLE", "XXXXXX", "xxxxxx"];

/// Compiles the patterns, if that was not done yet.
pub(crate) fn prepare() {
    LazyLock::force(&COMPILED);
}

/// The first kind that the text holds.
pub(super) fn find(text: &str, budget: &Budget<'_>) -> Result<Option<&'static str>, OutOfBudget> {
    for (shape, pattern) in SHAPES.iter().zip(COMPILED.iter()) {
        if pattern::find(pattern, text, budget, |found| shape.is_secret(found))? {
            return Ok(Some(shape.name));
        }
    }
    Ok(None)
}

impl Shape {
    fn is_secret(&self, found: &str) -> bool {
        let start = found.len().saturating_sub(RANDOM_PART);
        let random = found.get(start..).unwrap_or(found); // ASCII in every shape
        let own = match self.check {
            Check::RandomPart => random,
            Check::Entropy | Check::Checksum => found,
        };
        if entropy_bits(random.as_bytes()) < MIN_ENTROPY_BITS
            || PLACEHOLDERS.iter().any(|word| own.contains(word))
        {
            return false;
        }
        match self.check {
            Check::Entropy | Check::RandomPart => true,
            Check::Checksum => has_checksum(found.as_bytes()),
        }
    }
}

/// Shannon's entropy of a text, in bits a character.
fn entropy_bits(text: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    for &byte in text {
        counts[usize::from(byte)] += 1;
    }
    #[expect(clippy::cast_precision_loss, reason = "a match is far shorter than 2^53")]
    let length = text.len() as f64;
    let share = |count: u32| f64::from(count) / length;
    let used = counts.iter().filter(|&&count| count > 0);
    used.map(|&count| -share(count) * share(count).log2()).sum()
}

/// Whether the last six characters are the CRC-32 of the 30 before them, in base 62.
fn has_checksum(token: &[u8]) -> bool {
    let Some(random) = token.len().checked_sub(36) else {
        return false;
    };
    let (random, checksum) = token[random..].split_at(30);
    let value = |byte: &u8| match byte {
        b'0'..=b'9' => u64::from(byte - b'0'),
        b'A'..=b'Z' => u64::from(byte - b'A') + 10,
        _ => u64::from(byte.wrapping_sub(b'a')) + 36,
    };
    let told = checksum.iter().fold(0, |sum, byte| sum * 62 + value(byte));
    told == u64::from(crc32fast::hash(random))
}
