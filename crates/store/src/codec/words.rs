//! The dictionary of a segment: agents and texts that its rows name by number.
//!
//! Each segment has its own, written bit by bit in `WORDS` records before the rows that need it, so that a
//! segment can be read, moved and dropped without any other.

use super::fields::{Malformed, Reader, put_text, put_varint};
use super::row::TextRef;
use crate::OrgId;
use crate::agent::AgentNo;
use hashbrown::{HashMap, HashSet};

/// Texts in a segment's dictionary at most; what comes later stands inline in its rows.
const MAX_TEXTS: usize = 65_000;
/// Bytes of those texts at most.
const MAX_TEXT_BYTES: usize = 4 << 20;
/// Texts remembered as seen once at most.
const MAX_SEEN_ONCE: usize = 65_536;
const AGENT: u8 = 0;
const TEXT: u8 = 1;
const AGENT_GONE: u8 = 2;
const TEXT_GONE: u8 = 3;

/// The number of an agent in a segment's dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AgentWord(pub(crate) u32);

/// The number of a text in a segment's dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TextWord(pub(crate) u32);

/// The dictionary of the open segment, as its one writer has it.
#[derive(Default)]
pub(crate) struct Words {
    /// By [`AgentNo`]: the agent's number here plus one, or 0.
    agents: Vec<u32>,
    agent_count: u32,
    texts: HashMap<Box<str>, TextWord>,
    text_bytes: usize,
    seen_once: HashSet<Box<str>>,
    new: Vec<u8>,
}

/// A word of a `WORDS` record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word<'a> {
    /// The next agent.
    Agent(OrgId, &'a str),
    /// The next text.
    Text(&'a str),
    /// The next agent, which was erased.
    AgentGone,
    /// The next text, which only erased rows had.
    TextGone,
}

impl Words {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The number of an agent, which has this place in the registry.
    pub(crate) fn agent(&mut self, no: AgentNo, org: OrgId, agent_id: &str) -> AgentWord {
        let index = no.0 as usize;
        match self.agents.get(index) {
            Some(0) => {}
            Some(after) => return AgentWord(after - 1),
            None => self.agents.resize(index + 1, 0),
        }
        let word = AgentWord(self.agent_count);
        self.agent_count += 1;
        self.agents[index] = self.agent_count;
        put_word(&mut self.new, Word::Agent(org, agent_id));
        word
    }

    /// The number of an agent that is in the dictionary already.
    pub(crate) fn known_agent(&self, no: AgentNo) -> Option<AgentWord> {
        let after = *self.agents.get(no.0 as usize)?;
        after.checked_sub(1).map(AgentWord)
    }

    /// The number of a text that is expected to come again: a tool or a gate's name. `None` once the
    /// dictionary is full.
    pub(crate) fn text(&mut self, text: &str) -> Option<TextWord> {
        if let Some(word) = self.texts.get(text) {
            return Some(*word);
        }
        if self.texts.len() >= MAX_TEXTS || self.text_bytes + text.len() > MAX_TEXT_BYTES {
            return None;
        }
        let word = TextWord(self.texts.len() as u32);
        self.texts.insert(text.into(), word);
        self.text_bytes += text.len();
        put_word(&mut self.new, Word::Text(text));
        Some(word)
    }

    /// A text that is expected to come again, as rows name it.
    pub(crate) fn term<'t>(&mut self, text: &'t str) -> TextRef<'t> {
        self.text(text).map_or(TextRef::Inline(text), TextRef::Word)
    }

    /// The number of a text that may never come again: at its second sight, else `None`.
    pub(crate) fn text_seen_twice(&mut self, text: &str) -> Option<TextWord> {
        if let Some(word) = self.texts.get(text) {
            return Some(*word);
        }
        if self.seen_once.remove(text) {
            return self.text(text);
        }
        if self.seen_once.len() == MAX_SEEN_ONCE {
            self.seen_once.clear();
        }
        self.seen_once.insert(text.into());
        None
    }

    /// The body of a `WORDS` record of what is new, if anything is.
    pub(crate) fn take_new(&mut self) -> Option<Vec<u8>> {
        (!self.new.is_empty()).then(|| std::mem::take(&mut self.new))
    }
}

/// The words of a `WORDS` record, in the order in which they take their numbers.
pub(crate) fn read_words(body: &[u8]) -> impl Iterator<Item = Result<Word<'_>, Malformed>> {
    let mut reader = Reader { bytes: body };
    std::iter::from_fn(move || {
        if reader.is_empty() {
            return None;
        }
        let word = read_word(&mut reader);
        if word.is_err() {
            reader.bytes = &[];
        }
        Some(word)
    })
}

/// The same words, but for those that do not stay, which leave their numbers.
pub(crate) fn thin_words(
    body: &[u8],
    mut stays: impl FnMut(&Word<'_>) -> bool,
) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::with_capacity(body.len());
    for word in read_words(body) {
        let word = word?;
        let left = match (stays(&word), word) {
            (true, word) => word,
            (false, Word::Agent(..) | Word::AgentGone) => Word::AgentGone,
            (false, Word::Text(_) | Word::TextGone) => Word::TextGone,
        };
        put_word(&mut out, left);
    }
    Ok(out)
}

/// Appends a word to the body of a `WORDS` record.
pub(crate) fn put_word(out: &mut Vec<u8>, word: Word<'_>) {
    match word {
        Word::Agent(org, agent_id) => {
            out.push(AGENT);
            put_varint(out, u64::from(org.0));
            put_text(out, agent_id);
        }
        Word::Text(text) => {
            out.push(TEXT);
            put_text(out, text);
        }
        Word::AgentGone => out.push(AGENT_GONE),
        Word::TextGone => out.push(TEXT_GONE),
    }
}

fn read_word<'a>(reader: &mut Reader<'a>) -> Result<Word<'a>, Malformed> {
    match reader.byte()? {
        AGENT => match (OrgId(reader.varint32()?), reader.text()?) {
            // An older version wrote this for an agent that was erased between a carry's order and its writing.
            (_, "") => Ok(Word::AgentGone),
            (org, agent_id) => Ok(Word::Agent(org, agent_id)),
        },
        TEXT => Ok(Word::Text(reader.text()?)),
        AGENT_GONE => Ok(Word::AgentGone),
        TEXT_GONE => Ok(Word::TextGone),
        _ => Err(Malformed("a word is neither an agent nor a text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_numbered_in_order_and_written_once() {
        let mut words = Words::new();
        assert_eq!(words.agent(AgentNo(7), OrgId(1), "a"), AgentWord(0));
        assert_eq!(words.agent(AgentNo(3), OrgId(2), "a"), AgentWord(1));
        assert_eq!(words.agent(AgentNo(7), OrgId(1), "a"), AgentWord(0));
        assert_eq!(words.text("pii"), Some(TextWord(0)));
        assert_eq!(
            (words.text_seen_twice("why"), words.text_seen_twice("why")),
            (None, Some(TextWord(1)))
        );
        let body = words.take_new().unwrap();
        let read: Vec<_> = read_words(&body).map(Result::unwrap).collect();
        let expected = [
            Word::Agent(OrgId(1), "a"),
            Word::Agent(OrgId(2), "a"),
            Word::Text("pii"),
            Word::Text("why"),
        ];
        assert_eq!(read, expected);
        assert_eq!((words.text("why"), words.take_new()), (Some(TextWord(1)), None));
    }

    #[test]
    fn a_full_dictionary_takes_no_more_texts() {
        let mut words = Words::new();
        let large = "x".repeat(MAX_TEXT_BYTES);
        assert!(words.text(&large).is_some());
        assert_eq!(words.text("one more"), None);
    }

    #[test]
    fn a_word_that_goes_leaves_its_number_and_nothing_else() {
        let mut words = Words::new();
        words.agent(AgentNo(0), OrgId(1), "stays");
        words.agent(AgentNo(1), OrgId(1), "doomed");
        words.text("why");
        let body = words.take_new().unwrap();
        let thin = thin_words(&body, |word| *word == Word::Agent(OrgId(1), "stays")).unwrap();
        let left = [Word::Agent(OrgId(1), "stays"), Word::AgentGone, Word::TextGone];
        assert!(read_words(&thin).map(Result::unwrap).eq(left));
        assert_eq!(
            thin_words(&thin, |_| true),
            Ok(thin.clone()),
            "doing it again changes nothing"
        );
    }
}
