use super::*;
use crate::OutOfBudget;
use json::Document;
use std::cell::Cell;

/// A gate that does what it is told.
struct Told {
    name: String,
    what: What,
    first: bool,
}

#[derive(Clone, Copy)]
enum What {
    Pass,
    Fail,
    Skip,
    Panic,
    Fault,
    GiveUp,
    EndRun,
}

impl Gate for Told {
    fn name(&self) -> &str {
        &self.name
    }

    fn must_be_first(&self) -> bool {
        self.first
    }

    fn check(&self, _: &Subject<'_>) -> Result<Outcome, Stopped> {
        Ok(match self.what {
            What::Pass => Outcome::pass(),
            What::Fail => Outcome::fail("no good"),
            What::Skip => Outcome::skip("nothing to do"),
            What::Panic => panic!("a gate's own fault"),
            What::Fault => return Err(Stopped::Fault("a list is missing".to_owned())),
            What::GiveUp => return Err(OutOfBudget.into()),
            What::EndRun => Outcome {
                ends_run: true,
                ..Outcome::skip("no time")
            },
        })
    }
}

fn told(name: &str, what: What) -> Listed {
    Listed {
        gate: Box::new(Told {
            name: name.to_owned(),
            what,
            first: false,
        }),
        shadow: false,
    }
}

fn shadow(name: &str, what: What) -> Listed {
    Listed {
        shadow: true,
        ..told(name, what)
    }
}

/// Runs them by a clock that goes on by this much whenever it is read; what each says, in short.
fn run_by(gates: Vec<Listed>, settings: Settings, tick: Duration) -> (bool, Vec<String>) {
    let output = Document::parse(b"1").unwrap();
    let start = Instant::now();
    let context = Context::of(&output, start);
    let reads = Cell::new(0);
    let clock = || {
        reads.set(reads.get() + 1);
        start + tick * (reads.get() - 1)
    };
    let engine = Engine::new(gates, settings).unwrap();
    let verdict = engine.run_by(&context, &clock);
    let said = verdict.results.iter().map(|result| {
        let word = match (result.passed, result.skipped) {
            (true, false) => "passed",
            (false, false) => "failed",
            (true, true) => "skipped",
            (false, true) => "failed, skipped",
        };
        let reason = result.reason.as_deref().unwrap_or("-");
        format!("{} {word} {reason} {}ms", result.name, result.latency.as_millis())
    });
    (verdict.passed, said.collect())
}

fn run(gates: Vec<Listed>, fail_fast: bool) -> (bool, Vec<String>) {
    let settings = Settings {
        fail_fast,
        ..Settings::default()
    };
    run_by(gates, settings, Duration::from_millis(1))
}

#[test]
fn every_gate_reports_in_list_order_with_its_own_run_time() {
    let gates = vec![
        told("a", What::Pass),
        told("b", What::Fail),
        told("c", What::Skip),
    ];
    let expected = [
        "a passed - 1ms",
        "b failed no good 1ms",
        "c skipped nothing to do 1ms",
    ];
    assert_eq!(run(gates, false), (false, expected.map(str::to_owned).to_vec()));
}

#[test]
fn a_skipped_gate_is_no_failure() {
    assert!(run(vec![told("a", What::Skip), told("b", What::Pass)], false).0);
}

#[test]
fn the_first_failure_stops_the_rest_where_that_is_asked_for() {
    let gates = vec![
        told("a", What::Pass),
        told("b", What::Fail),
        told("c", What::Fail),
        told("d", What::Panic),
    ];
    let expected = [
        "a passed - 1ms",
        "b failed no good 1ms",
        "c skipped pecta:aborted 0ms",
        "d skipped pecta:aborted 0ms",
    ];
    assert_eq!(run(gates, true), (false, expected.map(str::to_owned).to_vec()));
}

#[test]
fn a_gate_can_end_the_run_for_want_of_time_and_the_verdict_passes() {
    let gates = vec![
        told("guard", What::EndRun),
        told("b", What::Fail),
        told("c", What::Panic),
    ];
    let expected = [
        "guard skipped no time 1ms",
        "b skipped pecta:deadline 0ms",
        "c skipped pecta:deadline 0ms",
    ];
    assert_eq!(run(gates, true), (true, expected.map(str::to_owned).to_vec()));
}

#[test]
fn gates_that_are_not_done_when_the_budget_ends_have_failed() {
    let settings = Settings {
        budget: Duration::from_millis(2),
        fail_fast: false,
    };
    let gates = vec![
        told("a", What::Pass),
        told("b", What::Pass),
        told("c", What::Pass),
    ];
    let expected = [
        "a passed - 1ms",
        "b failed pecta:timeout 1ms",
        "c failed pecta:timeout 1ms",
    ];
    let outcome = run_by(gates, settings, Duration::from_millis(1));
    assert_eq!(outcome, (false, expected.map(str::to_owned).to_vec()));
    let gates = vec![told("a", What::GiveUp), told("b", What::Pass)];
    let expected = ["a failed pecta:timeout 1ms", "b passed - 1ms"];
    assert_eq!(run(gates, false), (false, expected.map(str::to_owned).to_vec()));
}

#[test]
fn a_gates_fault_is_its_own_and_known_as_a_fault() {
    let gates = || {
        vec![
            told("a", What::Panic),
            told("b", What::Fault),
            told("c", What::Pass),
        ]
    };
    let expected = [
        "a failed pecta:error 1ms",
        "b failed pecta:error 1ms",
        "c passed - 1ms",
    ];
    assert_eq!(run(gates(), false), (false, expected.map(str::to_owned).to_vec()));

    let output = Document::parse(b"1").unwrap();
    let context = Context::of(&output, Instant::now());
    let engine = Engine::new(gates(), Settings::default()).unwrap();
    assert_eq!(engine.run(&context).fault(), Some(("a", "it panicked")));
    let engine = Engine::new(vec![shadow("a", What::Panic)], Settings::default()).unwrap();
    assert_eq!(engine.run(&context).fault(), None);
}

#[test]
fn a_fault_that_outlasts_the_budget_is_no_timeout() {
    let settings = Settings {
        budget: Duration::from_millis(2),
        fail_fast: false,
    };
    let expected = ["a failed pecta:error 5ms", "b failed pecta:timeout 5ms"];
    let outcome = run_by(
        vec![told("a", What::Panic), told("b", What::Pass)],
        settings,
        Duration::from_millis(5),
    );
    assert_eq!(outcome, (false, expected.map(str::to_owned).to_vec()));
}

#[test]
fn a_shadow_gate_runs_and_reports_but_never_counts() {
    let gates = vec![
        shadow("a", What::Fail),
        shadow("b", What::EndRun),
        shadow("c", What::Pass),
        shadow("d", What::Panic),
        told("e", What::Pass),
    ];
    let expected = [
        "a failed, skipped shadow: no good 1ms",
        "b skipped shadow: no time 1ms",
        "c skipped shadow 1ms",
        "d failed, skipped shadow: pecta:error 1ms",
        "e passed - 1ms",
    ];
    assert_eq!(run(gates, true), (true, expected.map(str::to_owned).to_vec()));
}

#[test]
fn lists_that_cannot_be_are_refused() {
    let unfit = |gates| Engine::new(gates, Settings::default()).unwrap_err().to_string();
    let many = (0..51)
        .map(|index| told(&index.to_string(), What::Pass))
        .collect();
    assert_eq!(unfit(many), "more than 50 gates");
    assert_eq!(
        unfit(vec![told("a", What::Pass), told("a", What::Fail)]),
        "two gates are named `a`"
    );
    let length = "a gate's name must have 1 to 200 characters";
    assert_eq!(unfit(vec![told("", What::Pass)]), length);
    assert_eq!(unfit(vec![told(&"é".repeat(201), What::Pass)]), length);
    assert!(Engine::new(vec![told(&"é".repeat(200), What::Pass)], Settings::default()).is_ok());
    let guard = Told {
        name: "guard".to_owned(),
        what: What::Pass,
        first: true,
    };
    let second = Listed {
        gate: Box::new(guard),
        shadow: false,
    };
    assert_eq!(
        unfit(vec![told("a", What::Pass), second]),
        "`guard` must be the first gate"
    );
}
