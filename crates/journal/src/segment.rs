//! Segments: the files of the log, as readers see them.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::disk::{Disk, File, parent};
use crate::error::{Damage, Error};
use crate::frame::FrameRef;
use crate::header::{HEADER_BYTES, Header};
use crate::name;
use crate::record::{self, RECORD_HEADER_BYTES};
use crate::rewrite::Rewrite;
use crate::scan::Reader;
use crate::seal::{SEAL_BYTES, Seal};

/// A handle to one generation of a segment. Cheap to clone; it can be read on after the name is gone.
#[derive(Clone)]
pub struct Segment {
    /// Its place among the segments; the next one has the next number.
    pub number: u64,
    /// How often it was rewritten.
    pub generation: u32,
    /// The sequence number of its first frame (where a rewrite dropped that one: the least it may have).
    pub first_seq: u64,
    /// Its file.
    pub path: Arc<Path>,
    inner: Arc<Inner>,
}

struct Inner {
    disk: Arc<dyn Disk>,
    file: Arc<dyn File>,
    header: Header,
    /// Just after the last acknowledged frame. Stored after `last_seq`, loaded before it.
    end: AtomicU64,
    last_seq: AtomicU64,
    phase: Mutex<Phase>,
}

/// How far the life of a file has come. It only goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The journal writes to it.
    Open,
    /// All its frames are synced and no more will come.
    Closed,
    /// It has its seal and its exact length.
    Sealed,
}

impl Segment {
    /// A segment whose frames end at `end` with `last_seq`.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        file: Arc<dyn File>,
        path: &Path,
        header: Header,
        end: u64,
        last_seq: u64,
        phase: Phase,
    ) -> Segment {
        if phase == Phase::Sealed {
            file.rest();
        }
        Segment {
            number: header.number,
            generation: header.generation,
            first_seq: header.previous_seq.saturating_add(1),
            path: path.into(),
            inner: Arc::new(Inner {
                disk,
                file,
                header,
                end: AtomicU64::new(end),
                last_seq: AtomicU64::new(last_seq),
                phase: Mutex::new(phase),
            }),
        }
    }

    /// A prepared segment without frames.
    pub(crate) fn empty(disk: Arc<dyn Disk>, file: Arc<dyn File>, path: &Path, header: Header) -> Segment {
        Segment::new(
            disk,
            file,
            path,
            header,
            HEADER_BYTES,
            header.previous_seq,
            Phase::Open,
        )
    }

    /// Bytes in use: the offset just after the last acknowledged frame.
    pub fn end(&self) -> u64 {
        self.inner.end.load(Ordering::Acquire)
    }

    /// The sequence number of the last acknowledged frame; one less than `first_seq` if there is none.
    pub fn last_seq(&self) -> u64 {
        self.inner.last_seq.load(Ordering::Acquire)
    }

    /// Fills `buf` from the file.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the file ends before, [`Error::Io`] if it cannot be read.
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<(), Error> {
        match self.inner.file.read_exact_at(buf, offset) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.damage(offset, "the file ends too early").into())
            }
            other => other.map_err(Error::io("read", &self.path)),
        }
    }

    /// These bytes of the file will be read soon: the disk may begin to fetch them. Only a hint.
    pub fn will_read(&self, offset: u64, bytes: u32) {
        self.inner.file.will_read(offset, bytes);
    }

    /// Makes all frames durable that are acknowledged by now. Needed where frames are acknowledged without a sync
    /// ([`Options::sync`](crate::Options::sync)) alone.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn sync(&self) -> Result<(), Error> {
        self.inner.file.sync_data().map_err(Error::io("sync", &self.path))
    }

    /// The frames acknowledged when this is called, oldest first. After a [`Damage`] it goes on with the next
    /// whole frame, so that a reader decides what to do without the lost ones.
    pub fn frames(&self) -> Frames {
        Frames {
            segment: self.clone(),
            reader: Reader::new(Arc::clone(&self.inner.file)),
            at: HEADER_BYTES,
            end: self.end(),
            seq: self.inner.header.previous_seq,
        }
    }

    /// Gives a segment that is written no more its seal and its exact length, durably. Does nothing if it has
    /// them. Needed for nothing but to free the prepared rest and to make the next open quick.
    ///
    /// # Errors
    /// [`Error::StillOpen`] until a frame of a later segment is acknowledged; [`Error::Io`], after which it
    /// may be tried again.
    pub fn trim(&self) -> Result<(), Error> {
        let mut phase = self.inner.phase.lock();
        match *phase {
            Phase::Open => {
                return Err(Error::StillOpen {
                    file: self.path.to_path_buf(),
                });
            }
            Phase::Sealed => return Ok(()),
            Phase::Closed => {}
        }
        let file = &self.inner.file;
        let seal = Seal {
            end: self.end(),
            last_seq: self.last_seq(),
        };
        file.write_all_at(&seal.encode(&self.inner.header), seal.end)
            .map_err(Error::io("seal", &self.path))?;
        file.set_len(seal.end + SEAL_BYTES)
            .map_err(Error::io("truncate", &self.path))?;
        file.sync_all().map_err(Error::io("sync", &self.path))?;
        file.rest();
        *phase = Phase::Sealed;
        Ok(())
    }

    /// Starts the next generation of this segment: frames given to the [`Rewrite`] take the place of these.
    ///
    /// # Errors
    /// [`Error::StillOpen`] while frames may still come; [`Error::Io`].
    pub fn rewrite(&self) -> Result<Rewrite, Error> {
        self.begin_rewrite(self.is_compact())
    }

    /// The same for a generation that puts the records of many frames into few: each such frame has the sequence
    /// number of the last that went into it.
    ///
    /// # Errors
    /// As [`rewrite`](Segment::rewrite).
    pub fn compact(&self) -> Result<Rewrite, Error> {
        self.begin_rewrite(true)
    }

    /// Whether this generation came about by [`compact`](Segment::compact), or a later one of such.
    pub fn is_compact(&self) -> bool {
        self.inner.header.compact
    }

    fn begin_rewrite(&self, compact: bool) -> Result<Rewrite, Error> {
        if *self.inner.phase.lock() == Phase::Open {
            return Err(Error::StillOpen {
                file: self.path.to_path_buf(),
            });
        }
        Rewrite::begin(self, compact)
    }

    /// Replaces this segment by a generation with exactly these frames (sequence number and payload), which
    /// must ascend within the segment's own range. Readers of this handle finish on the old file.
    ///
    /// # Errors
    /// As [`rewrite`](Segment::rewrite) and [`Rewrite::push`]. Until `Ok` the old generation stays.
    pub fn replace<P: AsRef<[u8]>>(
        &self,
        frames: impl IntoIterator<Item = (u64, P)>,
    ) -> Result<Segment, Error> {
        let mut rewrite = self.rewrite()?;
        for (seq, payload) in frames {
            rewrite.push(seq, payload.as_ref())?;
        }
        rewrite.finish()
    }

    /// Removes the segment's files, durably; open handles read on. Segments go oldest first, each gone before
    /// the next, and the newest with frames stays: the sequence goes on from it. After a failure it may be tried again.
    ///
    /// # Errors
    /// [`Error::StillOpen`] while frames may still come; [`Error::Io`].
    pub fn remove(&self) -> Result<(), Error> {
        if *self.inner.phase.lock() == Phase::Open {
            return Err(Error::StillOpen {
                file: self.path.to_path_buf(),
            });
        }
        // One that a rewrite could not remove, or could not finish, would be taken for the segment once this one is gone.
        self.remove_others(|generation| generation != self.generation)?;
        match self.inner.disk.remove(&self.path) {
            // An attempt before this one came so far, or a rewrite that failed after it.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            other => other.map_err(Error::io("remove", &self.path))?,
        }
        let dir = parent(&self.path);
        self.inner.disk.sync_dir(dir).map_err(Error::io("sync", dir))
    }

    /// Removes what is left of older generations, durably: nothing, unless a rewrite could not remove the one that
    /// it replaced.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove_older(&self) -> Result<(), Error> {
        self.remove_others(|generation| generation < self.generation)
    }

    fn remove_others(&self, goes: impl Fn(u32) -> bool) -> Result<(), Error> {
        let (disk, dir) = (&self.inner.disk, parent(&self.path));
        let names = disk.list(dir).map_err(Error::io("list", dir))?;
        let is_other = |name: &&String| {
            name::parse(name).is_some_and(|(number, generation)| number == self.number && goes(generation))
        };
        let others: Vec<_> = names.iter().filter(is_other).map(|name| dir.join(name)).collect();
        if others.is_empty() {
            return Ok(());
        }
        for path in &others {
            disk.remove(path).map_err(Error::io("remove", path))?;
        }
        disk.sync_dir(dir).map_err(Error::io("sync", dir))
    }

    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.inner.disk
    }

    pub(crate) fn file(&self) -> &Arc<dyn File> {
        &self.inner.file
    }

    pub(crate) fn header(&self) -> &Header {
        &self.inner.header
    }

    /// A frame up to `end` is acknowledged.
    pub(crate) fn advance(&self, end: u64, seq: u64) {
        self.inner.last_seq.store(seq, Ordering::Release);
        self.inner.end.store(end, Ordering::Release);
    }

    /// All frames are synced and no more will come.
    pub(crate) fn close(&self) {
        let mut phase = self.inner.phase.lock();
        if *phase == Phase::Open {
            *phase = Phase::Closed;
        }
    }

    pub(crate) fn damage(&self, offset: u64, what: impl Into<String>) -> Damage {
        Damage {
            file: self.path.to_path_buf(),
            offset,
            what: what.into(),
        }
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment")
            .field("path", &self.path)
            .field("end", &self.end())
            .finish_non_exhaustive()
    }
}

/// Reads one record into a buffer, whatever that held, checks it by its own checksum and gives its body. `offset` is
/// where the record (its header) starts in the file, `bytes` its length with its header ([`RECORD_HEADER_BYTES`]).
///
/// # Errors
/// [`Error::Damaged`] with file and offset if these bytes are not that record, [`Error::Io`].
pub fn read_record<'b>(
    segment: &Segment,
    offset: u64,
    bytes: u32,
    buffer: &'b mut Vec<u8>,
) -> Result<&'b [u8], Error> {
    let end = segment.end();
    if bytes < RECORD_HEADER_BYTES as u32
        || offset
            .checked_add(u64::from(bytes))
            .is_none_or(|after| after > end)
    {
        return Err(segment
            .damage(offset, format!("no record of {bytes} bytes can be here"))
            .into());
    }
    buffer.resize(bytes as usize, 0);
    segment.read_at(buffer, offset)?;
    record::check(buffer).map_err(|what| segment.damage(offset, what))?;
    Ok(&buffer[RECORD_HEADER_BYTES..])
}

/// Iterator over a segment's frames.
pub struct Frames {
    segment: Segment,
    reader: Reader,
    at: u64,
    end: u64,
    /// Of the frame before.
    seq: u64,
}

impl Iterator for Frames {
    type Item = Result<FrameRef, Damage>;

    fn next(&mut self) -> Option<Result<FrameRef, Damage>> {
        if self.at >= self.end {
            return None;
        }
        let header = *self.segment.header();
        Some(match self.reader.frame(&header, self.at, self.end) {
            Ok(Some(frame)) if !header.may_follow(self.seq, frame.seq) => {
                let what = format!("frame {} after frame {}", frame.seq, self.seq);
                self.go_on_after(what, self.at)
            }
            Ok(Some(frame)) => {
                (self.at, self.seq) = (frame.end(), frame.seq);
                if frame.records().are_whole() {
                    Ok(frame)
                } else {
                    Err(self.segment.damage(
                        frame.offset(),
                        format!("frame {} is not made of records", frame.seq),
                    ))
                }
            }
            Ok(None) => self.go_on_after(
                format!("the frame after frame {} does not check", self.seq),
                self.at,
            ),
            Err(e) => self.give_up(&e),
        })
    }
}

impl Frames {
    /// Reports damage here; the next item is the next whole frame from `from` on.
    fn go_on_after(&mut self, what: String, from: u64) -> Result<FrameRef, Damage> {
        let damage = self.segment.damage(self.at, what);
        match self
            .reader
            .next_frame(self.segment.header(), from, self.end, self.seq)
        {
            Ok(Some(frame)) => (self.at, self.seq) = (frame.offset(), frame.seq - 1),
            Ok(None) | Err(_) => self.at = self.end,
        }
        Err(damage)
    }

    /// Reports that the disk does not give the bytes back; what lies behind them is not looked for.
    fn give_up(&mut self, error: &io::Error) -> Result<FrameRef, Damage> {
        let damage = self.segment.damage(self.at, format!("cannot be read: {error}"));
        self.at = self.end;
        Err(damage)
    }
}
