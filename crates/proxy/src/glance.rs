//! A look at a message that is not read whole: because it is longer than the limit, or no JSON to us. It is
//! fed piece by piece and keeps only ids, methods and names of tools, each up to a bound.
//!
//! It is forgiving: of what is no JSON it finds what a forgiving reader might.

use crate::id::{Id, MAX_GLANCED_BYTES};
use crate::message::CALL;
use json::Reader;
use memchr::memchr2;

/// The most messages of a batch that are told apart.
const MAX_GLIMPSES: usize = 4_096;
/// How deep members are followed: those of a message, and those of its `params`.
const LEVELS: usize = 2;

/// What is found of a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Glimpse {
    pub(crate) id: Option<Id>,
    pub(crate) method: Option<String>,
    /// `params.name`.
    pub(crate) name: Option<String>,
    /// Whether it has a `result` or an `error`.
    pub(crate) is_answer: bool,
    /// Whether its id is not known: it has several, or one that is too long.
    pub(crate) is_vague: bool,
}

/// The looking.
#[derive(Debug, Default)]
pub(crate) struct Glance {
    /// Containers that are open.
    depth: usize,
    /// Around the message that is being looked at: 1 in a batch.
    base: usize,
    is_begun: bool,
    in_string: bool,
    escaped: bool,
    levels: [Level; LEVELS],
    capture: Option<Capture>,
    current: Glimpse,
    /// Whether the message at hand has an id already.
    has_id: bool,
    done: Vec<Glimpse>,
    /// Whether there is more than was told apart.
    is_cut: bool,
}

/// An object whose members are followed.
#[derive(Debug, Default)]
struct Level {
    is_object: bool,
    at_key: bool,
    key: Vec<u8>,
}

#[derive(Debug)]
struct Capture {
    what: Wanted,
    written: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Key(usize),
    Id,
    Method,
    Name,
}

impl Glance {
    /// Looks at the next bytes. Which of them ends the whole, if it is among them.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Option<usize> {
        let (mut at, mut end) = (0, None);
        while at < bytes.len() {
            if self.in_string && self.capture.is_none() && !self.escaped {
                // The bulk of a large message is in strings that nobody wants.
                let Some(next) = memchr2(b'"', b'\\', &bytes[at..]) else {
                    break;
                };
                at += next;
            }
            let was_open = self.depth > 0;
            self.byte(bytes[at]);
            if was_open && self.depth == 0 {
                end = end.or(Some(at));
            }
            at += 1;
        }
        end
    }

    /// Takes the whole for an answer to nobody knows what.
    pub(crate) fn give_up(&mut self) {
        self.is_cut = true;
    }

    /// What was found of the message at hand, up to here.
    pub(crate) fn so_far(&self) -> &Glimpse {
        &self.current
    }

    /// Whether it is a batch.
    pub(crate) fn is_batch(&self) -> bool {
        self.base > 0
    }

    /// All that was found. What was not told apart is an answer to nobody knows what.
    pub(crate) fn finish(mut self) -> Vec<Glimpse> {
        self.end_capture();
        self.end_message();
        if self.is_cut {
            self.done.push(Glimpse {
                is_answer: true,
                is_vague: true,
                ..Glimpse::default()
            });
        }
        self.done
    }

    fn byte(&mut self, byte: u8) {
        if self.in_string {
            self.keep(byte);
            if self.escaped {
                self.escaped = false;
            } else if byte == b'\\' {
                self.escaped = true;
            } else if byte == b'"' {
                self.in_string = false;
                self.end_capture();
            }
            return;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                if let Some(level) = self.level()
                    && self.levels[level].at_key
                {
                    self.begin_capture(Wanted::Key(level));
                }
                self.keep(byte);
            }
            b'{' | b'[' => self.open(byte == b'{'),
            b'}' | b']' => self.close(),
            b',' => {
                self.end_capture();
                if let Some(level) = self.level() {
                    let level = &mut self.levels[level];
                    level.at_key = level.is_object;
                }
            }
            b':' => self.colon(),
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => self.keep(byte),
        }
    }

    /// The level of the members here, if they are followed.
    fn level(&self) -> Option<usize> {
        let level = self.depth.checked_sub(self.base + 1)?;
        let is_followed = match level {
            0 => true,
            1 => self.levels[0].is_object && self.key_is(0, "params"),
            _ => false,
        };
        is_followed.then_some(level)
    }

    fn open(&mut self, is_object: bool) {
        self.capture = None; // no id, method or name is a container
        if !self.is_begun {
            self.is_begun = true;
            self.base = usize::from(!is_object);
        }
        self.depth += 1;
        if let Some(level) = self.level() {
            self.levels[level] = Level {
                is_object,
                at_key: is_object,
                key: Vec::new(),
            };
        }
    }

    fn close(&mut self) {
        self.end_capture();
        self.depth = self.depth.saturating_sub(1);
        if self.depth == self.base {
            self.end_message();
        }
    }

    fn colon(&mut self) {
        let Some(level) = self.level() else { return };
        self.levels[level].at_key = false;
        let key = text(&self.levels[level].key).unwrap_or_default();
        match (level, key.as_str()) {
            (0, "result" | "error") => self.current.is_answer = true,
            (0, "id") => {
                self.current.is_vague |= std::mem::replace(&mut self.has_id, true);
                self.begin_capture(Wanted::Id);
            }
            (0, "method") => self.begin_capture(Wanted::Method),
            (1, "name") => self.begin_capture(Wanted::Name),
            _ => {}
        }
    }

    fn key_is(&self, level: usize, name: &str) -> bool {
        text(&self.levels[level].key).is_some_and(|key| key == name)
    }

    fn begin_capture(&mut self, what: Wanted) {
        let written = Vec::new();
        self.capture = Some(Capture { what, written });
    }

    fn keep(&mut self, byte: u8) {
        if let Some(capture) = &mut self.capture {
            if capture.written.len() == MAX_GLANCED_BYTES {
                match capture.what {
                    Wanted::Id => (self.current.id, self.current.is_vague) = (None, true),
                    Wanted::Key(level) => self.levels[level].key.clear(), // none that is known is so long
                    Wanted::Method | Wanted::Name => {}
                }
                self.capture = None;
            } else {
                capture.written.push(byte);
            }
        }
    }

    fn end_capture(&mut self) {
        let Some(Capture { what, written }) = self.capture.take() else {
            return;
        };
        match what {
            Wanted::Key(level) => self.levels[level].key = written,
            Wanted::Id => self.current.id = std::str::from_utf8(&written).ok().and_then(Id::read),
            // Of several, whoever takes the one or the other: what is a call to anybody is a call.
            Wanted::Method if self.current.method.as_deref() == Some(CALL) => {}
            Wanted::Method => self.current.method = text(&written),
            Wanted::Name => self.current.name = text(&written),
        }
    }

    fn end_message(&mut self) {
        let found = std::mem::take(&mut self.current);
        self.has_id = false;
        if found == Glimpse::default() {
            return;
        }
        self.is_cut |= self.done.len() == MAX_GLIMPSES;
        if !self.is_cut {
            self.done.push(found);
        }
    }
}

/// A string as it is meant.
fn text(written: &[u8]) -> Option<String> {
    let mut reader = Reader::new(written).ok()?;
    reader.string().ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is found if it comes in pieces of that size.
    fn glimpses(text: &[u8], size: usize) -> Vec<Glimpse> {
        let mut glance = Glance::default();
        text.chunks(size).for_each(|piece| {
            glance.feed(piece);
        });
        glance.finish()
    }

    fn answer(id: &str) -> Glimpse {
        Glimpse {
            id: Id::read(id),
            is_answer: true,
            ..Glimpse::default()
        }
    }

    #[test]
    fn an_id_is_found_behind_any_result() {
        let text =
            br#"{"result":{"id":9,"x":"\"id\":8,\\","params":{"name":"no"}},"jsonrpc":"2.0","\u0069d" : 7 }"#;
        for size in [1, 2, 7, 1_000] {
            assert_eq!(glimpses(text, size), [answer("7")], "{size}");
        }
    }

    #[test]
    fn a_call_is_known_by_its_method_and_tool() {
        let text =
            br#"{"method":"tools/call","params":{"arguments":{"name":"x"},"name":"read \u0041"},"id":"a"}"#;
        let expected = Glimpse {
            id: Id::read(r#""a""#),
            method: Some("tools/call".to_owned()),
            name: Some("read A".to_owned()),
            ..Glimpse::default()
        };
        assert_eq!(glimpses(text, 3), [expected]);
    }

    #[test]
    fn what_is_a_call_to_some_reader_is_a_call() {
        for text in [
            r#"{"method":"tools/call","method":"ping"}"#,
            r#"{"method":"ping","method":"tools/call"}"#,
        ] {
            let found = glimpses(text.as_bytes(), 5);
            assert_eq!(found[0].method.as_deref(), Some(CALL), "{text}");
        }
    }

    #[test]
    fn the_messages_of_a_batch_are_told_apart() {
        let text = br#"[{"id":1,"result":[{"id":5}]},{"error":{},"id":"2"}]"#;
        assert_eq!(glimpses(text, 4), [answer("1"), answer(r#""2""#)]);
    }

    #[test]
    fn what_is_no_json_shows_what_a_forgiving_reader_would_find() {
        assert_eq!(glimpses(br#"{"id":3,"result":{"a":NaN}}"#, 5), [answer("3")]);
        assert_eq!(glimpses(b"{\"id\":3,\"result\":\"\xff", 5), [answer("3")]);
        assert_eq!(glimpses(b"[info] listening: 8080}}}]", 5), []);
    }

    #[test]
    fn an_id_beyond_the_bound_is_none_and_costs_nothing() {
        let long = "x".repeat(MAX_GLANCED_BYTES);
        let text = format!(r#"{{"id":"{long}","result":1}}"#);
        let vague = Glimpse {
            is_answer: true,
            is_vague: true,
            ..Glimpse::default()
        };
        assert_eq!(glimpses(text.as_bytes(), 1_000), [vague]);
        // A name so long is none that is known.
        let text = format!(r#"{{"id":1,"{long}":2,"result":1}}"#);
        assert_eq!(glimpses(text.as_bytes(), 1_000), [answer("1")]);
    }

    #[test]
    fn of_several_ids_none_is_certain() {
        for text in [
            r#"{"id":1,"id":2,"result":1}"#,
            r#"{"id":2,"result":1,"\u0069d":1}"#,
        ] {
            assert!(glimpses(text.as_bytes(), 7)[0].is_vague, "{text}");
        }
        assert_eq!(
            glimpses(br#"[{"id":1,"error":1},{"id":2,"error":1}]"#, 7),
            [answer("1"), answer("2")]
        );
    }

    #[test]
    fn what_is_beyond_the_bound_of_a_batch_is_an_answer_to_nobody_knows_what() {
        let text = format!("[{}]", vec!["{\"id\":1}"; MAX_GLIMPSES + 1].join(","));
        let found = glimpses(text.as_bytes(), 1_000);
        assert_eq!(found.len(), MAX_GLIMPSES + 1);
        assert!(
            found
                .iter()
                .all(|one| one.is_vague == (*one == found[MAX_GLIMPSES]))
        );
    }

    #[test]
    fn the_end_of_the_whole_is_known() {
        for (text, end) in [
            ("{\"a\":[{\"}\":1}]} \n", Some(14)),
            ("[{},{}]\n", Some(6)),
            ("{\"a\":", None),
            ("log: {}", Some(6)),
        ] {
            assert_eq!(Glance::default().feed(text.as_bytes()), end, "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_finds_what_reading_the_whole_finds(
            id in prop_oneof!["[0-9]{1,5}", "\"[a-z\\\\\\\\ ]{0,6}\""], result in "[a-z\"{}:,\\[\\]\\\\]{0,20}", size in 1..40usize,
            first in any::<bool>(),
        ) {
            let Some(read) = Id::read(&id) else { return Ok(()) };
            let result = serde_json::to_string(&result).unwrap();
            let text = if first { format!(r#"{{"id":{id},"result":{{"k":{result}}}}}"#) } else { format!(r#"{{"result":[{result}],"id":{id}}}"#) };
            let expected = Glimpse { id: Some(read), is_answer: true, ..Glimpse::default() };
            prop_assert_eq!(glimpses(text.as_bytes(), size), [expected]);
        }

        #[test]
        fn nothing_makes_it_fail(bytes in prop::collection::vec(prop::sample::select(b"{}[]\",:\\id1 \xff".to_vec()), 0..60), size in 1..9usize) {
            prop_assert!(glimpses(&bytes, size).len() <= bytes.len());
        }
    }
}
