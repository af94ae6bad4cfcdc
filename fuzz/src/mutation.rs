//! Random changes of an input.

use fastrand::Rng;

/// Numbers at which arithmetic turns.
const EDGES: [u64; 10] = [
    0,
    1,
    2,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    u64::MAX,
];

/// Makes new inputs of old ones.
pub struct Mutator {
    random: Rng,
    words: &'static [&'static str],
    most_bytes: usize,
}

impl Mutator {
    /// The same seed and the same calls make the same inputs, none longer than so many bytes.
    #[must_use]
    pub fn new(seed: u64, words: &'static [&'static str], most_bytes: usize) -> Self {
        Self {
            random: Rng::with_seed(seed),
            words,
            most_bytes,
        }
    }

    /// A number below that one.
    pub fn below(&mut self, end: usize) -> usize {
        self.random.usize(..end)
    }

    /// Changes an input in one to eight places; `other` lends pieces.
    pub fn change(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        let changes = 1 << self.random.u32(..4);
        for _ in 0..changes {
            self.change_once(input, other);
        }
        input.truncate(self.most_bytes);
    }

    fn change_once(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(input.len() + 1);
        match self.below(11) {
            0 => self.over(input, at, |random, byte| byte ^ 1 << random.u32(..8)),
            1 => self.over(input, at, |random, _| random.u8(..)),
            2 => self.over(input, at, |random, byte| {
                byte.wrapping_add(random.u8(..16)).wrapping_sub(8)
            }),
            3 => input.truncate(at),
            4 => {
                let end = at + self.below(input.len() - at + 1).min(32);
                input.drain(at..end);
            }
            5 => {
                let word = self.words[self.below(self.words.len())].as_bytes();
                self.put(input, at, word);
            }
            6 => {
                let piece = self.piece(&input.clone());
                self.put(input, at, &piece);
            }
            7 => {
                let piece = self.piece(other);
                self.put(input, at, &piece);
            }
            8 => {
                let number = EDGES[self.below(EDGES.len())]
                    .wrapping_add(self.random.u64(..3))
                    .to_le_bytes();
                let width = 1 << self.random.u32(..4);
                let end = (at + width).min(input.len());
                input.splice(at..end, number[..width].iter().copied());
            }
            9 => {
                let count = 1 << self.random.u32(..10);
                let byte = input.get(at).copied().unwrap_or(b'a');
                self.put(input, at, &vec![byte; count]);
            }
            _ => {
                // The rest of another behind the front of this.
                input.truncate(at);
                input.extend_from_slice(&other[at.min(other.len())..]);
            }
        }
    }

    fn over(&mut self, input: &mut [u8], at: usize, change: impl Fn(&mut Rng, u8) -> u8) {
        if let Some(byte) = input.get_mut(at) {
            *byte = change(&mut self.random, *byte);
        }
    }

    /// Inserts a piece, or writes it over what is there.
    fn put(&mut self, input: &mut Vec<u8>, at: usize, piece: &[u8]) {
        let end = if self.random.bool() {
            at
        } else {
            (at + piece.len()).min(input.len())
        };
        input.splice(at..end, piece.iter().copied());
    }

    fn piece(&mut self, of: &[u8]) -> Vec<u8> {
        let start = self.below(of.len() + 1);
        let len = self.below(of.len() - start + 1).min(1 << self.random.u32(..8));
        of[start..start + len].to_vec()
    }
}
