"""The books: where every tracked event went."""

from dataclasses import dataclass
from typing import Dict


@dataclass(frozen=True)
class Books:
    """The books at one moment: `tracked = delivered + sum(refused) + sum(dropped) + waiting`, always."""

    tracked: int
    delivered: int
    refused: Dict[str, int]
    """By the server's `code`, or `http_<status>` where it gave none."""
    dropped: Dict[str, int]
    """By reason: `full`, `too_old`, `invalid`, `closed`, `spool_full`, `shutdown`."""
    waiting: int
    """In the buffer, in flight, and in the spool."""
    recovered: int
    """Found in the spool, left there by a process that is gone. Part of `tracked`."""
    cut: Dict[str, int]
    """Values that had to be changed for the server to take them, by field."""
    duplicates: int
    late: int
    clamped: int
    requests: int
    retries: int
    state: str
    """`ready`, `backoff`, `open`, `paused` or `closed`."""

    @property
    def balance(self) -> bool:
        return self.tracked == self.delivered + sum(self.refused.values()) + sum(self.dropped.values()) + self.waiting
