//! One segment: its frames, its records down to the last field, and its index.

use super::Report;
use crate::codec::{
    self, BatchReader, CarryRecord, Dictionary, EraseRecord, Malformed, RegistrationRecord, Row, TextRef,
    records_by_commit,
};
use crate::index::{self, OpenIndex, SegmentExtent};
use crate::verify::facts::FactsRecount;
use crate::{Error, recover, segments};
use journal::{Disk, FrameRef, Place, Segment};
use std::path::Path;

/// Checks a place of the log. The newest one's index may be older than what is read of it now.
pub(super) fn check(
    disk: &dyn Disk,
    dir: &Path,
    place: &Place,
    is_last: bool,
    facts: &mut FactsRecount<'_>,
    report: &mut Report,
) -> Result<(), Error> {
    let Some(segment) = &place.segment else {
        facts.lose_frames();
        return Ok(());
    };
    let index = OpenIndex::default();
    let mut dictionary = Dictionary::default();
    let mut is_whole = place.damage.is_empty();
    let mut seq = place.previous_seq;
    for frame in segment.frames() {
        let frame = frame.map_err(Error::from_damage_beside(disk));
        let checked = frame.and_then(|frame| {
            records(segment, &frame, &mut seq, &mut dictionary, facts, report)?;
            seq = frame.seq;
            // An index that lacks the words of a bad frame would call the good ones behind it bad.
            if is_whole {
                recover::index_frame(segment, &frame, &index)?;
            }
            Ok(())
        });
        match checked {
            Ok(()) => report.frames += 1,
            Err(Error::Journal(journal::Error::Damaged(damage))) => {
                report.log(&damage);
                is_whole = false;
                facts.lose_frames();
            }
            Err(other) => return Err(other),
        }
    }
    if seq != place.last_seq {
        facts.lose_frames();
    }
    if is_whole && (place.sealed || !is_last) {
        compare_index(disk, dir, segment, &index, report);
    }
    Ok(())
}

/// Checks the records of a frame that comes after the commit `before`.
fn records(
    segment: &Segment,
    frame: &FrameRef,
    before: &mut u64,
    dictionary: &mut Dictionary,
    facts: &mut FactsRecount<'_>,
    report: &mut Report,
) -> Result<(), Error> {
    let records = records_by_commit(frame);
    let records = records.map_err(|what| malformed(segment, frame.payload_offset, what))?;
    for (commit, record) in records {
        // In a compact frame also what was lost before it became one.
        if commit > *before + 1 {
            facts.lose_frames();
        }
        *before = commit;
        let checked = match record.kind {
            codec::WORDS => dictionary.add(record.body),
            codec::BATCH => batch(record.body, commit, dictionary, facts, report),
            codec::REGISTRATION => {
                RegistrationRecord::read(record.body).map(|record| facts.register(&record))
            }
            codec::CARRY => carry(record.body, dictionary, commit, facts),
            codec::ERASE => EraseRecord::read(record.body).map(|record| facts.erase(&record, commit)),
            // What must be understood and is not ends the look, where the index is built.
            _ => Ok(()),
        };
        let offset = frame.payload_offset + u64::from(record.offset);
        checked.map_err(|what| malformed(segment, offset, what))?;
    }
    Ok(())
}

fn malformed(segment: &Segment, offset: u64, Malformed(what): Malformed) -> Error {
    Error::from_damage(journal::Damage {
        file: segment.path.to_path_buf(),
        offset,
        what: what.to_owned(),
    })
}

fn carry(
    body: &[u8],
    dictionary: &Dictionary,
    frame_seq: u64,
    facts: &mut FactsRecount<'_>,
) -> Result<(), Malformed> {
    let carry = CarryRecord::read(body)?;
    // What is carried of an agent that was erased says nothing.
    match dictionary.agent_or_gone(carry.agent)? {
        Some(name) => facts.carry(name, carry.facts, frame_seq),
        None => Ok(()),
    }
}

fn batch(
    body: &[u8],
    frame_seq: u64,
    dictionary: &Dictionary,
    facts: &mut FactsRecount<'_>,
    report: &mut Report,
) -> Result<(), Malformed> {
    let reader = BatchReader::new(body)?;
    let header = reader.header;
    let mut seq = header.first_seq;
    for row in reader.rows() {
        let Some(row) = row? else {
            seq += 1; // erased
            continue;
        };
        let name = dictionary.agent(header.org, row.agent)?;
        check_texts(&row, dictionary.texts)?;
        facts.count(name, header.source, seq, &row, frame_seq);
        seq += 1;
        report.events += 1;
    }
    facts.take_numbers(header, seq)
}

/// Whether all that a row says can be read.
pub(crate) fn check_texts(row: &Row<'_>, known: u32) -> Result<(), Malformed> {
    let check = |text: TextRef<'_>| match text {
        TextRef::Word(word) if word.0 >= known => Err(Malformed("a row names no known text")),
        TextRef::Word(_) | TextRef::Inline(_) => Ok(()),
    };
    row.tool.map_or(Ok(()), check)?;
    for gate in row.gates() {
        let gate = gate?;
        check(gate.name)?;
        gate.reason.map_or(Ok(()), check)?;
    }
    Ok(())
}

/// An index is a function of its segment, so it must be, byte for byte, what would be written now.
fn compare_index(disk: &dyn Disk, dir: &Path, segment: &Segment, index: &OpenIndex, report: &mut Report) {
    let extent = SegmentExtent::of(segment);
    let path = segments::index_path(dir, &extent);
    // It may not be written yet; a start builds what is missing.
    let Ok(file) = disk.open(&path) else { return };
    report.indexes += 1;
    let mut expected = Vec::new();
    let put = |piece: &[u8]| {
        expected.extend_from_slice(piece);
        Ok(())
    };
    let written = index::write(&extent, index, put, || ());
    debug_assert!(written.is_ok(), "memory takes everything");
    let mut found = Vec::new();
    let read = file.len().and_then(|len| {
        // One that is longer than it can be is not read to its end.
        found.resize(usize::try_from(len).unwrap_or(usize::MAX).min(expected.len()), 0);
        file.read_exact_at(&mut found, 0).map(|()| len)
    });
    match read {
        Ok(len) if found == expected && len == expected.len() as u64 => {}
        Ok(_) => {
            let same = found.iter().zip(&expected).take_while(|(a, b)| a == b).count();
            report.derived(&path, same as u64, "the index is not that of its segment");
        }
        Err(error) => report.derived(&path, 0, format!("the index cannot be read: {error}")),
    }
}
