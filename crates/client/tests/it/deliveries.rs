//! `sdk/vectors/deliveries.json`: the same requests and books as every other client.

use crate::kit::{KEY, Reply, Request, Scripted, eventually};
use repute_client::{Builder, Event, Telemetry, WhenFull};
use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const OTHER_KEY: &str = "pk_live_ZyXwVuTs76543210ZyXwVuTs76543210";

#[test]
fn every_delivery_goes_as_agreed() {
    let vectors: Value =
        serde_json::from_str(include_str!("../../../../sdk/vectors/deliveries.json")).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert!(cases.len() >= 38);
    for case in cases {
        run(case);
    }
}

fn run(case: &Value) {
    let name = case["name"].as_str().unwrap();
    let server = Scripted::new(script(&case["answers"]));
    let warnings = Arc::new(Mutex::new(Vec::<String>::new()));
    let heard = Arc::clone(&warnings);
    let builder = Telemetry::builder()
        .url(&server.url)
        .api_key(KEY)
        .flush_interval(Duration::from_secs(3_600))
        .shutdown_timeout(Duration::ZERO)
        .on_warning(move |text| heard.lock().unwrap().push(text.to_owned()));
    let telemetry = configured(builder, &case["settings"]).build().unwrap();

    let failed: Vec<u64> = case["failed"].as_array().map_or(Vec::new(), |list| {
        list.iter().map(|index| index.as_u64().unwrap()).collect()
    });
    for index in 0..case["track"].as_u64().unwrap() {
        let event = Event::new(!failed.contains(&index));
        telemetry.track(event.agent("a").tool(index.to_string()));
    }
    let _ = telemetry.flush(Duration::ZERO);

    if case["then"] == "set_api_key" {
        eventually(name, || telemetry.books().state == repute_client::State::Paused);
        assert_eq!(telemetry.books().waiting, telemetry.books().tracked, "{name}");
        telemetry.set_api_key(OTHER_KEY).unwrap();
    }

    let asked = case["requests"].as_array().unwrap();
    // The server has seen a request a moment before the client knows what became of it.
    let has_state = || {
        let state = json!(telemetry.books().state);
        case.get("state").is_none_or(|expected| *expected == state)
    };
    eventually(name, || {
        server.seen().len() >= asked.len() && settled(&telemetry, &case["books"]) && has_state()
    });
    let requests: Vec<Value> = server
        .seen()
        .iter()
        .map(|request| json!(tools(request)))
        .collect();
    assert_eq!(&requests, asked, "{name}");
    let books = telemetry.books();
    assert_eq!(summary(&telemetry), expected(&case["books"]), "{name}");
    assert!(books.balance(), "{name}: {books:?}");
    if let Some(state) = case.get("state") {
        assert_eq!(&json!(books.state), state, "{name}");
    }
    if let Some(calls) = case.get("calls") {
        assert_eq!(
            &json!({"requests": books.requests, "retries": books.retries}),
            calls,
            "{name}"
        );
    }
    if let Some(gzip) = case.get("gzip") {
        let packed: Vec<bool> = server
            .seen()
            .iter()
            .map(|request| request.header("content-encoding") == Some("gzip"))
            .collect();
        assert_eq!(&json!(packed), gzip, "{name}");
    }
    if let Some(words) = case["warned"].as_array() {
        // The books are ready a moment before the callback has run.
        eventually(name, || warnings.lock().unwrap().len() >= words.len());
        let warnings = warnings.lock().unwrap();
        assert_eq!(warnings.len(), words.len(), "{name}: {warnings:?}");
        for word in words {
            let word = word.as_str().unwrap();
            let with = warnings.iter().filter(|warning| warning.contains(word)).count();
            assert_eq!(with, 1, "{name}: {word}: {warnings:?}");
        }
    }
    if let Some(at_end) = case.get("at_end") {
        telemetry.shutdown();
        assert_eq!(summary(&telemetry), expected(at_end), "{name}");
        assert!(telemetry.books().balance(), "{name}");
    }
    if case["then"] == "set_api_key" {
        let keys: Vec<Option<String>> = server
            .seen()
            .iter()
            .map(|request| request.header("authorization").map(str::to_owned))
            .collect();
        assert_eq!(
            keys,
            [Some(format!("Bearer {KEY}")), Some(format!("Bearer {OTHER_KEY}"))]
        );
    }
}

fn script(answers: &Value) -> Box<dyn FnMut(&Request) -> Reply + Send> {
    if let Some(limit) = answers.as_str() {
        let limit: usize = limit.strip_prefix("takes ").unwrap().parse().unwrap();
        return Box::new(move |request| {
            if request.events().len() <= limit {
                Reply::taken()
            } else {
                let code = "body_too_large";
                Reply::json(413, &json!({"error": "a sentence", "code": code, "status": 413}))
            }
        });
    }
    let mut replies = answers.as_array().unwrap().clone().into_iter();
    Box::new(move |_| reply(&replies.next().expect("a request beyond the answers")))
}

fn reply(answer: &Value) -> Reply {
    match answer.as_str() {
        Some("cut") => Reply::Cut,
        Some("cut the answer") => Reply::CutTheAnswer,
        Some("silence") => Reply::Silence,
        Some(other) => panic!("no such answer: {other}"),
        None => Reply::Answer {
            status: u16::try_from(answer["status"].as_u64().unwrap()).unwrap(),
            headers: answer["headers"].as_object().map_or(Vec::new(), |headers| {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                headers
                    .iter()
                    .map(|(name, value)| (name.clone(), text(value)))
                    .collect()
            }),
            body: match answer.get("body") {
                Some(body) => body.to_string(),
                None => answer["text"].as_str().unwrap_or_default().to_owned(),
            },
        },
    }
}

fn configured(mut builder: Builder, settings: &Value) -> Builder {
    for (name, value) in settings.as_object().unwrap_or(&Map::new()) {
        let number = || value.as_u64().unwrap();
        let millis = || Duration::from_millis(number());
        builder = match name.as_str() {
            "retry_base_ms" => builder.retry_base(millis()),
            "retry_max_ms" => builder.retry_max(millis()),
            // Longer than written, so that on a busy machine the answers that do come come in time.
            "request_timeout_ms" => builder.request_timeout(millis() * 10),
            "gzip_above" => builder.gzip_above(value.as_u64().map(|bytes| usize::try_from(bytes).unwrap())),
            "max_buffer" => builder.max_buffer(usize::try_from(number()).unwrap()),
            "sample_rate" => builder.sample_rate(value.as_f64().unwrap()),
            "when_full" => builder.when_full(match value.as_str() {
                Some("drop_newest") => WhenFull::DropNewest,
                Some("drop_oldest") => WhenFull::DropOldest,
                other => panic!("no such policy: {other:?}"),
            }),
            other => panic!("no such setting: {other}"),
        };
    }
    builder
}

/// The tools of a request's events as the vectors write them: `0-99,105`.
fn tools(request: &Request) -> String {
    let numbers = request
        .events()
        .iter()
        .map(|event| event["tool"].as_str().unwrap().parse::<u64>().unwrap());
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let written = |&(first, last): &(u64, u64)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    };
    ranges.iter().map(written).collect::<Vec<_>>().join(",")
}

/// What the books say, in the words of the vectors.
fn summary(telemetry: &Telemetry) -> Value {
    let mut books = serde_json::to_value(telemetry.books()).unwrap();
    let fields = books.as_object_mut().unwrap();
    for name in ["recovered", "cut", "requests", "retries", "state"] {
        fields.remove(name).unwrap();
    }
    books
}

fn expected(books: &Value) -> Value {
    let mut all = json!({"tracked": 0, "delivered": 0, "waiting": 0, "duplicates": 0, "late": 0, "clamped": 0,
        "refused": {}, "dropped": {}});
    for (name, value) in books.as_object().unwrap() {
        all[name] = value.clone();
    }
    all
}

/// Whether the books have come to rest where they should: the last answer was read, too.
fn settled(telemetry: &Telemetry, books: &Value) -> bool {
    summary(telemetry) == expected(books)
        && (telemetry.books().waiting == 0 || telemetry.books().state != repute_client::State::Ready)
}
