"""Times as the server takes them and as a client writes them."""

import re
import time
from datetime import datetime, timedelta, timezone
from typing import Tuple, Union

_TAKEN = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,9})?)?(?:Z|([+-])(\d\d):?(\d\d))?", re.ASCII)
_FIRST = datetime(1970, 1, 1)

# The last second that was written and its text. Replaced as a whole, so threads may share it.
_written: Tuple[int, str] = (0, "1970-01-01T00:00:00.")


def is_taken(text: str) -> bool:
    """Whether the server takes this text as a `timestamp`: docs/api.md has the rules."""
    match = _TAKEN.fullmatch(text)
    if match is None:
        return False
    year, month, day, hour, minute, second, sign, ahead_h, ahead_m = match.groups()
    try:
        local = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0))
        if sign is None:
            return local >= _FIRST
        if int(ahead_h) > 23 or int(ahead_m) > 59:
            return False
        ahead = timedelta(hours=int(ahead_h), minutes=int(ahead_m))
        utc = local - ahead if sign == "+" else local + ahead
    except (ValueError, OverflowError):
        return False
    return local >= _FIRST and utc >= _FIRST


def written(unix_ms: int) -> str:
    """UTC to the millisecond: `2026-05-07T14:22:10.000Z`."""
    global _written
    second, ms = divmod(unix_ms, 1000)
    at, text = _written
    if at != second:
        text = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
        _written = (second, text)
    return f"{text}{ms:03d}Z"


def now() -> str:
    return written(time.time_ns() // 1_000_000)


def as_text(value: Union[str, datetime]) -> str:
    """A `datetime` as the server reads it; without a zone it is UTC, as a text without an offset is."""
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            value = value.astimezone(timezone.utc).replace(tzinfo=None)
        return value.isoformat() + "Z"
    return value
