"""The sender: a thread that takes events off the buffer and gets them to the server, or says what became of them."""

import gzip
import threading
import time
from random import Random
from typing import Callable, Dict, List, Optional, Set

from . import answer as answers
from . import lifetime
from .backoff import wait_s
from .books import Books
from .buffer import MAX_BATCH, Buffer, Flush
from .credentials import Credentials
from .event import batch_body
from .settings import Settings
from .spool import Recalled, Spool
from .transport import Connection, NoAnswer

CIRCUIT_FAILURES = 5
PAUSE_S = 60.0
LOOK_AROUND_S = 60.0
_AFTER_FAULT_S = 1.0


class Told:
    """What the sender tells as it happens. Called in whichever thread it happens; must not raise."""

    def __init__(
        self,
        delivered: Callable[[int], None],
        refused: Callable[[List[bytes], str], None],
        dropped: Callable[[List[bytes], str], None],
        warning: Callable[[str], None],
    ) -> None:
        self.delivered = delivered
        self.refused = refused
        self.dropped = dropped
        self.warning = warning


class Delivery:
    """The delivery machine of one process: a buffer, a spool if one is set, one connection, one thread."""

    def __init__(self, settings: Settings, credentials: Credentials, told: Told) -> None:
        self._settings = settings
        self._credentials = credentials
        self._told = told
        self._random = Random()
        self.buffer = Buffer(settings.max_buffer, settings.when_full, settings.flush_at)
        self._connection = Connection(settings.url, settings.ssl_context)
        self._spool: Optional[Spool] = None
        self._recalled: Optional[Recalled] = None
        self._look_around_at = 0.0

        self._gzip = settings.gzip_above is not None
        self._failures = 0
        self._paused: Optional[str] = None  # why, while it is
        self._next_try = 0.0
        self._repeats = False
        self._flush_to = 0
        self._deadline: Optional[float] = None
        self._warned: Set[str] = set()

        self._starting = threading.Lock()
        self._thread: Optional[threading.Thread] = None
        self.running = False

    def open_spool(self) -> None:
        """Raises `OSError`."""
        if self._settings.spool_dir is not None and self._spool is None:
            self._spool = Spool(self._settings.spool_dir, self._settings.max_spool_bytes)

    def start(self) -> None:
        """Starts the thread, unless it runs. A process that may not have another thread keeps its events and tries again later."""
        if self.running or not self._starting.acquire(blocking=False):
            return
        try:
            if not self.running and self._deadline is None:
                self._open_spool_or_warn()
                lifetime.thread_starts()
                self._thread = threading.Thread(target=self._run, name="repute-delivery", daemon=True)
                self.running = True
                self._thread.start()
        except RuntimeError as error:
            self.running = False
            self._warn_once("thread", f"no thread to deliver events with: {error}")
        finally:
            self._starting.release()

    def may_wait(self) -> bool:
        """Whether the calling thread may wait for room: somebody else must be there to make it."""
        return self.running and threading.current_thread() is not self._thread

    def books(self) -> Books:
        return self.buffer.books(self.state)

    @property
    def state(self) -> str:
        if self.buffer.closed:
            return "closed"
        if self._paused:
            return "paused"
        if self._failures >= CIRCUIT_FAILURES:
            return "open"
        return "backoff" if self._failures else "ready"

    def flush(self) -> Flush:
        """Sends what memory holds now. The flush is done when that has left memory, or no answer will come soon."""
        with self.buffer.lock:
            flush = self.buffer.flush()
            self._flush_to = max(self._flush_to, flush.last)
            if self._paused:
                self.buffer.end_flushes()
        if not flush.done.done():
            self.start()
        return flush

    def try_now(self) -> None:
        """The key was changed: what waited for that waits no longer."""
        with self.buffer.lock:
            if self._paused:
                self._paused = None
                self._next_try = 0.0
            self.buffer.changed.notify()

    def close(self, timeout_s: float) -> float:
        """Takes no more events, and drains until the time is over, by the monotonic clock: when that is."""
        with self.buffer.lock:
            if self._deadline is None:
                self._deadline = time.monotonic() + timeout_s
                self.buffer.closed = True
            self.buffer.changed.notify()
            return self._deadline

    def shutdown(self, timeout_s: float) -> bool:
        """Closes, waits for the end, and spools or drops the rest. Whether nothing had to be dropped."""
        deadline = self.close(timeout_s)
        thread = self._thread if self.running else None
        if thread is None:
            self._run()  # no thread ran, or none may be started so late in the process: this one does its work
        elif thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()))
        return self._end()

    def forget(self) -> None:
        """In the child of a fork: lets go of what belongs to the parent."""
        self._connection.close()
        if self._spool is not None:
            self._spool.forget()

    def _end(self) -> bool:
        left = self.buffer.withdraw_all()
        if left:
            self._open_spool_or_warn()
        kept = self._put_by(left, "shutdown")
        self.buffer.end_flushes()
        if self._spool is not None:
            if self._recalled is not None:
                self._spool.settle(self._recalled)
            self._spool.close()
        self.tell_lost()
        return kept == len(left)

    def _open_spool_or_warn(self) -> None:
        try:
            self.open_spool()
        except OSError as error:
            self._warn_once("spool", f"the spool cannot be opened: {type(error).__name__}: {error}")

    # The thread.

    def _run(self) -> None:
        try:
            while (step := self._next_step()) is not None:
                try:
                    step()
                except Exception as error:  # a fault of ours must not end deliveries; nor may it be repeated at full speed
                    self._warn_once("fault", f"a fault in the client: {type(error).__name__}: {error}")
                    time.sleep(_AFTER_FAULT_S)
        finally:
            self.running = False
            self._connection.close()

    def _next_step(self) -> Optional[Callable[[], None]]:
        """Waits until there is something to do, and says what; `None` when nothing will be any more."""
        buffer, settings = self.buffer, self._settings
        with buffer.lock:
            while True:
                now = time.monotonic()
                closing = self._deadline is not None
                if buffer.taken_over:
                    return None
                if self._deadline is not None and (not buffer.in_memory() or max(now, self._next_try) >= self._deadline):
                    return None
                oldest = buffer.oldest_at()
                if oldest is not None and oldest + settings.max_age <= now:
                    return self._age
                if self._spool is not None and not closing and now >= self._look_around_at:
                    return self._look_around
                recallable = self._spool is not None and not closing and self._spool.recallable()
                due_at = self._due_at()
                if now >= self._next_try:
                    if due_at <= now:
                        return self._send
                    if recallable:
                        return self._recall
                wake_at = [max(due_at, self._next_try)]
                if recallable:
                    wake_at.append(self._next_try)
                if oldest is not None:
                    wake_at.append(oldest + settings.max_age)
                if self._spool is not None and not closing:
                    wake_at.append(self._look_around_at)
                if self._deadline is not None:
                    wake_at.append(self._deadline)
                wait = min(wake_at) - now
                buffer.changed.wait(min(wait, threading.TIMEOUT_MAX) if wait < float("inf") else None)

    def _due_at(self) -> float:
        """When what memory holds is to be sent, if it may be."""
        buffer = self.buffer
        if buffer.flight or len(buffer.waiting) >= self._settings.flush_at:
            return 0.0
        if not buffer.waiting:
            return float("inf")
        if self._deadline is not None or buffer.crowded or buffer.waiting[0].number <= self._flush_to:
            return 0.0
        return buffer.waiting[0].at + self._settings.flush_interval

    def _send(self) -> None:
        """One request, and what its answer means."""
        with self.buffer.lock:
            if not self.buffer.flight:
                self.buffer.take()
                self._repeats = False
            if not self.buffer.flight:
                return
            lines = [entry.line for entry in self.buffer.flight[0]]
            self.buffer.requests += 1
            self.buffer.retries += self._repeats
        body = batch_body(lines)
        above = self._settings.gzip_above
        gzipped = self._gzip and above is not None and len(body) > above
        headers = {"Content-Type": "application/json"}
        if gzipped:
            body = gzip.compress(body, mtime=0)
            headers["Content-Encoding"] = "gzip"
        headers.update(self._credentials.headers(body))
        timeout_s = self._settings.request_timeout
        if self._deadline is not None:
            timeout_s = min(timeout_s, max(0.001, self._deadline - time.monotonic()))
        try:
            got = self._connection.request("POST", "/v1/ingest", headers, body, timeout_s)
            meaning = answers.meaning(got.status, got.headers, got.body, len(lines), gzipped)
        except NoAnswer as error:
            meaning = answers.TryAgain(str(error))
        self._apply(meaning)
        self._settle_recalled()

    def _apply(self, meaning: answers.Meaning) -> None:
        buffer = self.buffer
        self._repeats = isinstance(meaning, answers.TryAgain)
        if isinstance(meaning, answers.TryAgain):
            with buffer.lock:
                self._failures += 1
                wait = wait_s(self._failures, self._settings.retry_base, self._settings.retry_max, self._random)
                self._next_try = time.monotonic() + (meaning.after_s or wait)
            if self._failures == CIRCUIT_FAILURES:
                failed = f"{CIRCUIT_FAILURES} requests in a row failed at {self._settings.url}"
                self._told.warning(f"open: {failed}: {meaning.why}; events wait while this process lives")
            return
        if isinstance(meaning, answers.Paused):
            why = self._why_paused(meaning)
            with buffer.lock:
                news = self._paused != why
                self._failures = 0
                self._paused = why
                self._next_try = time.monotonic() + PAUSE_S
                buffer.end_flushes()
            if news:
                self._told.warning(f"paused: {why}; events wait while this process lives, and it is tried again each minute")
            return
        with buffer.lock:
            self._failures = 0
            self._paused = None
            self._next_try = 0.0
        if isinstance(meaning, answers.Delivered):
            count = buffer.deliver(meaning.noted)
            for word in meaning.noted:
                self._warn_once(word, _NOTED[word])
            if count:
                self._told.delivered(count)
        elif isinstance(meaning, answers.Unpacked):
            self._gzip = False
            self._told.warning("the server does not read gzip: bodies are sent as they are from now on")
        elif not isinstance(meaning, answers.TooLarge) or not buffer.halve():
            places = meaning.places if isinstance(meaning, answers.Refused) else None
            lines = buffer.refuse(meaning.code, places)
            if isinstance(meaning, answers.Refused) and meaning.redirected:
                self._warn_once("url", f"the server's address is wrong: the url leads elsewhere ({meaning.code}), and keys are not sent on")
            if lines:
                self._told.refused(lines, meaning.code)

    def _why_paused(self, meaning: answers.Paused) -> str:
        if meaning.status in answers.ELSEWHERE:
            return f"it is no Repute at {self._settings.url}: HTTP {meaning.status}"
        if meaning.code == "hmac_missing":
            return f"the organisation requires signatures ({meaning.code}): set secret_key, and sign_time if their time is required, too"
        return f"the server refuses the key ({meaning.code})"

    def _age(self) -> None:
        """What is too old leaves memory. To the spool goes also what is half as old: so its files are few."""
        age = self._settings.max_age if self._spool is None else self._settings.max_age / 2
        self._put_by(self.buffer.withdraw(time.monotonic() - age), "too_old")
        self._settle_recalled()
        self.tell_lost()

    def _look_around(self) -> None:
        assert self._spool is not None
        self._look_around_at = time.monotonic() + LOOK_AROUND_S
        try:
            found = self._spool.look_around()
        except OSError as error:
            self._warn_once("spool", f"the spool cannot be read: {type(error).__name__}: {error}")
            return
        self.buffer.recover(found.events)
        for name in found.bad:
            self._told.warning(f"a file of the spool cannot be read and is set aside: {name}.bad")

    def _recall(self) -> None:
        assert self._spool is not None
        recalled, lost = self._spool.recall(MAX_BATCH)
        if lost:
            self.buffer.drop_spooled([], lost, "too_old")
            self._told.warning(f"files of the spool are gone or cannot be read; {lost} events are lost")
        if recalled is not None:
            self._recalled = recalled
            self.buffer.recall(recalled.lines, time.monotonic())

    def _put_by(self, lines: List[bytes], reason: str) -> int:
        """Withdrawn events go to the spool, or are dropped for the reason; how many were kept."""
        if self._spool is None:
            self.buffer.drop(lines, reason)
            return 0
        written = self._spool.write(lines)
        if written.evicted_count:
            self.buffer.drop_spooled(written.evicted, written.evicted_count, "spool_full")
        self.buffer.put_by(written.kept)
        if written.error is not None:
            self._warn_once("spool", f"the spool cannot be written: {written.error}")
            self.buffer.drop(lines[written.kept :], reason)
        else:
            self.buffer.drop(lines[written.kept :], "spool_full")
        return written.kept

    def _settle_recalled(self) -> None:
        """Where all that was read from the spool has left memory, its file may go."""
        if self._recalled is not None and self._spool is not None:
            with self.buffer.lock:
                settled = not self.buffer.flight and not self.buffer.taken_over
            if settled:
                self._spool.settle(self._recalled)
                self._recalled = None

    def tell_lost(self) -> None:
        lost: Dict[str, List[bytes]] = {}
        while self.buffer.lost:
            try:
                line, reason = self.buffer.lost.popleft()
            except IndexError:
                break  # another thread tells of it
            lost.setdefault(reason, []).append(line)
        for reason, lines in lost.items():
            self._told.dropped(lines, reason)

    def _warn_once(self, word: str, text: str) -> None:
        if word not in self._warned:
            self._warned.add(word)
            self._told.warning(text)


_NOTED = {
    "duplicates": "the server had some events already (duplicates): they count once",
    "late": "some events came late, after 500 newer ones of their agent: they are listed but change no score",
    "clamped": "some events are from the future and were clamped to the time of receipt: is the clock right?",
}
