//! What the log says of each batch, read back: for whoever keeps books and missed the newest frames.

use crate::codec::{self, BatchReader, Malformed, records_by_commit};
use crate::segments::damaged;
use crate::shared::Shared;
use crate::{Booked, Error};
use journal::{FrameRef, Segment};
use reputation::Micros;

/// Hands over the batches of each published frame after this one, in order.
///
/// A damaged frame is passed over, with a line in the log: nothing can be read of it, and what came after it
/// still counts.
pub(crate) fn after(shared: &Shared, frame_seq: u64, mut visit: impl FnMut(u64, &[Booked])) {
    let segments = shared.published.read().segments.after(frame_seq);
    for segment in segments {
        for frame in segment.frames() {
            let booked = match frame {
                Ok(frame) if frame.seq <= frame_seq => continue,
                Ok(frame) => booked(&frame, frame_seq)
                    .map(|batches| (frame.seq, batches))
                    .map_err(|what| damaged(&segment, frame.payload_offset, what)),
                Err(damage) => Err(Error::from(journal::Error::from(damage))),
            };
            match booked {
                Ok((seq, batches)) => visit(seq, &batches),
                Err(error) => tracing::error!(%error, "a frame is missing in the books"),
            }
        }
    }
}

/// When the oldest batch that is still kept was received.
pub(crate) fn oldest_receipt(shared: &Shared) -> Option<Micros> {
    let segments = shared.published.read().segments.after(0);
    let frames = segments.iter().flat_map(Segment::frames).flatten();
    frames
        .filter_map(|frame| booked(&frame, 0).ok()?.first().map(|batch| batch.received_at))
        .next()
}

/// The batches of a frame that were committed after this one.
fn booked(frame: &FrameRef, after: u64) -> Result<Vec<Booked>, Malformed> {
    let batches =
        records_by_commit(frame)?.filter(|(commit, record)| *commit > after && record.kind == codec::BATCH);
    batches
        .map(|(_, record)| {
            let reader = BatchReader::new(record.body)?;
            let header = reader.header;
            // It is in the books of where it came from.
            if header.imported_at.is_some() {
                return Ok(None);
            }
            let mut booked = Booked {
                org: header.org,
                key: header.key,
                received_at: header.received_at,
                recorded: 0,
                duplicates: header.duplicates,
                late: 0,
                clamped: 0,
            };
            for row in reader.rows() {
                booked.recorded += 1;
                // One that was erased since was recorded, too.
                let Some(row) = row? else { continue };
                booked.late += u32::from(row.late);
                booked.clamped += u32::from(row.sent_at.is_some_and(|sent| sent != row.recorded_at));
            }
            Ok(Some(booked))
        })
        .filter_map(Result::transpose)
        .collect()
}
