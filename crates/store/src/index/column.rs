//! A growing column of 16-bit values that readers can copy cheaply.

use std::sync::Arc;

const CHUNK: usize = 4_096;

/// Values by ordinal. A clone shares all chunks; appending copies the last one if it is shared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Column {
    chunks: Vec<Arc<Vec<u16>>>,
}

impl Column {
    pub(crate) fn push(&mut self, value: u16) {
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => Arc::make_mut(last).push(value),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(value);
                self.chunks.push(Arc::new(chunk));
            }
        }
    }

    pub(crate) fn get(&self, ordinal: u32) -> Option<u16> {
        let at = ordinal as usize;
        self.chunks.get(at / CHUNK)?.get(at % CHUNK).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u16> {
        self.chunks.iter().flat_map(|chunk| chunk.iter().copied())
    }
}
