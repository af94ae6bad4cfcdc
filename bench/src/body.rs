//! Bodies of `POST /v1/ingest` as clients send them, with places that are overwritten before each send.
//!
//! Making a realistic body costs more than serving it, so bodies are made once and every send changes only
//! what must be fresh: ids, timestamps, and where agents are drawn anew, their names.

use crate::clock::{TIMESTAMP_BYTES, Timestamps};
use crate::random::Random;
use reputation::Micros;
use std::fmt::Write as _;

/// Hexadecimal digits of an `evaluation_id`: 96 random bits.
const ID_DIGITS: usize = 24;
/// Digits of an agent's number in its name.
const AGENT_DIGITS: usize = 7;

const TOOLS: [&str; 8] = [
    "submit_bid",
    "search_inventory",
    "update_budget",
    "send_email",
    "run_sql",
    "write_file",
    "fetch_url",
    "create_order",
];
const GATES: [&str; 12] = [
    "impid",
    "bid_sanity",
    "adomain",
    "pii",
    "content",
    "filesystem",
    "budget_cap",
    "brand_safety",
    "schema",
    "latency_guard",
    "prompt_injection",
    "toxicity",
];
const REASONS: [&str; 6] = [
    "bid price exceeds floor by more than 50x",
    "advertiser domain is on the block list of the seller",
    "output holds what looks like a card number",
    "path lies outside of the allowed directories",
    "the answer does not match the schema that the tool declares",
    "the daily budget of the campaign would be exceeded",
];

/// What bodies look like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) events: usize,
    /// How many agents there are.
    pub(crate) agents: u64,
    /// How many of them a body names, at least and at most.
    pub(crate) agents_a_body: (u64, u64),
    /// What their names begin with.
    pub(crate) prefix: &'static str,
    pub(crate) draw: Draw,
}

/// Whose events a send brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Draw {
    /// Each body keeps its agents.
    Kept,
    /// Of agents drawn anew.
    Random,
    /// Of the next agents by number.
    InTurn,
}

/// What makes a send different from all before.
pub(crate) struct Fresh {
    random: Random,
    timestamps: Timestamps,
    next_agent: u64,
}

impl Fresh {
    pub(crate) fn new(random: Random) -> Self {
        Self {
            random,
            timestamps: Timestamps::new(),
            next_agent: 0,
        }
    }
}

impl Shape {
    /// 100 events of 10–20 agents out of 10,000.
    pub(crate) const USUAL: Self = Self {
        events: 100,
        agents: 10_000,
        agents_a_body: (10, 20),
        prefix: "bid-agent-",
        draw: Draw::Kept,
    };
    /// One event.
    pub(crate) const ONE: Self = Self {
        events: 1,
        agents_a_body: (1, 1),
        ..Self::USUAL
    };
}

/// How long before the moment of sending events happened, in microseconds: at least and at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Age {
    pub(crate) from_us: i64,
    pub(crate) to_us: i64,
}

impl Age {
    /// Up to 50 ms.
    pub(crate) const FRESH: Self = Self::up_to(50_000);

    pub(crate) const fn up_to(us: i64) -> Self {
        Self {
            from_us: 0,
            to_us: us,
        }
    }
}

/// A body and the places in it.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    shape: Shape,
    ids: Vec<usize>,
    times: Vec<usize>,
    /// Where the digits of each event's agent are, and which of the body's agents it is.
    agents: Vec<(usize, usize)>,
    distinct_agents: usize,
}

impl Body {
    /// A body of this shape.
    pub(crate) fn new(shape: Shape, random: &mut Random) -> Self {
        let (least, most) = shape.agents_a_body;
        let count = (least + random.below(most - least + 1)).min(shape.agents) as usize;
        let mut own = Vec::with_capacity(count);
        while own.len() < count {
            let agent = random.below(shape.agents);
            if !own.contains(&agent) {
                own.push(agent);
            }
        }
        let mut body = Self {
            bytes: Vec::new(),
            shape,
            ids: Vec::new(),
            times: Vec::new(),
            agents: Vec::new(),
            distinct_agents: count.min(shape.events),
        };
        let mut text = String::from(r#"{"events":["#);
        for event in 0..shape.events {
            if event > 0 {
                text.push(',');
            }
            // Each agent at least once, so that the number of updates is known.
            let which = if event < count {
                event
            } else {
                random.below(count as u64) as usize
            };
            body.event(&mut text, which, own[which], random);
        }
        text.push_str("]}");
        body.bytes = text.into_bytes();
        body
    }

    fn event(&mut self, text: &mut String, which: usize, agent: u64, random: &mut Random) {
        let _ = write!(text, r#"{{"agent_id":"{}"#, self.shape.prefix);
        self.agents.push((text.len(), which));
        let _ = write!(
            text,
            r#"{agent:0AGENT_DIGITS$}","tool":"{}","#,
            random.pick(&TOOLS)
        );
        let failed = random.percent(8);
        let gates = 3 + random.below(4);
        let first = random.below(GATES.len() as u64);
        let fails_at = if failed { random.below(gates) } else { gates };
        let _ = write!(text, r#""passed":{},"gates":["#, !failed);
        for gate in 0..gates {
            let name = GATES[((first + gate) % GATES.len() as u64) as usize];
            let comma = if gate > 0 { "," } else { "" };
            let passed = gate != fails_at;
            let latency = milliseconds(random, 4_000);
            let _ = write!(
                text,
                r#"{comma}{{"name":"{name}","passed":{passed},"latency_ms":{latency}"#
            );
            if !passed {
                let reason = random.pick(&REASONS);
                // One in three tells a detail, so that it is new each time.
                if random.percent(33) {
                    let _ = write!(text, r#","reason":"{reason} ({})""#, random.below(1_000_000));
                } else {
                    let _ = write!(text, r#","reason":"{reason}""#);
                }
            } else if random.percent(3) {
                text.push_str(r#","skipped":true"#);
            }
            text.push('}');
        }
        let _ = write!(
            text,
            r#"],"total_latency_ms":{},"timestamp":""#,
            milliseconds(random, 30_000)
        );
        self.times.push(text.len());
        let _ = write!(text, r#"{:0TIMESTAMP_BYTES$}""#, 0);
        if random.percent(80) {
            text.push_str(r#","evaluation_id":""#);
            self.ids.push(text.len());
            let _ = write!(text, r#"{:0ID_DIGITS$}""#, 0);
        }
        text.push('}');
    }

    /// Makes it a body of this moment.
    pub(crate) fn refresh(&mut self, now: Micros, age: Age, fresh: &mut Fresh) {
        let random = &mut fresh.random;
        for at in &self.times {
            let before = age.from_us + random.below((age.to_us - age.from_us) as u64 + 1) as i64;
            fresh
                .timestamps
                .put(&mut self.bytes[*at..at + TIMESTAMP_BYTES], Micros(now.0 - before));
        }
        for at in &self.ids {
            random.hex(&mut self.bytes[*at..at + ID_DIGITS]);
        }
        let agents = self.shape.agents;
        let (first, stride) = match self.shape.draw {
            Draw::Kept => return,
            // A stride keeps them apart without remembering which were drawn.
            Draw::Random => (random.below(agents), agents / 128 + 1),
            Draw::InTurn => (fresh.next_agent, 1),
        };
        fresh.next_agent += self.distinct_agents as u64;
        for (at, which) in &self.agents {
            let mut agent = (first + *which as u64 * stride) % agents;
            for place in self.bytes[*at..at + AGENT_DIGITS].iter_mut().rev() {
                *place = b'0' + (agent % 10) as u8;
                agent /= 10;
            }
        }
    }

    /// Its events.
    pub(crate) fn events(&self) -> usize {
        self.shape.events
    }

    /// Those of them that have an `evaluation_id`.
    pub(crate) fn named(&self) -> usize {
        self.ids.len()
    }

    /// How many agents it names.
    pub(crate) fn distinct_agents(&self) -> usize {
        self.distinct_agents
    }
}

/// A duration in milliseconds as programs print it: mostly with microseconds, some whole.
fn milliseconds(random: &mut Random, most_us: u64) -> f64 {
    let us = random.below(most_us);
    let us = if random.percent(25) {
        us / 1_000 * 1_000
    } else {
        us
    };
    us as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_body_is_what_its_shape_says_after_every_refresh() {
        let mut random = Random::new(1);
        let mut fresh = Fresh::new(Random::new(2));
        let drawn = |draw| Shape {
            agents: 1_000_000,
            agents_a_body: (15, 15),
            draw,
            ..Shape::USUAL
        };
        for shape in [Shape::USUAL, Shape::ONE, drawn(Draw::Random), drawn(Draw::InTurn)] {
            let mut body = Body::new(shape, &mut random);
            let mut seen = HashSet::new();
            for round in 0..3 {
                let now = Micros(1_795_478_400_000_000 + round * 1_000_000);
                body.refresh(now, Age::FRESH, &mut fresh);
                let parsed = wire::ingest::parse(&body.bytes).unwrap();
                assert_eq!(
                    (parsed.evaluations.len(), parsed.invalid.len()),
                    (shape.events, 0)
                );
                let agents: HashSet<_> = parsed
                    .evaluations
                    .iter()
                    .map(|e| e.agent_id.to_string())
                    .collect();
                assert_eq!(agents.len(), body.distinct_agents());
                for evaluation in &parsed.evaluations {
                    let age = now.0 - evaluation.sent_at.unwrap().0;
                    assert!((0..=51_000).contains(&age), "{age}"); // the millisecond is cut
                    if let Some(id) = &evaluation.evaluation_id {
                        assert!(seen.insert(id.to_string()), "an id came again");
                    }
                }
                let named = parsed
                    .evaluations
                    .iter()
                    .filter(|e| e.evaluation_id.is_some())
                    .count();
                assert_eq!(named, body.named());
            }
        }
    }

    #[test]
    fn a_usual_body_is_about_44_kb() {
        let mut random = Random::new(2);
        let bytes: usize = (0..100)
            .map(|_| Body::new(Shape::USUAL, &mut random).bytes.len())
            .sum();
        assert!((40_000..48_000).contains(&(bytes / 100)), "{}", bytes / 100);
    }
}
