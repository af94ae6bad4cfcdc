"""The client for programs with threads."""

from concurrent.futures import TimeoutError as FutureTimeout
from types import TracebackType
from typing import Optional, Type

from .calls import Calls
from .telemetry import Telemetry

FLUSH_TIMEOUT_S = 10.0


class Client(Telemetry, Calls):
    """Takes verdicts (`track`) and asks questions. One for the whole process; any thread may use it.

    As a context manager it is shut down at the end of the block.
    """

    def flush(self, timeout: float = FLUSH_TIMEOUT_S) -> bool:
        """Sends what is waiting now and waits for the answers. Whether all of it was delivered within the time (seconds)."""
        flush = self._delivery.flush()
        try:
            return flush.done.result(timeout)
        except FutureTimeout:
            self._delivery.buffer.give_up(flush)
            return False

    def shutdown(self, timeout: Optional[float] = None) -> bool:
        """Takes no more events, and drains within the time (`shutdown_timeout`). What is left is spooled, or dropped: then false."""
        kept = self._delivery.shutdown(self._settings.shutdown_timeout if timeout is None else timeout)
        self._caller.close()
        return kept

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.shutdown()
