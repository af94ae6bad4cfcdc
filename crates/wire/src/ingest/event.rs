//! One event of a batch, and one gate of an event.

use super::{MAX_GATE_LATENCY_MS, MAX_GATES, MAX_TOTAL_LATENCY_MS};
use crate::field::{
    Field, Stop, boolean, enter_object, filled_text, number, optional_boolean, optional_text, refuse, text,
};
use crate::number::{micros_within, within};
use crate::{MAX_AGENT_ID, MAX_EVALUATION_ID, MAX_GATE_NAME, MAX_REASON, MAX_TOOL, timestamp};
use json::{Kind, Reader};
use reputation::{Evaluation, GateResult, Micros};

/// Reads the event here, which probably has that many gates.
pub(super) fn read<'a>(reader: &mut Reader<'a>, probable_gates: usize) -> Result<Evaluation<'a>, Stop> {
    enter_object(reader)?;
    let mut agent_id = Field::new("agent_id");
    let mut tool = Field::new("tool");
    let mut passed = Field::new("passed");
    let mut gates = Field::new("gates");
    let mut total_latency_us = Field::new("total_latency_ms");
    let mut sent_at = Field::new("timestamp");
    let mut evaluation_id = Field::new("evaluation_id");
    while let Some(key) = reader.next_key()? {
        match key.as_ref() {
            "agent_id" => agent_id.read(reader, |reader, name| filled_text(reader, name, MAX_AGENT_ID))?,
            "tool" => tool.read(reader, |reader, name| optional_text(reader, name, MAX_TOOL))?,
            "passed" => passed.read(reader, boolean)?,
            "gates" => gates.read(reader, |reader, name| read_gates(reader, name, probable_gates))?,
            "total_latency_ms" => total_latency_us.read(reader, read_total_latency)?,
            "timestamp" => sent_at.read(reader, read_timestamp)?,
            "evaluation_id" => {
                evaluation_id.read(reader, |reader, name| {
                    optional_text(reader, name, MAX_EVALUATION_ID)
                })?;
            }
            _ => reader.skip()?,
        }
    }
    Ok(Evaluation {
        agent_id: agent_id.required()?,
        tool: tool.optional(),
        passed: passed.required()?,
        gates: gates.required()?,
        total_latency_us: total_latency_us.required()?,
        sent_at: sent_at.optional(),
        evaluation_id: evaluation_id.optional(),
        agent_latency_us: None,
    })
}

fn read_gates<'a>(
    reader: &mut Reader<'a>,
    name: &'static str,
    probable: usize,
) -> Result<Vec<GateResult<'a>>, Stop> {
    if reader.peek()? != Kind::Array {
        return refuse(reader, name, "not an array");
    }
    reader.enter()?;
    let mut gates = Vec::with_capacity(probable);
    while reader.next_element()? {
        if gates.len() == MAX_GATES {
            return refuse(reader, name, "more than 50 items");
        }
        let gate = read_gate(reader).map_err(|stop| stop.within(&format!("{name}[{}]", gates.len())))?;
        gates.push(gate);
    }
    Ok(gates)
}

fn read_gate<'a>(reader: &mut Reader<'a>) -> Result<GateResult<'a>, Stop> {
    enter_object(reader)?;
    let mut name = Field::new("name");
    let mut passed = Field::new("passed");
    let mut latency_ms = Field::new("latency_ms");
    let mut reason = Field::new("reason");
    let mut skipped = Field::new("skipped");
    while let Some(key) = reader.next_key()? {
        match key.as_ref() {
            "name" => name.read(reader, |reader, field| text(reader, field, MAX_GATE_NAME))?,
            "passed" => passed.read(reader, boolean)?,
            "latency_ms" => latency_ms.read(reader, read_gate_latency)?,
            "reason" => reason.read(reader, |reader, field| optional_text(reader, field, MAX_REASON))?,
            "skipped" => skipped.read(reader, optional_boolean)?,
            _ => reader.skip()?,
        }
    }
    Ok(GateResult {
        name: name.required()?,
        passed: passed.required()?,
        latency_ms: latency_ms.required()?,
        reason: reason.optional(),
        skipped: skipped.optional(),
    })
}

fn read_gate_latency(reader: &mut Reader<'_>, name: &'static str) -> Result<f64, Stop> {
    let number = number(reader, name)?;
    within(&number, MAX_GATE_LATENCY_MS).ok_or_else(|| Stop::broken(name, "not between 0 and 1000000000"))
}

fn read_total_latency(reader: &mut Reader<'_>, name: &'static str) -> Result<u32, Stop> {
    let number = number(reader, name)?;
    micros_within(&number, MAX_TOTAL_LATENCY_MS).ok_or_else(|| Stop::broken(name, "not between 0 and 60000"))
}

/// A timestamp; null and `""` are absent.
fn read_timestamp(reader: &mut Reader<'_>, name: &'static str) -> Result<Option<Micros>, Stop> {
    // No timestamp is longer than this; the form is told before the length.
    let Some(text) = optional_text(reader, name, usize::MAX)? else {
        return Ok(None);
    };
    timestamp::parse(&text)
        .map(Some)
        .map_err(|misread| Stop::broken(name, misread.rule()))
}
