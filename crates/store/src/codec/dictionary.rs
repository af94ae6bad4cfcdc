//! The dictionary of a segment as a reader has it, word by word.

use super::fields::Malformed;
use super::words::{AgentWord, Word, read_words};
use crate::OrgId;
use crate::agent::AgentName;
use std::sync::Arc;

/// The agents of a segment's dictionary, in order, and how many texts it has.
#[derive(Default)]
pub(crate) struct Dictionary {
    /// By [`AgentWord`]; an agent that was erased has no name.
    pub(crate) agents: Vec<(OrgId, Arc<str>)>,
    pub(crate) texts: u32,
}

impl Dictionary {
    /// Takes in the body of a `WORDS` record.
    pub(crate) fn add(&mut self, body: &[u8]) -> Result<(), Malformed> {
        for word in read_words(body) {
            match word? {
                Word::Agent(org, agent_id) => self.agents.push((org, agent_id.into())),
                Word::AgentGone => self.agents.push((OrgId(0), "".into())),
                Word::Text(_) | Word::TextGone => self.texts += 1,
            }
        }
        Ok(())
    }

    /// The agent that a row of an organisation names.
    pub(crate) fn agent(&self, org: OrgId, word: AgentWord) -> Result<AgentName<'_>, Malformed> {
        let found = self.agent_or_gone(word)?.filter(|name| name.org == org);
        found.ok_or(Malformed("a row names no agent of its organisation"))
    }

    /// The agent of this number; `None` for one that was erased.
    pub(crate) fn agent_or_gone(&self, word: AgentWord) -> Result<Option<AgentName<'_>>, Malformed> {
        let agent = self.agents.get(word.0 as usize);
        let (org, agent_id) = agent.ok_or(Malformed("a record names an agent that the dictionary lacks"))?;
        Ok((!agent_id.is_empty()).then_some(AgentName { org: *org, agent_id }))
    }
}
