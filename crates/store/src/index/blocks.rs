//! A read-only file in checked blocks, read through a cache that all files share.

use super::SealedWords;
use crate::Error;
use journal::File;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a block: each has a checksum of its own.
pub(super) const BLOCK_BYTES: usize = 16 << 10;

/// In the place of a block's number: the words of the file.
const WORDS: u32 = u32::MAX;

/// Blocks in memory, and words of files, which take long to read anew; at most so many bytes of them.
pub(crate) struct BlockCache {
    kept: Cache<(u64, u32), Kept, ByBytes>,
    next_file: AtomicU64,
}

#[derive(Clone)]
enum Kept {
    Block(Arc<Vec<u8>>),
    Words(Arc<SealedWords>),
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<(u64, u32), Kept> for ByBytes {
    fn weight(&self, _: &(u64, u32), kept: &Kept) -> u64 {
        match kept {
            Kept::Block(block) => block.len() as u64,
            Kept::Words(words) => words.bytes(),
        }
    }
}

impl BlockCache {
    /// A cache of at most so many bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        let blocks = usize::try_from(bytes).unwrap_or(usize::MAX) / BLOCK_BYTES + 1;
        Self {
            kept: Cache::with_weighter(blocks, bytes.max(1 << 20), ByBytes),
            next_file: AtomicU64::new(0),
        }
    }
}

/// A file whose blocks are checked when they're read.
pub(super) struct BlockFile {
    file: Arc<dyn File>,
    path: PathBuf,
    number: u64,
    len: u64,
    checksums: Vec<u32>,
    cache: Arc<BlockCache>,
}

impl BlockFile {
    /// The first `len` bytes of the file, whose blocks have these checksums.
    pub(super) fn new(
        file: Arc<dyn File>,
        path: &Path,
        len: u64,
        checksums: Vec<u32>,
        cache: &Arc<BlockCache>,
    ) -> Self {
        let number = cache.next_file.fetch_add(1, Ordering::Relaxed);
        Self {
            file,
            path: path.to_owned(),
            number,
            len,
            checksums,
            cache: Arc::clone(cache),
        }
    }

    /// A reader for what lies close together.
    pub(super) fn reader(&self) -> BlockReader<'_> {
        BlockReader {
            file: self,
            last: None,
        }
    }

    pub(super) fn damaged(&self, offset: u64, what: &str) -> Error {
        Error::Index {
            file: self.path.clone(),
            offset,
            what: what.to_owned(),
        }
    }

    fn block(&self, number: u32) -> Result<Arc<Vec<u8>>, Error> {
        let key = (self.number, number);
        if let Some(Kept::Block(block)) = self.cache.kept.get(&key) {
            return Ok(block);
        }
        let offset = u64::from(number) * BLOCK_BYTES as u64;
        let len = self.len.saturating_sub(offset).min(BLOCK_BYTES as u64);
        let mut block = vec![0; len as usize];
        self.file
            .read_exact_at(&mut block, offset)
            .map_err(|source| Error::Io {
                path: self.path.clone(),
                source,
            })?;
        if self.checksums.get(number as usize) != Some(&crc32c::crc32c(&block)) {
            return Err(self.damaged(offset, "a block does not match its checksum"));
        }
        let block = Arc::new(block);
        self.cache.kept.insert(key, Kept::Block(Arc::clone(&block)));
        Ok(block)
    }

    /// The words of the file, which are read by `read` unless they are in the cache.
    pub(super) fn words(
        &self,
        read: impl FnOnce() -> Result<SealedWords, Error>,
    ) -> Result<Arc<SealedWords>, Error> {
        let key = (self.number, WORDS);
        if let Some(Kept::Words(words)) = self.cache.kept.get(&key) {
            return Ok(words);
        }
        let words = Arc::new(read()?);
        self.cache.kept.insert(key, Kept::Words(Arc::clone(&words)));
        Ok(words)
    }
}

/// Reads from a file and holds the block that it read last.
pub(super) struct BlockReader<'f> {
    file: &'f BlockFile,
    last: Option<(u32, Arc<Vec<u8>>)>,
}

impl BlockReader<'_> {
    /// Fills `out` from this offset on.
    pub(super) fn read(&mut self, mut offset: u64, mut out: &mut [u8]) -> Result<(), Error> {
        while !out.is_empty() {
            let number = (offset / BLOCK_BYTES as u64) as u32;
            let block = match &self.last {
                Some((last, block)) if *last == number => block,
                _ => &self.last.insert((number, self.file.block(number)?)).1,
            };
            let inside = (offset % BLOCK_BYTES as u64) as usize;
            let some = block.get(inside..).unwrap_or_default();
            let len = some.len().min(out.len());
            if len == 0 {
                return Err(self.damaged(offset, "it ends too early"));
            }
            out[..len].copy_from_slice(&some[..len]);
            out = &mut out[len..];
            offset += len as u64;
        }
        Ok(())
    }

    pub(super) fn damaged(&self, offset: u64, what: &str) -> Error {
        self.file.damaged(offset, what)
    }
}
