"""`track` and all around it that does not depend on how the caller waits: what both clients share."""

import json
import logging
import random
import ssl
import time
from datetime import datetime
from typing import Any, Callable, Dict, List, Optional, Sequence, Union

from . import lifetime
from .books import Books
from .caller import Caller
from .credentials import Credentials
from .delivery import Delivery, Told
from .evaluation import Evaluation
from .event import Gate, event_line
from .settings import DEFAULT_URL, SettingError, Settings, checked_api_key, from_environment

Event = Dict[str, Any]
"""An event as it was to be sent; for the reason `invalid`, as it was given."""


class Telemetry:
    """Takes verdicts and gets them to the server in the background. Use `Client` or `AsyncClient`."""

    _may_block = True

    def __init__(
        self,
        url: Optional[str] = None,
        api_key: Optional[str] = None,
        *,
        secret_key: Optional[str] = None,
        sign_time: bool = False,
        agent_id: Optional[str] = None,
        sample_rate: float = 1.0,
        flush_interval: float = 5.0,
        flush_at: int = 100,
        max_buffer: int = 10_000,
        when_full: str = "drop_newest",
        gzip_above: Optional[int] = 1_024,
        request_timeout: float = 10.0,
        retry_base: float = 0.25,
        retry_max: float = 30.0,
        max_age: float = 3_600.0,
        spool_dir: Optional[str] = None,
        max_spool_bytes: int = 64 * 1024 * 1024,
        shutdown_timeout: float = 5.0,
        ssl_context: Optional[ssl.SSLContext] = None,
        on_delivered: Optional[Callable[[int], None]] = None,
        on_refused: Optional[Callable[[List[Event], str], None]] = None,
        on_dropped: Optional[Callable[[List[Event], str], None]] = None,
        on_warning: Optional[Callable[[str], None]] = None,
    ) -> None:
        """Raises `SettingError`. `sdk/README.md` says what each setting does; times are seconds.

        The callbacks run in the thread where the thing happens: the sender's, or, for events dropped as they are tracked, the caller's.
        Without `on_warning`, warnings go to the logger `repute`.
        """
        if when_full == "block" and not self._may_block:
            raise SettingError("when_full", "must not be block where an event loop would be blocked")
        self._settings = Settings(
            url=from_environment(url, "REPUTE_URL") or DEFAULT_URL,
            api_key=checked_api_key(from_environment(api_key, "REPUTE_API_KEY")),
            secret_key=from_environment(secret_key, "REPUTE_SECRET_KEY"),
            sign_time=sign_time,
            agent_id=agent_id,
            sample_rate=sample_rate,
            flush_interval=flush_interval,
            flush_at=flush_at,
            max_buffer=max_buffer,
            when_full=when_full,
            gzip_above=gzip_above,
            request_timeout=request_timeout,
            retry_base=retry_base,
            retry_max=retry_max,
            max_age=max_age,
            spool_dir=spool_dir,
            max_spool_bytes=max_spool_bytes,
            shutdown_timeout=shutdown_timeout,
            ssl_context=ssl_context,
        )
        self._credentials = Credentials(self._settings.api_key, self._settings.secret_key, sign_time)
        self._caller = Caller(self._settings, self._credentials)
        self._on_delivered = on_delivered
        self._on_refused = on_refused
        self._on_dropped = on_dropped
        self._on_warning = on_warning if on_warning is not None else logging.getLogger("repute").warning
        self._delivery = self._new_delivery()
        if spool_dir is not None:
            try:
                self._delivery.open_spool()
            except OSError as error:
                raise SettingError("spool_dir", f"cannot be used: {error}") from error
            self._delivery.start()
        lifetime.watch(self)

    def track(
        self,
        agent_id: Optional[str] = None,
        passed: Optional[bool] = None,
        gates: Sequence[Gate] = (),
        total_latency_ms: Optional[float] = None,
        tool: Optional[str] = None,
        timestamp: Union[str, datetime, None] = None,
        evaluation_id: Optional[str] = None,
        **not_sent: object,
    ) -> None:
        """Takes one verdict. Does no I/O, never raises, and never waits (unless `when_full="block"` was asked for).

        Anything beyond these fields is left where it is: inputs, outputs and details never leave the process.
        """
        delivery = self._delivery
        buffer = delivery.buffer
        try:
            if passed and self._settings.sample_rate < 1 and random.random() >= self._settings.sample_rate:
                return
            agent = self._settings.agent_id if agent_id is None or agent_id == "" else agent_id
            line, cuts = event_line(agent, passed, gates, total_latency_ms, tool, timestamp, evaluation_id)
        except Exception:
            buffer.count_invalid()
            if self._on_dropped is not None:
                given: Event = {"agent_id": agent_id, "passed": passed, "gates": gates, "total_latency_ms": total_latency_ms}
                given.update(tool=tool, timestamp=timestamp, evaluation_id=evaluation_id)
                _tell(self._on_dropped, [given], "invalid")
            return
        if cuts:
            buffer.count_cuts(cuts)
        buffer.add(line, time.monotonic(), delivery.may_wait)
        if not delivery.running:
            delivery.start()
        if buffer.lost:
            delivery.tell_lost()

    def evaluation(self, agent_id: Optional[str] = None, tool: Optional[str] = None, evaluation_id: Optional[str] = None) -> Evaluation:
        """A context manager (or a decorator) that times checks and tracks their verdict. See `Evaluation`."""
        return Evaluation(self.track, agent_id, tool, evaluation_id)

    def books(self) -> Books:
        """Where every tracked event is, now."""
        return self._delivery.books()

    def set_api_key(self, api_key: str, secret_key: Optional[str] = None) -> None:
        """Goes on with another key, at once if the server refused the old one. Raises `SettingError`."""
        self._credentials.change(api_key, secret_key)
        self._delivery.try_now()

    # For `lifetime`.

    def close_at_exit(self) -> None:
        self._delivery.close(self._settings.shutdown_timeout)

    def end_at_exit(self) -> None:
        self._delivery.shutdown(self._settings.shutdown_timeout)

    def reborn(self) -> None:
        closed = self._delivery.buffer.closed
        self._delivery.forget()
        self._caller.forget()
        self._delivery = self._new_delivery()
        if closed:
            self._delivery.close(0)

    def _new_delivery(self) -> Delivery:
        told = Told(
            delivered=lambda count: _tell(self._on_delivered, count),
            refused=lambda lines, code: _tell_events(self._on_refused, lines, code),
            dropped=lambda lines, reason: _tell_events(self._on_dropped, lines, reason),
            warning=lambda text: _tell(self._on_warning, text),
        )
        delivery = Delivery(self._settings, self._credentials, told)
        delivery.buffer.keep_lost = self._on_dropped is not None
        return delivery


def _tell_events(callback: Optional[Callable[[List[Event], str], None]], lines: List[bytes], why: str) -> None:
    if callback is not None:
        _tell(callback, [json.loads(line) for line in lines], why)


def _tell(callback: Optional[Callable[..., None]], *what: object) -> None:
    """An exception of a callback is nobody's: neither the sender's nor the caller's of `track`."""
    if callback is not None:
        try:
            callback(*what)
        except Exception:
            pass
