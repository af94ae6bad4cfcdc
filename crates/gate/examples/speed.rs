//! How long gates take: the default set on 2 KB and on 1 MB of prose, the OpenRTB set on a usual response.
//!
//! `cargo run --release -p gate --example speed` shows medians, reading the JSON included. With a case and a number of
//! rounds it only does them, for a tool that counts instructions:
//! `valgrind --tool=callgrind target/release/examples/speed small 100`.
#![expect(clippy::print_stdout, reason = "it is for people to read")]

use gate::Context;
use gate::config::Config;
use json::Document;
use std::error::Error;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

const ROUNDS: usize = 400;

struct Case {
    name: &'static str,
    set: &'static str,
    input: Option<String>,
    output: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let config = Config::parse(SETS, &|_| Err(std::io::ErrorKind::NotFound.into()))
        .map_err(|wrong| wrong.to_string())?;
    let mut arguments = std::env::args().skip(1);
    let (only, rounds) = (arguments.next(), arguments.next());
    let rounds = rounds.map_or(Ok(ROUNDS), |rounds| rounds.parse())?;
    for case in cases() {
        if only.as_deref().is_some_and(|name| name != case.name) {
            continue;
        }
        let mut read = Vec::with_capacity(rounds);
        let mut judged = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            let (read_in, judged_in) = round(&config, &case)?;
            read.push(read_in);
            judged.push(judged_in);
        }
        println!(
            "{:<8} {:>8} bytes: gates {:>8.1} us, reading {:>8.1} us (medians of {rounds})",
            case.name,
            case.output.len() + case.input.as_ref().map_or(0, String::len),
            median(&mut judged),
            median(&mut read),
        );
    }
    Ok(())
}

const SETS: &str = r#"
[set.default]
budget_ms = 60_000 # a busy machine may take its time
gates = ["filesystem", "pii", "content"]
[set.rtb]
budget_ms = 60_000
gates = ["rtb.tmax-guard", "rtb.impid-match", "rtb.adomain-verify", "rtb.bid-sanity", "rtb.audience-safety",
         "rtb.bcat-compliance"]
"#;

/// How long one reading and one judging took.
fn round(config: &Config, case: &Case) -> Result<(Duration, Duration), Box<dyn Error>> {
    let started_at = Instant::now();
    let input = case
        .input
        .as_ref()
        .map(|input| Document::parse(input.as_bytes()))
        .transpose()?;
    let output = Document::parse(case.output.as_bytes())?;
    let read = started_at.elapsed();
    let set = config.set(case.set).ok_or("no such set")?;
    let verdict = set.engine.run(&Context {
        agent_id: "a",
        tool: None,
        input: input.as_ref(),
        output: &output,
        latency_ms: None,
        tmax_ms: Some(1e9),
        started_at,
    });
    if !verdict.passed {
        return Err(format!("{verdict:?}").into());
    }
    Ok((read, started_at.elapsed() - read))
}

fn cases() -> [Case; 3] {
    let output = |bytes| serde_json::json!({ "status": "ok", "answer": prose(bytes), "sources": ["https://docs.example.org/a/b", "doi:10.1000/182"] });
    let bids: Vec<_> = (0..3)
        .map(|bid| {
            serde_json::json!({ "id": bid.to_string(), "impid": (bid % 2 + 1).to_string(), "price": 0.751_371, "adid": "52a5516d29e435137c6f6e74",
                "nurl": "https://ads.acme.com/win?p=${AUCTION_PRICE}", "adomain": ["ads.acme.com"], "crid": "529833ce", "cat": ["IAB3-1"],
                "adm": "<a href=\"https://ads.acme.com/c\"><img src=\"https://ads.acme.com/i.png\"></a>", "w": 300, "h": 250 })
        })
        .collect();
    let response = serde_json::json!({ "id": "80ce30c53c16e6ede735f123ef6e3236", "cur": "USD", "seatbid": [{ "seat": "512", "bid": bids }] });
    let request = serde_json::json!({
        "id": "80ce30c53c16e6ede735f123ef6e3236", "at": 1, "tmax": 120, "cur": ["USD"], "bcat": ["IAB25", "IAB26", "IAB7-39"], "regs": { "coppa": 1 },
        "imp": [{ "id": "1", "bidfloor": 0.03, "banner": { "w": 300, "h": 250 } }, { "id": "2", "bidfloor": 0.5, "video": { "mimes": ["video/mp4"] } }],
        "site": { "id": "102855", "cat": ["IAB3-1"], "domain": "www.foobar.io", "page": "http://www.foobar.io/1234.html" },
    });
    [
        Case {
            name: "small",
            set: "default",
            input: None,
            output: output(1_900).to_string(),
        },
        Case {
            name: "large",
            set: "default",
            input: None,
            output: output(1 << 20).to_string(),
        },
        Case {
            name: "rtb",
            set: "rtb",
            input: Some(request.to_string()),
            output: response.to_string(),
        },
    ]
}

/// Harmless prose with numbers, dates, code and links, as assistants write it.
fn prose(bytes: usize) -> String {
    let mut text = String::new();
    let mut paragraph = 0;
    while text.len() < bytes {
        paragraph += 1;
        let _ = write!(
            text,
            "{paragraph}. Your order of 2026-11-{:02} was shipped at 14:22:{:02}; it's in transit (see https://track.acme.io/p/{paragraph}). \
             I am glad to help with more. The total comes to 1,249.50 USD, of which 8.25% is tax.\n- Rerun `cargo test -p api` after \
             the form's terms are accepted.\n- In a case like this, an agent can retry, as an operator would.\n",
            paragraph % 28 + 1,
            paragraph % 60,
        );
    }
    text
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}
