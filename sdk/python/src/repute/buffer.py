"""What waits to be delivered, and the books about it, under one lock.

Every event is in exactly one place: waiting, in flight, on its way to the spool, in the spool, or gone (delivered, refused, dropped).
Each method moves events from one place to another under the lock, so that the books balance whenever somebody looks.
"""

import threading
from collections import deque
from concurrent.futures import Future
from typing import Callable, Deque, Dict, Iterable, List, NamedTuple, Optional, Tuple

from .books import Books

MAX_BATCH = 100
_ROOM_CHECK_S = 0.1


class Entry(NamedTuple):
    """An event in memory."""

    number: int
    """Its place in the order of arrival."""
    at: float
    """When it arrived, by the monotonic clock."""
    line: bytes


class Flush:
    """Somebody waits until every event up to `last` has left memory."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.all_delivered = True
        self.done: "Future[bool]" = Future()
        self.done.set_running_or_notify_cancel()


class Buffer:
    """The queue of one process, bounded by `max_buffer`. `changed` is notified when the sender may have something to do."""

    def __init__(self, max_buffer: int, when_full: str, flush_at: int) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self._room = threading.Condition(self.lock)
        self._max_buffer = max_buffer
        self._when_full = when_full
        self._flush_at = flush_at
        self._inside = False
        self._aside: Deque[Tuple[bytes, float]] = deque()

        self.waiting: Deque[Entry] = deque()
        self.flight: Deque[List[Entry]] = deque()
        """Groups taken off the queue, the one being sent first."""
        self.in_flight = 0
        self._moving = 0
        self.spooled = 0
        self.flushes: List[Flush] = []
        self.crowded = False
        """Somebody waits for room."""
        self.closed = False
        self.taken_over = False
        """The end of the process took what was left: the sender's late answers count no more."""

        self._arrived = 0
        self._tracked = 0
        self._delivered = 0
        self._recovered = 0
        self._refused: Dict[str, int] = {}
        self._dropped: Dict[str, int] = {}
        self._cut: Dict[str, int] = {}
        self.requests = 0
        self.retries = 0
        self.noted = {"duplicates": 0, "late": 0, "clamped": 0}

        self.keep_lost = False
        self.lost: Deque[Tuple[bytes, str]] = deque()
        """Dropped events that the callback has not been told of yet, where there is one."""

    # Called by `track`, in any thread.

    def add(self, line: bytes, now: float, may_wait: Callable[[], bool]) -> None:
        """Puts an event into the queue, or drops one, by the policy. Waits only with the policy `block` while `may_wait`."""
        with self.lock:
            if self._when_full == "block" and not self._inside:
                while not self.closed and len(self.waiting) + self.in_flight >= self._max_buffer and may_wait():
                    self.crowded = True
                    self.changed.notify()
                    self._room.wait(_ROOM_CHECK_S)
            if self._inside:
                # A signal handler or a finaliser interrupted this very thread in here: its event goes in when that is done.
                self._aside.append((line, now))
                return
            self._inside = True
            try:
                self._add(line, now)
                while self._aside:
                    self._add(*self._aside.popleft())
            finally:
                self._inside = False

    def _add(self, line: bytes, now: float) -> None:
        self._tracked += 1
        if self.closed:
            self._lose(line, "closed")
            return
        waiting = self.waiting
        if len(waiting) + self.in_flight >= self._max_buffer:
            if self._when_full != "drop_oldest" or not waiting:
                self._lose(line, "full")
                return
            oldest = waiting.popleft()
            self._lose(oldest.line, "full")
            self._fail_flushes([oldest])
            self._settle()
        self._arrived += 1
        waiting.append(Entry(self._arrived, now, line))
        size = len(waiting)
        if size == 1 or size == self._flush_at:
            self.changed.notify()

    def count_cuts(self, cuts: Dict[str, int]) -> None:
        with self.lock:
            for field, count in cuts.items():
                self._cut[field] = self._cut.get(field, 0) + count

    def count_invalid(self) -> None:
        with self.lock:
            self._tracked += 1
            self._dropped["invalid"] = self._dropped.get("invalid", 0) + 1

    # Called by the sender.

    def take(self) -> None:
        """Moves the oldest events, one batch at most, from the queue into flight."""
        with self.lock:
            self.crowded = False
            group = [self.waiting.popleft() for _ in range(min(MAX_BATCH, len(self.waiting)))]
            if group:
                self.flight.append(group)
                self.in_flight += len(group)

    def deliver(self, noted: Dict[str, int]) -> int:
        """The group in flight is delivered; returns its size, and adds what the answer noted to the books."""
        with self.lock:
            if self.taken_over:
                return 0
            group = self._landed()
            self._delivered += len(group)
            for word, count in noted.items():
                self.noted[word] += count
            self._settle()
            return len(group)

    def refuse(self, code: str, places: Optional[Iterable[int]] = None) -> List[bytes]:
        """Events of the group in flight (all, or those at `places`) are refused; the others stay in flight."""
        with self.lock:
            if self.taken_over:
                return []
            group = self._landed()
            named = set(range(len(group)) if places is None else places)
            refused = [entry for place, entry in enumerate(group) if place in named]
            kept = [entry for place, entry in enumerate(group) if place not in named]
            if kept:
                self._relaunch(kept)
            self._refused[code] = self._refused.get(code, 0) + len(refused)
            self._fail_flushes(refused)
            self._settle()
            return [entry.line for entry in refused]

    def halve(self) -> bool:
        """The group in flight becomes two; the first is sent next and is the larger. False for a single event."""
        with self.lock:
            if self.taken_over or len(self.flight[0]) == 1:
                return False
            group = self._landed()
            half = (len(group) + 1) // 2
            self._relaunch(group[half:])
            self._relaunch(group[:half])
            return True

    def withdraw(self, older_than: float) -> List[bytes]:
        """Takes events that arrived by then out of memory; `put_by` or `drop` says where they go. They count as waiting meanwhile."""
        with self.lock:
            if self.taken_over:
                return []
            return self._withdraw(older_than)

    def withdraw_all(self) -> List[bytes]:
        """The same with everything in memory, for the end: from here on the sender's answers count no more."""
        with self.lock:
            if self.taken_over:
                return []
            self.taken_over = True
            return self._withdraw(float("inf"))

    def _withdraw(self, older_than: float) -> List[bytes]:
        old: List[Entry] = []
        for _ in range(len(self.flight)):
            group = self._landed()
            old += [entry for entry in group if entry.at <= older_than]
            young = [entry for entry in group if entry.at > older_than]
            if young:
                self.flight.append(young)
                self.in_flight += len(young)
        while self.waiting and self.waiting[0].at <= older_than:
            old.append(self.waiting.popleft())
        self._moving += len(old)
        self._fail_flushes(old)
        self._settle()
        return [entry.line for entry in old]

    def put_by(self, count: int) -> None:
        """So many withdrawn events are in the spool now."""
        with self.lock:
            self._moving -= count
            self.spooled += count

    def drop(self, lines: List[bytes], reason: str) -> None:
        """These withdrawn events are dropped."""
        with self.lock:
            self._moving -= len(lines)
            for line in lines:
                self._lose(line, reason)

    def drop_spooled(self, lines: List[bytes], count: int, reason: str) -> None:
        """So many events of the spool are gone; `lines` are those that could still be read."""
        with self.lock:
            self.spooled -= count
            self._dropped[reason] = self._dropped.get(reason, 0) + count
            if self.keep_lost:
                self.lost.extend((line, reason) for line in lines)

    def recover(self, count: int) -> None:
        """So many events of a process that is gone were found in the spool."""
        with self.lock:
            self._tracked += count
            self._recovered += count
            self.spooled += count

    def recall(self, lines: List[bytes], now: float) -> None:
        """Events of the spool go into flight."""
        with self.lock:
            if self.taken_over or not lines:
                return
            self.spooled -= len(lines)
            group = [Entry(self._arrived + 1 + place, now, line) for place, line in enumerate(lines)]
            self._arrived += len(group)
            self.flight.append(group)
            self.in_flight += len(group)

    # Called by anybody.

    def flush(self) -> Flush:
        with self.lock:
            flush = Flush(self._arrived)
            self.flushes.append(flush)
            self._settle()
            self.changed.notify()
            return flush

    def end_flushes(self) -> None:
        """No answer will come soon: whoever waits is told so."""
        with self.lock:
            for flush in self.flushes:
                flush.done.set_result(False)
            self.flushes.clear()

    def give_up(self, flush: Flush) -> None:
        """Whoever waited does not wait any longer."""
        with self.lock:
            if flush in self.flushes:
                self.flushes.remove(flush)
                flush.done.set_result(False)

    def in_memory(self) -> int:
        return len(self.waiting) + self.in_flight

    def oldest_at(self) -> Optional[float]:
        """When the event arrived that has been in memory for longest."""
        with self.lock:
            times = [group[0].at for group in self.flight]
            if self.waiting:
                times.append(self.waiting[0].at)
            return min(times, default=None)

    def books(self, state: str) -> Books:
        with self.lock:
            return Books(
                tracked=self._tracked,
                delivered=self._delivered,
                refused=dict(self._refused),
                dropped=dict(self._dropped),
                waiting=self.in_memory() + self._moving + self.spooled,
                recovered=self._recovered,
                cut=dict(self._cut),
                requests=self.requests,
                retries=self.retries,
                state=state,
                **self.noted,
            )

    # With the lock held.

    def _lose(self, line: bytes, reason: str) -> None:
        self._dropped[reason] = self._dropped.get(reason, 0) + 1
        if self.keep_lost:
            self.lost.append((line, reason))

    def _landed(self) -> List[Entry]:
        group = self.flight.popleft()
        self.in_flight -= len(group)
        return group

    def _relaunch(self, group: List[Entry]) -> None:
        self.flight.appendleft(group)
        self.in_flight += len(group)

    def _fail_flushes(self, entries: List[Entry]) -> None:
        for flush in self.flushes:
            if any(entry.number <= flush.last for entry in entries):
                flush.all_delivered = False

    def _settle(self) -> None:
        """Events left memory: tells those who waited for that, and for room."""
        self._room.notify_all()
        if not self.flushes:
            return
        numbers = [group[0].number for group in self.flight]
        if self.waiting:
            numbers.append(self.waiting[0].number)
        first = min(numbers, default=self._arrived + 1)
        for flush in [flush for flush in self.flushes if flush.last < first]:
            self.flushes.remove(flush)
            flush.done.set_result(flush.all_delivered)
