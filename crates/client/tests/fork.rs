//! A process that forks. A test binary of its own, since a fork takes the forking thread alone along.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "it/kit.rs"]
#[expect(dead_code, reason = "the other tests use all of it")]
mod kit;

use kit::{KEY, Scripted};
use repute_client::{Event, Telemetry};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(20);

#[test]
fn after_a_fork_the_child_begins_anew_and_the_parent_keeps_its_own() {
    let server = Scripted::replaying([]);
    let telemetry = Telemetry::builder()
        .url(&server.url)
        .api_key(KEY)
        .agent_id("a")
        .flush_interval(Duration::from_secs(3_600))
        .build()
        .unwrap();
    telemetry.track(Event::new(true).tool("parent"));
    match fork::fork().unwrap() {
        fork::Fork::Child => {
            // No assertion here: a panic would run the parent's other tests in the child.
            let empty = telemetry.books().tracked == 0;
            telemetry.track(Event::new(true).tool("child"));
            let delivered = telemetry.flush(LONG) && telemetry.books().delivered == 1;
            std::process::exit(if empty && delivered { 0 } else { 1 });
        }
        fork::Fork::Parent(child) => {
            assert_eq!(fork::waitpid(child).unwrap(), 0);
        }
    }
    let books = telemetry.books();
    assert_eq!((books.tracked, books.waiting), (1, 1));
    assert!(telemetry.flush(LONG));
    let tools: Vec<_> = server
        .seen()
        .iter()
        .map(|request| request.events()[0]["tool"].clone())
        .collect();
    assert_eq!(tools, ["child", "parent"]);
}
