"""What an answer to a batch means: the table of `sdk/README.md`, without doing any of it."""

import json
from dataclasses import dataclass, field
from typing import Dict, FrozenSet, Mapping, Optional, Union

from .backoff import retry_after_s

NOTED = ("duplicates", "late", "clamped")
ELSEWHERE = (404, 405)
"""Where it is no Repute that answers: each has a `POST /v1/ingest`."""


@dataclass(frozen=True)
class Delivered:
    noted: Dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Refused:
    code: str
    places: Optional[FrozenSet[int]] = None
    """The events of the batch that are refused; all of them where it is `None`."""
    redirected: bool = False


@dataclass(frozen=True)
class Paused:
    status: int
    code: str


@dataclass(frozen=True)
class TooLarge:
    code: str


@dataclass(frozen=True)
class Unpacked:
    """The server does not read gzip."""


@dataclass(frozen=True)
class TryAgain:
    why: str
    after_s: Optional[float] = None


Meaning = Union[Delivered, Refused, Paused, TooLarge, Unpacked, TryAgain]


def meaning(status: int, headers: Mapping[str, str], body: bytes, batch: int, gzipped: bool) -> Meaning:
    """`headers` by lower-case name; `batch` is how many events were sent."""
    said = _object(body)
    code = said.get("code")
    why = f"HTTP {status} {code}"
    if not isinstance(code, str) or not code:
        code, why = f"http_{status}", f"HTTP {status}"
    if status == 202 or (200 <= status < 300 and "accepted" in said):
        return Delivered({word: count for word in NOTED if (count := _count(said.get(word)))})
    if 300 <= status < 400:
        return Refused(code, redirected=True)
    if gzipped and (status == 415 or (status == 400 and code == "bad_json")):
        return Unpacked()
    if status == 400 or (status == 403 and code == "agent_limit"):
        return Refused(code, _places(said.get("details"), batch))
    if status in (401, 403, *ELSEWHERE):
        return Paused(status, code)
    if status == 413:
        return TooLarge(code)
    if 400 <= status < 500 and status not in (408, 429):
        return Refused(code)
    return TryAgain(why, retry_after_s(headers.get("retry-after")))


def _object(body: bytes) -> Dict[str, object]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _places(details: object, batch: int) -> Optional[FrozenSet[int]]:
    if not isinstance(details, list):
        return None
    named = (detail.get("event") for detail in details if isinstance(detail, dict))
    places = frozenset(n for n in named if isinstance(n, int) and not isinstance(n, bool) and 0 <= n < batch)
    return places or None
