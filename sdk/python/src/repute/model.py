"""What the typed calls return. Answers may gain fields: what is not known here is left out."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Type, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class GateResult:
    name: str
    passed: bool
    latency_ms: float
    reason: Optional[str] = None
    skipped: bool = False
    details: Any = None
    """Only in the answer of `evaluate`."""


@dataclass(frozen=True)
class RecordedEvent:
    id: str
    evaluation_id: Optional[str]
    agent_id: str
    tool_name: Optional[str]
    passed: bool
    gates: List[GateResult]
    total_latency_ms: float
    reputation_score: int
    """The agent's score just after this event was counted."""
    created_at: str
    received_at: Optional[str] = None
    source: Optional[str] = None
    key_id: Optional[str] = None
    signed: bool = False
    late: bool = False
    agent_latency_ms: Optional[float] = None


@dataclass(frozen=True)
class Reputation:
    agent_id: str
    score: int
    evaluations: int
    passed: int
    pass_rate: float
    avg_latency_ms: float
    streak: int
    status: str
    """`new`, `calibrating`, `active` or `mature`."""


@dataclass(frozen=True)
class Agent:
    agent_id: str
    first_seen: str
    last_seen: str
    eval_count: int
    score: Optional[int] = None
    """With `reputation=True` alone, as is `status`."""
    status: Optional[str] = None


@dataclass(frozen=True)
class ReputationUpdate:
    agent_id: str
    score: int
    status: str


@dataclass(frozen=True)
class Ingested:
    accepted: int
    reputation_updates: List[ReputationUpdate]
    duplicates: int = 0
    late: int = 0
    clamped: int = 0
    rejected: List[Dict[str, Any]] = field(default_factory=list)
    """With `lenient=True`: the events that were not taken, as `details` names them."""


@dataclass(frozen=True)
class Standing:
    score: int
    lifecycle: str
    eval_count: int


@dataclass(frozen=True)
class Evaluated:
    evaluation_id: str
    passed: bool
    gates: List[GateResult]
    total_latency_ms: float
    reputation: Standing
    duplicate: bool = False
    """The `evaluation_id` was recorded before: the gates ran, nothing was recorded."""


@dataclass(frozen=True)
class Limits:
    ingest_rate_limit: Optional[int] = None
    rate_limit: Optional[int] = None
    max_agents: Optional[int] = None
    max_body_bytes: Optional[int] = None
    require_signature: Optional[bool] = None
    require_timestamp: Optional[bool] = None


@dataclass(frozen=True)
class Whoami:
    organisation: str
    key_id: str
    kind: str
    scopes: List[str]
    limits: Limits
    version: str


_PARTS: Dict[type, Dict[str, type]] = {
    RecordedEvent: {"gates": GateResult},
    Evaluated: {"gates": GateResult, "reputation": Standing},
    Ingested: {"reputation_updates": ReputationUpdate},
    Whoami: {"limits": Limits},
}


def read(kind: Type[T], said: object) -> T:
    """Raises `ValueError` where the answer lacks a field that it must have."""
    if not isinstance(said, Mapping):
        raise ValueError(f"{kind.__name__}: not an object")
    parts = _PARTS.get(kind, {})
    values: Dict[str, Any] = {}
    for known in dataclasses.fields(kind):  # type: ignore[arg-type]
        if known.name in said:
            value = said[known.name]
            part = parts.get(known.name)
            if part is not None:
                value = [read(part, one) for one in value] if isinstance(value, list) else read(part, value)
            values[known.name] = value
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"{kind.__name__}: {error}") from error


def read_list(kind: Type[T], said: object) -> List[T]:
    if not isinstance(said, list):
        raise ValueError(f"{kind.__name__}: not a list")
    return [read(kind, one) for one in said]
