//! Which commits the records of a frame came from, where a rewrite has put several commits into one frame.
//!
//! Whoever has counted up to some commit must be able to go on from there, so each record keeps the sequence
//! number of the frame that it was committed in: a record at the front of the frame tells it of all the others.

use super::fields::{Malformed, Reader, put_varint};
use super::{COMMITS, WORDS};
use journal::{Frame, FrameRef, Record};

/// How many records of one commit come next; words, which belong to no commit, are not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    seq: u64,
    records: u64,
}

/// The records of a frame but the one that tells of commits, each with the sequence number of its commit.
///
/// # Errors
/// Where that record does not fit the frame.
pub(crate) fn records_by_commit<'a>(
    frame: &'a FrameRef,
) -> Result<impl Iterator<Item = (u64, Record<'a>)>, Malformed> {
    let mut runs = Vec::new();
    let mut counted = 0;
    for record in frame.records() {
        match record.kind {
            COMMITS if runs.is_empty() => runs = read(record.body, frame.seq)?,
            COMMITS => return Err(Malformed("a frame tells of its commits twice")),
            WORDS => {}
            _ => counted += 1,
        }
    }
    if !runs.is_empty() && runs.iter().map(|run| run.records).sum::<u64>() != counted {
        return Err(Malformed("a frame tells of more or fewer records than it has"));
    }
    let mut runs = runs.into_iter();
    let mut run = Run {
        seq: frame.seq,
        records: u64::MAX,
    };
    if let Some(first) = runs.next() {
        run = first;
    }
    let others = frame.records().filter(|record| record.kind != COMMITS);
    Ok(others.map(move |record| {
        if record.kind != WORDS {
            while run.records == 0 {
                run = runs.next().unwrap_or(Run {
                    seq: frame.seq,
                    records: u64::MAX,
                });
            }
            run.records -= 1;
        }
        (run.seq, record)
    }))
}

/// The first commit that a frame has records of.
///
/// # Errors
/// Where the record that tells it is malformed.
pub(crate) fn first_commit(frame: &FrameRef) -> Result<u64, Malformed> {
    match frame.records().find(|record| record.kind == COMMITS) {
        Some(record) => Ok(read(record.body, frame.seq)?
            .first()
            .map_or(frame.seq, |run| run.seq)),
        None => Ok(frame.seq),
    }
}

fn read(body: &[u8], frame_seq: u64) -> Result<Vec<Run>, Malformed> {
    let mut reader = Reader { bytes: body };
    let mut runs: Vec<Run> = Vec::new();
    while !reader.is_empty() {
        let seq = frame_seq.checked_sub(reader.varint()?);
        let seq = seq.ok_or(Malformed("a commit has no number"))?;
        let records = reader.varint32()?.into();
        if runs.last().is_some_and(|last| last.seq >= seq) {
            return Err(Malformed("commits are out of order"));
        }
        runs.push(Run { seq, records });
    }
    if runs.is_empty() {
        return Err(Malformed("a frame tells of no commits"));
    }
    Ok(runs)
}

/// Puts records of one or more commits into a frame.
#[derive(Default)]
pub(crate) struct Gathered {
    records: Frame,
    runs: Vec<Run>,
    seq: u64,
}

impl Gathered {
    /// Takes note that what comes next is of this commit; commits come in order.
    pub(crate) fn commit(&mut self, seq: u64) {
        self.seq = seq;
        if self.runs.last().is_none_or(|run| run.seq != seq) {
            self.runs.push(Run { seq, records: 0 });
        }
    }

    /// Appends a record.
    pub(crate) fn push(&mut self, record: &Record<'_>, body: &[u8]) {
        self.records.record(record.kind, record.must_understand, body);
        if let Some(run) = self.runs.last_mut().filter(|_| record.kind != WORDS) {
            run.records += 1;
        }
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// The frame's sequence number and payload, of all since the last time; `None` without records.
    pub(crate) fn take(&mut self) -> Option<(u64, Vec<u8>)> {
        let Self {
            records,
            mut runs,
            seq,
        } = std::mem::take(self);
        if records.is_empty() {
            return None;
        }
        runs.retain(|run| run.records > 0);
        let is_plain = match runs[..] {
            [] => true,
            [run] => run.seq == seq,
            _ => false,
        };
        if is_plain {
            return Some((seq, records.payload().to_vec()));
        }
        let mut body = Vec::with_capacity(3 * runs.len());
        for run in &runs {
            put_varint(&mut body, seq - run.seq);
            put_varint(&mut body, run.records);
        }
        let mut frame = Frame::new();
        frame.record(COMMITS, true, &body);
        let mut payload = frame.payload().to_vec();
        payload.extend_from_slice(records.payload());
        Some((seq, payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::BATCH;
    use proptest::prelude::*;

    fn frame(seq: u64, payload: Vec<u8>) -> FrameRef {
        FrameRef {
            seq,
            payload_offset: 0,
            payload,
        }
    }

    fn told(frame: &FrameRef) -> Vec<(u64, u8, Vec<u8>)> {
        let records = records_by_commit(frame).unwrap();
        records
            .map(|(seq, record)| (seq, record.kind, record.body.to_vec()))
            .collect()
    }

    proptest! {
        #[test]
        fn each_record_keeps_its_commit(commits in prop::collection::vec((1u64..5, prop::collection::vec(1u8..6, 0..4)), 1..20)) {
            let mut gathered = Gathered::default();
            let (mut seq, mut pushed) = (10, Vec::new());
            for (gap, kinds) in &commits {
                seq += gap;
                gathered.commit(seq);
                for (at, kind) in kinds.iter().enumerate() {
                    let record = Record { kind: *kind, must_understand: true, offset: 0, body: &[] };
                    gathered.push(&record, &[at as u8]);
                    pushed.push((seq, *kind, vec![at as u8]));
                }
            }
            let of_commits = |all: &[(u64, u8, Vec<u8>)]| -> Vec<_> {
                all.iter().filter(|(_, kind, _)| *kind != WORDS).cloned().collect()
            };
            match gathered.take() {
                None => prop_assert!(pushed.is_empty()),
                Some((last, payload)) => {
                    prop_assert_eq!(last, seq);
                    let frame = frame(last, payload);
                    let told = told(&frame);
                    prop_assert_eq!(told.len(), pushed.len());
                    prop_assert_eq!(of_commits(&told), of_commits(&pushed));
                    let first = of_commits(&pushed).first().map_or(seq, |(seq, ..)| *seq);
                    prop_assert_eq!(first_commit(&frame).unwrap(), first);
                }
            }
            prop_assert!(gathered.take().is_none());
        }

        #[test]
        fn any_bytes_are_read_or_refused(body: Vec<u8>) {
            let mut payload = Frame::new();
            payload.record(COMMITS, true, &body);
            payload.record(BATCH, true, &[]);
            let frame = frame(9, payload.payload().to_vec());
            if let Ok(records) = records_by_commit(&frame) {
                prop_assert!(records.count() == 1);
            }
        }
    }

    #[test]
    fn a_frame_of_one_commit_needs_no_telling() {
        let mut gathered = Gathered::default();
        gathered.commit(7);
        let record = Record {
            kind: BATCH,
            must_understand: true,
            offset: 0,
            body: &[],
        };
        gathered.push(&record, b"x");
        let (seq, payload) = gathered.take().unwrap();
        let frame = frame(seq, payload);
        assert_eq!(frame.records().count(), 1);
        assert_eq!(told(&frame), [(7, BATCH, b"x".to_vec())]);
    }

    #[test]
    fn counts_that_do_not_fit_are_malformed() {
        for body in [&[0, 2][..], &[], &[0, 1, 0, 0], &[1, 1, 2, 0], &[10, 1]] {
            let mut payload = Frame::new();
            payload.record(COMMITS, true, body);
            payload.record(BATCH, true, b"x");
            let frame = frame(9, payload.payload().to_vec());
            assert!(records_by_commit(&frame).is_err(), "{body:?}");
        }
    }
}
