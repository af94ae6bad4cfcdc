//! A new generation in the place of a segment: written under a temporary name, synced, renamed, the directory
//! synced, and only then the old one removed. A crash leaves the old, both, or the new; each is complete.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::SECTOR;
use crate::disk::{Disk, File, create_anew, parent, temporary_name};
use crate::error::Error;
use crate::frame::{FRAME_HEADER_BYTES, MAX_PAYLOAD_BYTES, frame_header};
use crate::header::Header;
use crate::name::segment_path;
use crate::seal::Seal;
use crate::segment::{Phase, Segment};

/// How much is gathered before it is written.
const BUFFER_BYTES: usize = 1 << 20;

/// A generation being written. Dropping it leaves the old one in place.
pub struct Rewrite {
    disk: Arc<dyn Disk>,
    /// What it takes the place of, removed once it is there.
    old: Vec<PathBuf>,
    /// The segment's last sequence number, whether that frame is given or not.
    last_seq: u64,
    header: Header,
    path: PathBuf,
    temporary: PathBuf,
    file: Arc<dyn File>,
    buffer: Vec<u8>,
    /// Where the buffer goes in the file.
    written: u64,
    seq: u64,
}

impl Rewrite {
    pub(crate) fn begin(old: &Segment, compact: bool) -> Result<Rewrite, Error> {
        let header = Header {
            generation: old.generation + 1,
            compact,
            ..*old.header()
        };
        let files = vec![old.path.to_path_buf()];
        Rewrite::in_place_of(
            Arc::clone(old.disk()),
            parent(&old.path),
            header,
            files,
            old.last_seq(),
        )
    }

    /// A generation with this header and this last sequence number, in the place of these files of its number.
    pub(crate) fn in_place_of(
        disk: Arc<dyn Disk>,
        dir: &Path,
        header: Header,
        old: Vec<PathBuf>,
        last_seq: u64,
    ) -> Result<Rewrite, Error> {
        let path = segment_path(dir, header.number, header.generation);
        let temporary = temporary_name(&path);
        let file = create_anew(&*disk, &temporary).map_err(Error::io("create", &temporary))?;
        Ok(Rewrite {
            disk,
            old,
            last_seq,
            header,
            path,
            temporary,
            file,
            buffer: header.encode().to_vec(),
            written: 0,
            seq: header.previous_seq,
        })
    }

    /// Appends a frame of whole records; its sequence number must be above the one before and none that the
    /// segment did not have.
    ///
    /// # Errors
    /// [`Error::BadRewrite`] for a frame that cannot stand here, [`Error::Io`].
    pub fn push(&mut self, seq: u64, payload: &[u8]) -> Result<(), Error> {
        let whole = payload.len() <= MAX_PAYLOAD_BYTES && crate::records(payload).are_whole();
        if !whole || seq <= self.seq || seq > self.last_seq {
            return Err(Error::BadRewrite {
                file: self.path.clone(),
                seq,
            });
        }
        self.buffer.reserve(FRAME_HEADER_BYTES + payload.len() + SECTOR);
        self.buffer
            .extend_from_slice(&frame_header(&self.header, seq, payload));
        self.buffer.extend_from_slice(payload);
        self.buffer.resize(self.buffer.len().next_multiple_of(SECTOR), 0);
        self.seq = seq;
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Completes the generation and puts it in the place of the old one.
    ///
    /// # Errors
    /// [`Error::Io`]: the old generation stays, unless the directory alone could not be synced: then either
    /// may be found at the next open.
    pub fn finish(mut self) -> Result<Segment, Error> {
        let last_seq = self.last_seq;
        let end = match self.take_its_name() {
            Ok(end) => end,
            Err(e) => {
                self.abandon();
                return Err(e);
            }
        };
        let (disk, dir) = (&self.disk, parent(&self.path));
        disk.sync_dir(dir).map_err(Error::io("sync", dir))?;
        // From here on the new generation counts. If an old one cannot go now, the next open removes it.
        for old in &self.old {
            if let Err(e) = disk.remove(old).and_then(|()| disk.sync_dir(dir)) {
                tracing::warn!(file = %old.display(), error = %e, "an old generation could not be removed");
            }
        }
        Ok(Segment::new(
            self.disk,
            self.file,
            &self.path,
            self.header,
            end,
            last_seq,
            Phase::Sealed,
        ))
    }

    /// Completes the file and gives it its name; tells where its frames end.
    fn take_its_name(&mut self) -> Result<u64, Error> {
        let seal = Seal {
            end: self.written + self.buffer.len() as u64,
            last_seq: self.last_seq,
        };
        self.buffer.extend_from_slice(&seal.encode(&self.header));
        self.flush()?;
        self.file.sync_all().map_err(Error::io("sync", &self.temporary))?;
        let renamed = self.disk.rename(&self.temporary, &self.path);
        renamed.map_err(Error::io("rename", &self.temporary))?;
        Ok(seal.end)
    }

    /// Gives up: the old generation stays, and what was written of the new one goes, or else at the next open.
    pub fn abandon(self) {
        if let Err(e) = self.disk.remove(&self.temporary) {
            tracing::debug!(file = %self.temporary.display(), error = %e, "an unfinished generation could not be removed");
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.file
            .write_all_at(&self.buffer, self.written)
            .map_err(Error::io("write", &self.temporary))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}
