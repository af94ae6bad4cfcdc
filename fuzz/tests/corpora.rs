//! Every input that is checked in is read without a fault, and so are some that are made of them.

use fuzz::{Limits, TARGETS, run, seeds};
use std::collections::HashSet;
use std::time::Duration;

#[test]
fn every_target_reads_its_corpus() {
    for target in TARGETS {
        let mut kinds = HashSet::new();
        for (name, bytes) in seeds(target.name).unwrap() {
            let outcome = (target.read)(&bytes);
            assert_eq!(
                name.starts_with("good"),
                outcome.is_good,
                "{}/{name}",
                target.name
            );
            kinds.insert(outcome.kind);
        }
        assert!(
            kinds.len() > 2,
            "the corpus of {} has {} kinds",
            target.name,
            kinds.len()
        );
    }
}

#[test]
fn some_thousand_changed_inputs_find_nothing() {
    for target in TARGETS {
        let limits = Limits {
            time: Duration::MAX,
            inputs: 3_000,
            input_bytes: 16 << 10,
            seed: 0x5eed,
        };
        let totals = run(&target, &limits).unwrap();
        let totals = totals.unwrap_or_else(|found| panic!("{}: {:02x?}", target.name, found.input));
        assert_eq!(totals.inputs, limits.inputs, "{}", target.name);
        assert!(
            totals.good > 0 && totals.good < totals.inputs,
            "{}: one-sided",
            target.name
        );
    }
}

#[test]
fn a_fault_of_a_target_is_found() {
    fn read(bytes: &[u8]) -> fuzz::Outcome {
        assert!(bytes.len() < 90, "a fault");
        (TARGETS[0].read)(bytes)
    }
    let target = fuzz::Target { read, ..TARGETS[0] };
    let limits = Limits {
        time: Duration::MAX,
        inputs: 10_000,
        input_bytes: 256,
        seed: 1,
    };
    let found = run(&target, &limits).unwrap().expect_err("it has a fault");
    assert!(found.input.len() >= 90);
}
