//! Life as it is: callbacks that fail, full buffers, handles that are dropped, processes that fork and end.

use crate::kit::{KEY, Reply, SECRET, Scripted, eventually};
use repute_client::{Builder, DropReason, Event, State, Telemetry, WhenFull};
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// For what must come, on a machine however slow.
const LONG: Duration = Duration::from_secs(20);

fn builder(server: &Scripted) -> Builder {
    Telemetry::builder()
        .url(&server.url)
        .api_key(KEY)
        .agent_id("a")
        .retry_base(Duration::from_millis(1))
        .retry_max(Duration::from_millis(1))
}

fn unavailable() -> Reply {
    Reply::json(
        503,
        &json!({"error": "a sentence", "code": "unavailable", "status": 503}),
    )
}

fn long_wait() -> Reply {
    let Reply::Answer { status, body, .. } = unavailable() else {
        unreachable!("it is an answer");
    };
    Reply::Answer {
        status,
        body,
        headers: vec![("Retry-After".to_owned(), "200".to_owned())],
    }
}

#[test]
fn a_lone_event_goes_by_itself_after_the_interval() {
    let server = Scripted::replaying([]);
    let telemetry = builder(&server)
        .flush_interval(Duration::from_millis(20))
        .build()
        .unwrap();
    telemetry.track(Event::new(true));
    eventually("delivered", || telemetry.books().delivered == 1);
    // And once more, from the sleep that follows.
    telemetry.track(Event::new(true));
    eventually("delivered", || telemetry.books().delivered == 2);
}

#[test]
fn a_request_carries_key_signature_and_type_and_events_carry_id_and_time() {
    let server = Scripted::replaying([]);
    let telemetry = builder(&server).secret_key(SECRET).gzip_above(1).build().unwrap();
    telemetry.track(Event::new(true));
    assert!(telemetry.flush(LONG));
    let request = &server.seen()[0];
    assert_eq!(request.path, "/v1/ingest");
    assert_eq!(request.header("authorization"), Some(&*format!("Bearer {KEY}")));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("content-encoding"), Some("gzip"));
    let signature = wire::SigningKey::new(SECRET).sign(&request.raw);
    assert_eq!(
        request.header("x-pecta-signature"),
        Some(&*signature),
        "of the bytes as sent"
    );
    let event = &request.events()[0];
    assert_eq!(event["evaluation_id"].as_str().unwrap().len(), 22);
    assert_eq!(
        event["timestamp"].as_str().unwrap().len(),
        "2026-05-07T14:22:10.000Z".len()
    );
}

#[test]
fn dropping_the_last_handle_drains() {
    let server = Scripted::replaying([unavailable(), Reply::Cut]);
    let telemetry = builder(&server).build().unwrap();
    let other = telemetry.clone();
    (0..150).for_each(|_| telemetry.track(Event::new(true)));
    drop(telemetry);
    other.track(Event::new(true));
    drop(other);
    let delivered: usize = server
        .seen()
        .iter()
        .skip(2)
        .map(|request| request.events().len())
        .sum();
    assert_eq!(delivered, 151);
}

#[test]
fn a_shutdown_keeps_its_time_and_counts_what_is_left() {
    let server = Scripted::new(|_| Reply::Silence);
    let dropped = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&dropped);
    let telemetry = builder(&server)
        .shutdown_timeout(Duration::from_millis(100))
        .on_dropped(move |events, reason| {
            assert_eq!(reason, DropReason::Shutdown);
            told.fetch_add(events.len() as u64, Ordering::Relaxed);
        })
        .build()
        .unwrap();
    (0..250).for_each(|_| telemetry.track(Event::new(true)));
    eventually("asked", || !server.seen().is_empty());
    let started = Instant::now();
    telemetry.shutdown();
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "the request alone has 10 s"
    );
    let books = telemetry.books();
    assert_eq!(
        (books.dropped[&DropReason::Shutdown], books.waiting, books.state),
        (250, 0, State::Closed)
    );
    assert_eq!(dropped.load(Ordering::Relaxed), 250);
}

#[test]
fn a_shutdown_does_not_wait_for_a_try_that_comes_later() {
    let server = Scripted::new(|_| long_wait());
    let telemetry = builder(&server)
        .shutdown_timeout(Duration::from_secs(100))
        .build()
        .unwrap();
    telemetry.track(Event::new(true));
    let _ = telemetry.flush(Duration::ZERO);
    eventually("failed", || telemetry.books().state == State::Backoff);
    let started = Instant::now();
    telemetry.shutdown();
    assert!(
        started.elapsed() < LONG,
        "the server asked for 200 s, and there are 100"
    );
    assert_eq!(telemetry.books().dropped[&DropReason::Shutdown], 1);
}

#[test]
fn what_is_tracked_after_the_end_is_counted() {
    let server = Scripted::replaying([]);
    let (sender, told) = mpsc::channel();
    let sender = Mutex::new(sender);
    let telemetry = builder(&server)
        .on_dropped(move |events, reason| sender.lock().unwrap().send((events.to_vec(), reason)).unwrap())
        .build()
        .unwrap();
    telemetry.shutdown();
    telemetry.shutdown();
    telemetry.track(Event::new(true).tool("t"));
    let (events, reason) = told.try_recv().unwrap();
    assert_eq!(
        (events[0].tool.as_deref(), reason),
        (Some("t"), DropReason::Closed)
    );
    assert!(telemetry.flush(LONG), "nothing waits");
    let books = telemetry.books();
    assert_eq!(
        (books.tracked, books.dropped_total(), books.state),
        (1, 1, State::Closed)
    );
}

#[test]
fn with_block_tracking_waits_for_room_and_loses_nothing() {
    let server = Scripted::new(|_| {
        std::thread::sleep(Duration::from_millis(1));
        Reply::taken()
    });
    // Fewer than start a send by themselves: who waits for room must start it.
    let telemetry = builder(&server)
        .max_buffer(7)
        .when_full(WhenFull::Block)
        .build()
        .unwrap();
    let trackers: Vec<_> = (0..4)
        .map(|_| {
            let telemetry = telemetry.clone();
            std::thread::spawn(move || (0..100).for_each(|_| telemetry.track(Event::new(true))))
        })
        .collect();
    trackers.into_iter().for_each(|tracker| tracker.join().unwrap());
    assert!(telemetry.flush(LONG));
    let books = telemetry.books();
    assert_eq!((books.tracked, books.delivered), (400, 400));
}

#[test]
fn who_waits_for_room_is_let_go_when_the_client_closes() {
    let server = Scripted::new(|_| long_wait());
    let telemetry = builder(&server)
        .max_buffer(1)
        .when_full(WhenFull::Block)
        .build()
        .unwrap();
    telemetry.track(Event::new(true));
    let tracker = {
        let telemetry = telemetry.clone();
        std::thread::spawn(move || telemetry.track(Event::new(true)))
    };
    eventually("failed", || telemetry.books().state == State::Backoff);
    telemetry.shutdown();
    tracker.join().unwrap();
    let books = telemetry.books();
    assert_eq!(
        (
            books.dropped[&DropReason::Closed],
            books.dropped[&DropReason::Shutdown]
        ),
        (1, 1)
    );
}

#[test]
fn a_callback_may_panic_track_flush_and_shut_down() {
    let server = Scripted::replaying([Reply::json(
        400,
        &json!({"error": "a sentence", "code": "validation_error", "status": 400}),
    )]);
    let handle = Arc::new(Mutex::new(None::<Telemetry>));
    let (refusing, dropping) = (Arc::clone(&handle), Arc::clone(&handle));
    let telemetry = builder(&server)
        .max_buffer(3)
        .when_full(WhenFull::Block)
        .on_refused(move |events, code| {
            assert_eq!((events.len(), code), (3, "validation_error"));
            let telemetry = refusing.lock().unwrap().clone().unwrap();
            // Blocks nowhere, not even here where it would wait for itself.
            (0..5).for_each(|_| telemetry.track(Event::new(true)));
            assert!(!telemetry.flush(LONG));
            panic!("swallowed");
        })
        .on_dropped(move |_, _| {
            let telemetry = dropping.lock().unwrap().clone().unwrap();
            // Would call itself for ever.
            telemetry.track(Event::new(true));
            panic!("swallowed");
        })
        .build()
        .unwrap();
    *handle.lock().unwrap() = Some(telemetry.clone());
    (0..3).for_each(|_| telemetry.track(Event::new(true)));
    let _ = telemetry.flush(LONG);
    eventually("the callback's own are delivered", || {
        telemetry.books().delivered == 3
    });
    let books = telemetry.books();
    assert_eq!(
        (
            books.tracked,
            books.refused_total(),
            books.dropped[&DropReason::Full]
        ),
        (8, 3, 2)
    );
    telemetry.track(Event::new(true).evaluation_id("e".repeat(51)));
    let books = telemetry.books();
    assert_eq!(
        books.dropped[&DropReason::Invalid],
        1,
        "told, and the callback's panic was swallowed"
    );
    assert!(books.balance(), "{books:?}");
    handle.lock().unwrap().take();
}

#[test]
fn a_callback_that_shuts_the_client_down_does_not_wait_for_itself() {
    let server = Scripted::replaying([]);
    let handle = Arc::new(Mutex::new(None::<Telemetry>));
    let inside = Arc::clone(&handle);
    let telemetry = builder(&server)
        .shutdown_timeout(Duration::from_secs(100))
        .on_delivered(move |_| {
            let telemetry = inside.lock().unwrap().take();
            telemetry.unwrap().shutdown();
        })
        .build()
        .unwrap();
    *handle.lock().unwrap() = Some(telemetry.clone());
    telemetry.track(Event::new(true));
    assert!(telemetry.flush(LONG));
    eventually("closed", || telemetry.books().state == State::Closed);
}

#[test]
fn every_wrong_setting_is_named() {
    let none = Duration::ZERO;
    let cases: [(&str, Builder); 20] = [
        ("url", Telemetry::builder().url("localhost:8080")),
        ("url", Telemetry::builder().url("ftp://localhost")),
        ("url", Telemetry::builder().url("http://localhost/v1/")),
        ("url", Telemetry::builder().url("http://localhost/?a=b")),
        ("url", Telemetry::builder().url("http://user@localhost/")),
        ("api_key", Telemetry::builder().api_key("pk_live_short")),
        ("api_key", Telemetry::builder().api_key("")),
        ("secret_key", Telemetry::builder().secret_key(KEY)),
        ("sign_time", Telemetry::builder().sign_time(true)),
        ("ca_file", Telemetry::builder().ca_file("/nowhere/ca.pem")),
        ("ca_file", Telemetry::builder().ca_file("/dev/null")),
        ("agent_id", Telemetry::builder().agent_id("")),
        ("sample_rate", Telemetry::builder().sample_rate(f64::NAN)),
        ("flush_interval", Telemetry::builder().flush_interval(none)),
        ("flush_at", Telemetry::builder().flush_at(0)),
        ("flush_at", Telemetry::builder().flush_at(101)),
        ("max_buffer", Telemetry::builder().max_buffer(0)),
        ("request_timeout", Telemetry::builder().request_timeout(none)),
        ("max_age", Telemetry::builder().max_age(Duration::MAX)),
        ("spool_dir", Telemetry::builder().spool_dir("/dev/null/spool")),
    ];
    for (setting, builder) in cases {
        let builder = if setting == "api_key" {
            builder
        } else {
            builder.api_key(KEY)
        };
        let error = builder.build().unwrap_err();
        assert_eq!(error.setting, setting, "{error}");
        assert!(!error.to_string().contains("short"), "a key is never repeated");
    }
}

#[test]
fn a_handle_can_be_used_from_any_thread_and_task() {
    fn assert_shared<T: Send + Sync + Clone + 'static>() {}
    assert_shared::<Telemetry>();

    let server = Scripted::replaying([]);
    let telemetry = builder(&server).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let in_task = telemetry.clone();
    let delivered = runtime.block_on(async move {
        in_task.track(Event::new(true));
        tokio::task::spawn_blocking(move || in_task.flush(LONG))
            .await
            .unwrap()
    });
    assert!(delivered);
    assert_eq!(telemetry.books().delivered, 1);
}
