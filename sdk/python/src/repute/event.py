"""Makes an event valid and writes it: what the caller gives becomes one line of JSON that the server takes.

The server refuses a whole batch for one bad event, so nothing goes into the buffer that it would refuse. The line is the event from
then on: what is sent, sent again, and spooled are these bytes.
"""

import re
from datetime import datetime
from json.encoder import encode_basestring as quoted
from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

from . import timestamp as times
from .identity import new_evaluation_id

MAX_NAME_CHARS = 200
MAX_REASON_CHARS = 500
MAX_ID_CHARS = 50
MAX_GATES = 50
MAX_LATENCY_MS = 60_000
MAX_GATE_LATENCY_MS = 1_000_000_000

Gate = Mapping[str, object]
"""`name`, `passed`, `latency_ms`, and optionally `reason` and `skipped`. Anything else in it stays here."""

Cuts = Dict[str, int]
_LONE = re.compile("[\ud800-\udfff]")


class Invalid(Exception):
    """No valid event can be made of this."""


def event_line(
    agent_id: Optional[str],
    passed: object,
    gates: Sequence[Gate],
    total_latency_ms: object,
    tool: Optional[str],
    timestamp: Union[str, datetime, None],
    evaluation_id: Optional[str],
) -> Tuple[bytes, Cuts]:
    """The event as JSON, and how many values of which field had to be changed. Raises `Invalid`."""
    cuts: Cuts = {}
    if not agent_id:
        raise Invalid("agent_id")
    if isinstance(gates, (str, bytes, Mapping)):
        raise Invalid("gates")
    line = f'{{"agent_id":{quoted(_text(agent_id, MAX_NAME_CHARS, "agent_id", cuts))}'
    if tool is not None and tool != "":
        line += f',"tool":{quoted(_text(tool, MAX_NAME_CHARS, "tool", cuts))}'
    if timestamp is None or timestamp == "":
        timestamp = times.now()
    else:
        timestamp = times.as_text(timestamp)
        if not isinstance(timestamp, str) or not times.is_taken(timestamp):
            raise Invalid("timestamp")
    if evaluation_id is None or evaluation_id == "":
        evaluation_id = new_evaluation_id()
    else:
        if not isinstance(evaluation_id, str) or len(evaluation_id) > MAX_ID_CHARS:
            raise Invalid("evaluation_id")
        evaluation_id = _text(evaluation_id, MAX_ID_CHARS, "evaluation_id", cuts)
    if len(gates) > MAX_GATES:
        for gate in gates:
            _gate(gate, {})  # one of another type is none also where it would be left out
        gates = _fewer(gates)
        cuts["gates"] = 1
    line = (
        f'{line},"passed":{_boolean(passed)},"gates":[{",".join([_gate(gate, cuts) for gate in gates])}]'
        f',"total_latency_ms":{_latency(total_latency_ms, MAX_LATENCY_MS, "total_latency_ms", cuts)}'
        f',"timestamp":"{timestamp}","evaluation_id":{quoted(evaluation_id)}}}'
    )
    return line.encode(), cuts


def _gate(gate: Gate, cuts: Cuts) -> str:
    name = gate["name"]
    line = (
        f'{{"name":{quoted(_text(name, MAX_NAME_CHARS, "gates.name", cuts))},"passed":{_boolean(gate["passed"])}'
        f',"latency_ms":{_latency(gate.get("latency_ms"), MAX_GATE_LATENCY_MS, "gates.latency_ms", cuts)}'
    )
    reason = gate.get("reason")
    if reason is not None and reason != "":
        line += f',"reason":{quoted(_text(reason, MAX_REASON_CHARS, "gates.reason", cuts))}'
    skipped = gate.get("skipped")
    if skipped is not None and _boolean(skipped) == "true":
        line += ',"skipped":true'
    return line + "}"


def _fewer(gates: Sequence[Gate]) -> List[Gate]:
    """The first 50, but a failed gate beyond them takes the place of the last one among them that did not fail."""
    kept = list(gates[:MAX_GATES])
    place = MAX_GATES - 1
    for gate in gates[MAX_GATES:]:
        if not _failed(gate):
            continue
        while place >= 0 and _failed(kept[place]):
            place -= 1
        if place < 0:
            break
        kept[place] = gate
        place -= 1
    return kept


def _failed(gate: Gate) -> bool:
    return not gate["passed"] and not gate.get("skipped")


def _text(value: object, limit: int, field: str, cuts: Cuts) -> str:
    if not isinstance(value, str):
        raise Invalid(field)
    if len(value) <= limit and value.isascii():
        return value
    good = value
    try:
        value.encode()
    except UnicodeEncodeError:
        # Two surrogates that make a pair are the character they stand for; one alone stands for nothing.
        paired = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        good = _LONE.sub("\ufffd", paired)
    good = good[:limit]
    if good != value:
        cuts[field] = cuts.get(field, 0) + 1
    return good


def _boolean(value: object) -> str:
    if value is True:
        return "true"
    if value is False:
        return "false"
    kind = type(value)
    if kind.__module__ == "numpy" and kind.__name__ in ("bool", "bool_"):
        return "true" if value else "false"
    raise Invalid("passed")


def _latency(value: object, limit: int, field: str, cuts: Cuts) -> str:
    """A number as JSON. `None` is 0; what is out of range or not a number is brought into range and counted."""
    if type(value) is int or type(value) is float:
        number: Union[int, float] = value
    elif value is None:
        return "0"
    elif isinstance(value, bool) or not hasattr(value, "__float__"):
        raise Invalid(field)
    else:
        number = float(value)  # numpy's numbers, Decimal, Fraction
    if 0 <= number <= limit:
        return repr(number)
    cuts[field] = cuts.get(field, 0) + 1
    return repr(limit) if number > limit else "0"


def batch_body(lines: Iterable[bytes]) -> bytes:
    """The body of an ingest."""
    return b'{"events":[' + b",".join(lines) + b"]}"
