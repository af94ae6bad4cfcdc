//! The books balance: whatever is sent at once, every request and every event is on both sides.

use crate::kit::{Answer, Lab, event, one};
use journal::SimDisk;
use serde_json::Value;
use server::accounts::OrgSettings;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wire::{KeyKind, Scopes};

/// What clients counted by themselves, from what they sent and what they were answered.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counted {
    requests: BTreeMap<u16, u64>,
    received: u64,
    recorded: u64,
    duplicates: u64,
    refused: BTreeMap<String, u64>,
    shed: u64,
}

impl Counted {
    /// An ingest of a body that lists so many events.
    fn ingest(&mut self, events: u64, answer: &Answer) {
        *self.requests.entry(answer.status).or_default() += 1;
        let json = answer.json();
        self.received += events;
        match (answer.status, json["code"].as_str()) {
            (202, _) => {
                let duplicates = json["duplicates"].as_u64().unwrap_or(0);
                self.recorded += json["accepted"].as_u64().unwrap() - duplicates;
                self.duplicates += duplicates;
                for rejected in json["rejected"].as_array().into_iter().flatten() {
                    let reason = if rejected["field"] == "agent_id" && rejected["rule"] != "missing" {
                        "agent_limit"
                    } else {
                        "invalid"
                    };
                    *self.refused.entry(reason.to_owned()).or_default() += 1;
                }
            }
            (400, _) => *self.refused.entry("invalid".to_owned()).or_default() += events,
            (403, _) => *self.refused.entry("agent_limit".to_owned()).or_default() += events,
            (503, _) => self.shed += events,
            other => panic!("{other:?}: {json}"),
        }
    }
}

/// The same from the ledger, over all of a key's minutes.
fn ledger(lab: &Lab, key_id: &str) -> Counted {
    let mut counted = Counted::default();
    let path = format!("/v1/ledger?by=minute&key_id={key_id}");
    let page = lab.send("GET", &path, &lab.sk, &[], b"").json();
    for entry in page["entries"].as_array().unwrap() {
        let (requests, events) = (&entry["requests"], &entry["events"]);
        assert_eq!(
            sum(&requests["by_status"]),
            requests["received"].as_u64().unwrap()
        );
        let sides = [&events["recorded"], &events["duplicates"]].map(|side| side.as_u64().unwrap());
        let sides = sides.iter().sum::<u64>() + sum(&events["refused"]) + sum(&events["shed"]);
        assert_eq!(events["received"], sides, "{entry}");
        for (status, count) in requests["by_status"].as_object().unwrap() {
            *counted.requests.entry(status.parse().unwrap()).or_default() += count.as_u64().unwrap();
        }
        counted.received += events["received"].as_u64().unwrap();
        counted.recorded += events["recorded"].as_u64().unwrap();
        counted.duplicates += events["duplicates"].as_u64().unwrap();
        counted.shed += sum(&events["shed"]);
        for (reason, count) in events["refused"].as_object().unwrap() {
            *counted.refused.entry(reason.clone()).or_default() += count.as_u64().unwrap();
        }
    }
    counted
}

fn sum(counts: &Value) -> u64 {
    let counts = counts.as_object().unwrap().values();
    counts.map(|count| count.as_u64().unwrap()).sum()
}

/// The sum of a metric over its labels.
fn metric(text: &str, name: &str) -> u64 {
    let lines = text.lines().filter(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with([' ', '{']))
    });
    lines
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}

/// `received = recorded + duplicate + refused + shed`, and as many answers as requests.
fn assert_metrics_balance(lab: &Lab, events: u64) {
    let text = String::from_utf8(lab.get("/metrics").body).unwrap();
    let sides = ["recorded", "duplicate", "refused", "shed"]
        .map(|side| metric(&text, &format!("repute_events_{side}_total")));
    assert_eq!(metric(&text, "repute_events_received_total"), events, "{text}");
    assert_eq!(sides.iter().sum::<u64>(), events, "{text}");
    // The request that asks is the only one without an answer.
    let received = metric(&text, "repute_requests_received_total");
    assert_eq!(received, metric(&text, "repute_requests_total") + 1, "{text}");
}

#[test]
fn every_request_and_event_is_on_both_sides() {
    let options = store::Options {
        max_in_flight: 3,
        ..store::Options::default()
    };
    let lab = Lab::on(Arc::new(journal::OsDisk), options, |_| {});
    lab.set(OrgSettings {
        max_agents: Some(6),
        ..OrgSettings::default()
    });
    let counted = Mutex::new(Counted::default());
    let bad = |agent: &str| event(agent, "").replace("true", "1");
    std::thread::scope(|scope| {
        for client in 0..8 {
            let (lab, counted) = (&lab, &counted);
            scope.spawn(move || {
                for round in 0..30 {
                    let agent = format!("a{}", round % 8);
                    let id = format!(r#","evaluation_id":"{client}-{}""#, round / 2);
                    let (good, bad) = (event(&agent, &id), bad(&agent));
                    let list = match round % 3 {
                        0 => vec![good.clone(), good],
                        1 => vec![good, bad],
                        _ => vec![good; 5],
                    };
                    let lenient: &[_] = match round % 4 {
                        0 | 1 => &[("Prefer", "handling=lenient")],
                        _ => &[],
                    };
                    let body = format!(r#"{{"events":[{}]}}"#, list.join(","));
                    let answer = lab.send("POST", "/v1/ingest", &lab.pk, lenient, body.as_bytes());
                    counted.lock().unwrap().ingest(list.len() as u64, &answer);
                }
                // What is no list of events is in the books of requests alone.
                for body in ["{", r#"{"events":[]}"#, r#"{"events":7}"#] {
                    let status = lab.ingest(body).status;
                    assert!([400, 503].contains(&status), "{status}");
                    *counted.lock().unwrap().requests.entry(status).or_default() += 1;
                }
                let answer = lab.send("GET", "/v1/keys", &lab.pk, &[], b"");
                assert_eq!(answer.status, 403);
                *counted.lock().unwrap().requests.entry(403).or_default() += 1;
            });
        }
    });
    let mut counted = counted.into_inner().unwrap();
    for side in [counted.recorded, counted.duplicates, counted.shed] {
        assert!(side > 0, "a path was not driven: {counted:?}");
    }
    assert_eq!(counted.refused.len(), 2, "{counted:?}");
    let listed = lab.get("/v1/agents").json();
    let stored: u64 = listed["agents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| agent["eval_count"].as_u64().unwrap())
        .sum();
    assert_eq!(stored, counted.recorded, "the store itself");
    let key_id = lab.get("/v1/whoami").json()["key_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut kept = ledger(&lab, &key_id);
    *kept.requests.entry(200).or_default() -= 2; // the list of agents and who asks
    kept.requests.retain(|_, count| *count > 0);
    // Most are shed before the body is read: no event is received then.
    let unread = counted.shed.checked_sub(kept.shed).unwrap();
    counted.shed -= unread;
    counted.received -= unread;
    assert_eq!(kept, counted);
    assert_metrics_balance(&lab, counted.received);
}

#[test]
fn events_shed_by_a_full_and_by_a_failing_disk_are_in_the_books() {
    let disk = SimDisk::new(5);
    let mut options = store::Options::default();
    options.journal.first_segment_bytes = 4 << 10;
    options.journal.max_segment_bytes = 4 << 10;
    options.journal.retry = Duration::from_secs(60);
    let lab = Lab::on(Arc::new(disk.clone()), options, |_| {});
    let mut counted = Counted::default();
    let send = |counted: &mut Counted| {
        let answer = lab.ingest(one("a"));
        // Once the server knows, it refuses before it has read the body: no event is received then.
        let events = ledger_received(&lab) - counted.received;
        counted.ingest(events, &answer);
        answer.status
    };
    while send(&mut counted) == 202 {
        disk.set_capacity(Some(disk.used()));
        assert!(counted.received < 100, "the disk never filled up");
    }
    disk.set_capacity(None);
    let mut kept = ledger(&lab, &own_key(&lab));
    kept.requests.remove(&200);
    assert_eq!(kept, counted);
    assert_metrics_balance(&lab, counted.received);
}

fn ledger_received(lab: &Lab) -> u64 {
    ledger(lab, &own_key(lab)).received
}

fn own_key(lab: &Lab) -> String {
    lab.get("/v1/whoami").json()["key_id"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn an_event_of_unknown_outcome_is_shed() {
    let disk = SimDisk::new(6);
    let lab = Lab::on(Arc::new(disk.clone()), store::Options::default(), |_| {});
    // Once this is taken a segment is prepared: what fails then is the commit, not the preparing.
    assert_eq!(lab.ingest(one("a")).status, 202);
    disk.fail_syncs(true);
    assert_eq!(lab.ingest(one("a")).status, 503);
    let page = lab.send("GET", "/v1/ledger", &lab.sk, &[], b"").json();
    let events = &page["entries"][0]["events"];
    assert_eq!(
        events["shed"],
        serde_json::json!({"outcome_unknown": 1}),
        "{page}"
    );
    assert_metrics_balance(&lab, 2);
}

#[test]
fn the_ledger_pages_and_is_for_administrators_of_the_organisation() {
    let lab = Lab::new();
    let second = lab.key(
        KeyKind::Publishable,
        Scopes::default_of(KeyKind::Publishable),
        None,
    );
    for key in [lab.pk.as_str(), second.key.as_str()] {
        let answer = lab.send("POST", "/v1/ingest", key, &[], one("a").as_bytes());
        assert_eq!(answer.status, 202);
    }
    assert_eq!(lab.get("/v1/ledger").error().1, "scope_missing");
    let ask = |path: &str| lab.send("GET", path, &lab.sk, &[], b"");
    let mut seen = Vec::new();
    let mut path = "/v1/ledger?limit=1".to_owned();
    loop {
        let page = ask(&path).json();
        seen.push(page["entries"][0]["key_id"].clone());
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/ledger?limit=1&cursor={cursor}");
        assert!(seen.len() < 10);
    }
    // The secret key's own requests are the third entry.
    assert_eq!(seen.len(), 3, "{seen:?}");
    let cursor = path.split_once("cursor=").unwrap().1;
    let elsewhere = ask(&format!("/v1/ledger?by=minute&cursor={cursor}"));
    assert_eq!(elsewhere.error().1, "validation_error");
}
