"""The client for programs with an event loop.

It has the same sender as the other one, a thread, so `track` is the same call, deliveries go on while the loop is busy, and the end of
the process drains after the loop is gone. What waits is awaited: the sender completes a future, and the typed calls run in a few threads.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, AsyncIterator, Callable, Iterable, List, Mapping, Optional, Type, TypeVar

from . import model
from .calls import Calls, Time
from .client import FLUSH_TIMEOUT_S
from .telemetry import Telemetry

MAX_CALLS_AT_ONCE = 8
T = TypeVar("T")


class AsyncClient(Telemetry):
    """Takes verdicts (`track`, which is not awaited) and asks questions. One for the whole process, for any event loop in it.

    As an async context manager it is shut down at the end of the block.
    """

    _may_block = False
    _threads: Optional[ThreadPoolExecutor] = None

    async def flush(self, timeout: float = FLUSH_TIMEOUT_S) -> bool:
        """Sends what is waiting now and waits for the answers. Whether all of it was delivered within the time (seconds)."""
        flush = self._delivery.flush()
        try:
            return await asyncio.wait_for(asyncio.wrap_future(flush.done), timeout)
        except asyncio.TimeoutError:
            return False
        finally:
            self._delivery.buffer.give_up(flush)

    async def shutdown(self, timeout: Optional[float] = None) -> bool:
        """Takes no more events, and drains within the time (`shutdown_timeout`). What is left is spooled, or dropped: then false."""
        kept = await self._in_thread(self._delivery.shutdown, self._settings.shutdown_timeout if timeout is None else timeout)
        self._caller.close()
        if self._threads is not None:
            self._threads.shutdown(wait=False)
            self._threads = None
        return kept

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        await self.shutdown()

    async def evaluate(
        self,
        agent_id: str,
        output: object,
        *,
        tool: Optional[str] = None,
        input: object = None,
        latency_ms: Optional[float] = None,
        evaluation_id: Optional[str] = None,
    ) -> model.Evaluated:
        """Has the server's gates judge an output, and records the verdict. Once, however often it is tried."""
        asked = {"tool": tool, "input": input, "latency_ms": latency_ms, "evaluation_id": evaluation_id}
        return await self._in_thread(self._calls.evaluate, agent_id, output, **asked)

    async def events(
        self,
        *,
        agent_id: Optional[str] = None,
        passed: Optional[bool] = None,
        since: Optional[Time] = None,
        until: Optional[Time] = None,
        tool: Optional[str] = None,
        failed_gate: Optional[str] = None,
        evaluation_id: Optional[str] = None,
    ) -> AsyncIterator[model.RecordedEvent]:
        """All events that match, newest first, page by page as they are taken. Events that arrive meanwhile do not shift them."""
        cursor: Optional[str] = None
        while True:
            asked = (cursor, agent_id, passed, since, until, tool, failed_gate, evaluation_id)
            page, cursor = await self._in_thread(self._calls.events_page, *asked)
            for event in page:
                yield event
            if cursor is None:
                return

    async def event(self, id: str) -> model.RecordedEvent:
        return await self._in_thread(self._calls.event, id)

    async def reputation(self, agent_id: str) -> model.Reputation:
        """An agent never seen has zeros and the status `new`. Raises `ValueError` for an empty id."""
        return await self._in_thread(self._calls.reputation, agent_id)

    async def reputations(self, agent_ids: Iterable[str]) -> List[model.Reputation]:
        """Of 1 to 100 agents, in the order asked."""
        return await self._in_thread(self._calls.reputations, list(agent_ids))

    async def agents(self, *, order: str = "last_seen", reputation: bool = False) -> AsyncIterator[model.Agent]:
        """All agents; `order` is `last_seen` (newest first) or `agent_id`. `reputation` adds `score` and `status`."""
        cursor: Optional[str] = None
        while True:
            page, cursor = await self._in_thread(self._calls.agents_page, cursor, order, reputation)
            for agent in page:
                yield agent
            if cursor is None:
                return

    async def register_agent(self, agent_id: str) -> None:
        """Makes an agent known before its first event. Changes nothing where it is known."""
        await self._in_thread(self._calls.register_agent, agent_id)

    async def whoami(self) -> model.Whoami:
        return await self._in_thread(self._calls.whoami)

    async def ingest(self, events: Iterable[Mapping[str, object]], *, lenient: bool = False) -> model.Ingested:
        """Sends 1 to 100 events as they are, once, and returns when they are durable. `track` is what most want."""
        return await self._in_thread(self._calls.ingest, list(events), lenient=lenient)

    def reborn(self) -> None:
        super().reborn()
        self._threads = None

    @property
    def _calls(self) -> Calls:
        return Calls(self._caller)

    async def _in_thread(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(MAX_CALLS_AT_ONCE, thread_name_prefix="repute-call")
        return await asyncio.wrap_future(self._threads.submit(call, *args, **kwargs))
