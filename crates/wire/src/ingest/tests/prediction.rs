//! The fast path has no effect but speed: bodies as libraries write them, unusual ones, and broken ones give
//! the same with it and without.
//!
//! `REPUTE_FUZZ_INPUTS=10000000 cargo test --release -p wire prediction` tries ten million.

use super::super::predicted::Predictor;
use super::super::{event, parse, parse_generally};
use json::Reader;

const INPUTS: u64 = 20_000;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one_in(&mut self, chance: usize) -> bool {
        self.below(chance) == 0
    }

    fn pick<'t>(&mut self, all: &[&'t str]) -> &'t str {
        all[self.below(all.len())]
    }
}

const TEXTS: [&str; 10] = [
    r#""a""#,
    r#""bid-agent-0000017""#,
    r#""""#,
    r#""é🦀""#,
    r#""a\"b""#,
    r#""\ud800""#,
    r#""\u00e9\n""#,
    "null",
    "\"a\u{1}b\"",
    "7",
];
const NUMBERS: [&str; 36] = [
    "0",
    "4",
    "4.25",
    "1.0005",
    "0.0004999",
    "60000",
    "60000.0004",
    "60000.0000000001",
    "60001",
    "1000000000",
    "1000000000.1",
    "-0",
    "-1",
    "01",
    "1.",
    ".5",
    "1e3",
    "1E-3",
    "1e999",
    "123456789012345",
    "1234567890123456",
    "0.123456789012345",
    "0.1",
    "12.34",
    "00.1",
    "123.456",
    "12345.6",
    "123456.7",
    "1234567.8",
    "1.2.3",
    "1.2e3",
    "1./",
    "1.2:",
    "1.é",
    "null",
    "\"1\"",
];
const TIMES: [&str; 17] = [
    r#""2026-05-07T14:22:10.123Z""#,
    r#""2026-05-07T23:59:59.999Z""#,
    r#""2026-05-08T00:00:00.000Z""#,
    r#""2026-05-07T24:00:00.000Z""#,
    r#""2026-05-07T14:60:10.123Z""#,
    r#""2026-05-07T14:22:60.123Z""#,
    r#""2026-05-07T14:22:59.999Z""#,
    r#""2026-05-07T14:22:10.12:Z""#,
    r#""2026-05-07T14:22:10.123+""#,
    r#""2026-02-30T14:22:10.123Z""#,
    r#""2026-05-07 14:22:10.123Z""#,
    r#""2026-05-07T14:22:10Z""#,
    r#""2026-05-07T14:22:10.123456+02:00""#,
    r#""1969-12-31T23:59:59.999Z""#,
    r#""2026-05-07T14:22:1é.12Z""#,
    r#""""#,
    "null",
];
const BOOLEANS: [&str; 5] = ["true", "false", "null", "\"true\"", "fals"];

/// Mostly the first of these, which every library writes.
fn value(random: &mut Random, all: &[&str]) -> String {
    if random.one_in(12) {
        random.pick(all)
    } else {
        all[random.below(2)]
    }
    .to_owned()
}

fn long_text(random: &mut Random) -> String {
    let length = [49, 50, 51, 199, 200, 201, 499, 500, 501][random.below(9)];
    format!("\"{}\"", random.pick(&["x", "é"]).repeat(length))
}

fn text(random: &mut Random) -> String {
    if random.one_in(30) {
        long_text(random)
    } else {
        value(random, &TEXTS)
    }
}

fn object(random: &mut Random, mut fields: Vec<(&str, String)>) -> String {
    if random.one_in(4) {
        let at = random.below(fields.len());
        fields.rotate_left(at);
    }
    if random.one_in(40) {
        let again = fields[random.below(fields.len())].clone();
        fields.push(again);
    }
    if random.one_in(40) {
        fields.push((random.pick(&["agent", "tim", "extra", "passe"]), text(random)));
    }
    let (colon, comma) = match random.below(20) {
        0..=11 => (":", ","),
        12..=17 => (": ", ", "),
        18 => (" : ", " ,  "),
        _ => (":\n", ",\t"),
    };
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("\"{name}\"{colon}{value}"))
        .collect();
    format!("{{{}}}", fields.join(comma))
}

fn gate(random: &mut Random) -> String {
    let mut fields = vec![
        ("name", text(random)),
        ("passed", value(random, &BOOLEANS)),
        ("latency_ms", value(random, &NUMBERS)),
    ];
    if random.one_in(4) {
        fields.push(("reason", text(random)));
    }
    if random.one_in(4) {
        fields.push(("skipped", value(random, &BOOLEANS)));
    }
    object(random, fields)
}

fn one_event(random: &mut Random) -> String {
    let count = if random.one_in(200) {
        49 + random.below(3)
    } else {
        random.below(4)
    };
    let gates: Vec<String> = (0..count).map(|_| gate(random)).collect();
    let comma = random.pick(&[",", ", "]);
    let mut fields = vec![
        ("agent_id", text(random)),
        ("tool", text(random)),
        ("passed", value(random, &BOOLEANS)),
        ("gates", format!("[{}]", gates.join(comma))),
        ("total_latency_ms", value(random, &NUMBERS)),
        ("timestamp", value(random, &TIMES)),
        ("evaluation_id", text(random)),
    ];
    if random.one_in(4) {
        let tool = fields.remove(1); // as the TypeScript library has it
        fields.push(tool);
    }
    if random.one_in(4) {
        fields.remove(random.below(fields.len()));
    }
    object(random, fields)
}

fn body(random: &mut Random) -> Vec<u8> {
    let count = if random.one_in(2_000) {
        99 + random.below(3)
    } else {
        1 + random.below(3)
    };
    let events: Vec<String> = (0..count).map(|_| one_event(random)).collect();
    let mut bytes = format!("{{\"events\":[{}]}}", events.join(random.pick(&[",", ", "]))).into_bytes();
    if random.one_in(2) {
        for _ in 0..=random.below(3) {
            damage(random, &mut bytes);
        }
    }
    bytes
}

/// Changes, drops, doubles or cuts.
fn damage(random: &mut Random, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let at = random.below(bytes.len());
    match random.below(5) {
        0 => bytes[at] = b"\"\\{}[],:0e. tf\0\xc3"[random.below(16)],
        1 => bytes[at] ^= 1 << random.below(8),
        2 => drop(bytes.remove(at)),
        3 => {
            let end = (at + random.below(40)).min(bytes.len());
            let piece = bytes[at..end].to_vec();
            let to = random.below(bytes.len());
            bytes.splice(to..to, piece);
        }
        _ => bytes.truncate(at),
    }
}

#[test]
fn the_fast_path_changes_no_outcome() {
    let inputs = std::env::var("REPUTE_FUZZ_INPUTS")
        .ok()
        .and_then(|number| number.parse().ok());
    let mut random = Random(0x5eed);
    let (mut good, mut bad) = (0u64, 0u64);
    for _ in 0..inputs.unwrap_or(INPUTS) {
        let bytes = body(&mut random);
        let (with, without) = (parse(&bytes), parse_generally(&bytes));
        assert_eq!(with, without, "{}", String::from_utf8_lossy(&bytes));
        match with {
            Ok(parsed) if parsed.invalid.is_empty() => good += 1,
            _ => bad += 1,
        }
    }
    assert!(
        good.min(bad) * 10 > good + bad,
        "one-sided: {good} good, {bad} bad"
    );
}

#[test]
fn what_libraries_write_takes_the_fast_path() {
    let compact = r#"{"agent_id":"a","tool":"t","passed":true,"gates":[{"name":"g","passed":false,"latency_ms":1.25,"reason":"é"}],"total_latency_ms":4.5,"timestamp":"2026-05-07T14:22:10.123Z","evaluation_id":"0123456789abcdef01234567"}"#;
    let spaced = compact.replace("\":", "\": ").replace(",\"", ", \"");
    let tool_last = compact
        .replace(r#""tool":"t","#, "")
        .replace("4567\"}", r#"4567","tool":"t"}"#);
    assert_eq!(tool_last.len(), compact.len());
    for text in [compact, &spaced, &tool_last] {
        let (evaluation, end) = Predictor::default().read(text, 0).unwrap();
        let mut reader = Reader::new(text.as_bytes()).unwrap();
        assert_eq!(
            (evaluation, end),
            (event::read(&mut reader, 0).unwrap(), text.len())
        );
    }
}
