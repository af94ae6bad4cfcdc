//! Query strings and path segments. The first byte says of which route.

use super::{Outcome, Target};
use std::collections::BTreeSet;
use std::fmt::Debug;
use wire::Fault;
use wire::query::{
    AgentsParams, EventsParams, GatesParams, LedgerParams, MAX_AGENTS_ASKED, MAX_AGENTS_LIMIT,
    MAX_EVENTS_LIMIT, MAX_LEDGER_LIMIT, MAX_OFFSET, ReputationsParams, agent_id_of_segment, no_parameters,
};

pub(super) const TARGET: Target = Target {
    name: "query",
    read,
    words: &[
        "&",
        "=",
        "limit=",
        "offset=",
        "agent_id=",
        "passed=true",
        "passed=false",
        "from=",
        "to=",
        "tool=",
        "failed_gate=",
        "evaluation_id=",
        "cursor=",
        "order=last_seen",
        "order=agent_id",
        "include=reputation",
        "by=minute",
        "by=day",
        "key_id=",
        "2026-05-07T14:22:10.123Z",
        "2026-05-07 14:22:10+02:00",
        "%2B",
        "%00",
        "%C3%A9",
        "%ff",
        "+",
        "0",
        "1",
        "100",
        "100000",
        "18446744073709551616",
    ],
};

fn read(bytes: &[u8]) -> Outcome {
    let Some((route, rest)) = bytes.split_first() else {
        return Outcome::refused("empty");
    };
    // A server refuses a request line that is not ASCII, so nothing else comes here.
    let Ok(text) = std::str::from_utf8(rest) else {
        return Outcome::refused("not UTF-8");
    };
    match route % 7 {
        0 => ask(0, text, |text| {
            let params = EventsParams::parse(Some(text))?;
            assert!((1..=MAX_EVENTS_LIMIT).contains(&params.limit) && params.offset <= MAX_OFFSET);
            let _bound = params.filters();
            Ok(params)
        }),
        1 => ask(1, text, |text| {
            let params = AgentsParams::parse(Some(text))?;
            assert!((1..=MAX_AGENTS_LIMIT).contains(&params.limit));
            let _bound = params.filters();
            Ok(params)
        }),
        2 => ask(2, text, |text| {
            let params = LedgerParams::parse(Some(text))?;
            assert!((1..=MAX_LEDGER_LIMIT).contains(&params.limit));
            let _bound = params.filters();
            Ok(params)
        }),
        3 => ask(3, text, |text| {
            let params = ReputationsParams::parse(Some(text))?;
            assert!((1..=MAX_AGENTS_ASKED).contains(&params.agent_ids.len()));
            Ok(params)
        }),
        4 => ask(4, text, |text| GatesParams::parse(Some(text))),
        5 => ask(5, text, |text| no_parameters(Some(text))),
        _ => match agent_id_of_segment(text) {
            Ok(id) => {
                assert!((1..=wire::MAX_AGENT_ID).contains(&id.chars().count()));
                assert_eq!(
                    agent_id_of_segment(&encoded(&id)),
                    Ok(id),
                    "written again it is another"
                );
                Outcome::good(6)
            }
            Err(fault) => Outcome::refused(rule_of(&fault.to_string())),
        },
    }
}

/// A refusal without the name of the parameter, which may be any.
fn rule_of(sentence: &str) -> &str {
    sentence.rsplit_once(": ").map_or(sentence, |(_, rule)| rule)
}

/// Reads a query string; one that means the same, with every name and value percent-encoded, reads the same.
fn ask<T: Debug + PartialEq>(route: u8, text: &str, parse: impl Fn(&str) -> Result<T, Fault>) -> Outcome {
    match parse(text) {
        Ok(params) => {
            let again: Vec<String> = text.split('&').map(encoded_pair).collect();
            assert_eq!(
                parse(&again.join("&")),
                Ok(params),
                "encoded it means something else"
            );
            let names: BTreeSet<_> = text.split('&').map(|pair| pair.split('=').next()).collect();
            Outcome::good((route, names.len()))
        }
        Err(fault) => Outcome::refused(rule_of(&fault.to_string())),
    }
}

fn encoded_pair(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, value)) => format!("{}={}", escaped(name), escaped(value)),
        None => escaped(pair),
    }
}

/// With every character that stands for itself written as an escape.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                out.push('%');
                out.extend(rest.by_ref().take(2).map(char::from));
            }
            b'+' => out.push_str("%20"),
            _ => out.push_str(&format!("%{byte:02x}")),
        }
    }
    out
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
