"""How long to wait before another try."""

import re
import time
from email.utils import parsedate_to_datetime
from random import Random
from typing import Optional

MAX_RETRY_AFTER_S = 300.0
_MAX_DOUBLINGS = 64


def wait_s(failures: int, retry_base: float, retry_max: float, random: Random) -> float:
    """Before try `failures` (the first send is try 0): full jitter, so that clients that failed together do not come back together."""
    return random.uniform(0, min(retry_max, retry_base * 2.0 ** min(failures, _MAX_DOUBLINGS)))


def retry_after_s(header: Optional[str], now: Optional[float] = None) -> Optional[float]:
    """What `Retry-After` asks for, in seconds from `now` (Unix time); `None` if it asks for nothing that can be done."""
    if header is None:
        return None
    text = header.strip()
    if re.fullmatch("[0-9]+", text):
        wait = min(float(text), MAX_RETRY_AFTER_S)
    else:
        try:
            wait = parsedate_to_datetime(text).timestamp() - (time.time() if now is None else now)
        except (TypeError, ValueError, OverflowError, IndexError):
            return None
    return min(wait, MAX_RETRY_AFTER_S) if wait > 0 else None
