"""The client for event loops: the same calls, and a loop that goes on meanwhile."""

import asyncio
import time
from typing import Any, Awaitable, Callable, Dict, List, TypeVar

import pytest
import script
from conftest import KEY
from real_server import PUBLISHABLE, RealServer
from scripted_server import ScriptedServer

import repute

T = TypeVar("T")


async def longest_pause_while(work: Callable[[], Awaitable[T]]) -> float:
    """How long the loop was not there for others, in seconds."""
    longest, over = 0.0, False

    async def watch() -> None:
        nonlocal longest
        while not over:
            began = time.monotonic()
            await asyncio.sleep(0.001)
            longest = max(longest, time.monotonic() - began)

    watcher = asyncio.create_task(watch())
    await asyncio.sleep(0.01)
    await work()
    over = True
    await watcher
    return longest


def test_everything_that_can_be_asked(shared_server: RealServer) -> None:
    async def ask() -> None:
        async with repute.AsyncClient(shared_server.url, PUBLISHABLE) as client:
            for _ in range(250):
                client.track("a", True, timestamp="2026-05-07T14:22:10.000Z")
            assert await client.flush()
            assert (await client.whoami()).organisation == "default"
            events = [event async for event in client.events(agent_id="a")]
            assert len({event.id for event in events}) == 250
            assert await client.event(events[0].id) == events[0]
            assert (await client.reputation("a")).evaluations == 250
            assert [one.evaluations for one in await client.reputations(["a", "nobody"])] == [250, 0]
            await client.register_agent("b")
            assert {agent.agent_id async for agent in client.agents(reputation=True)} == {"a", "b"}
            sent = {"agent_id": "c", "passed": True, "gates": [], "total_latency_ms": 1}
            assert (await client.ingest([sent])).accepted == 1
            with pytest.raises(repute.InvalidRequest):
                await client.ingest([{**sent, "agent_id": ""}])
            assert client.books().balance
        client.track("a", True)
        assert client.books().dropped == {"closed": 1}

    asyncio.run(ask())


def test_evaluate_is_awaited() -> None:
    answer: Dict[str, Any] = {"evaluation_id": "x", "passed": True, "gates": [], "total_latency_ms": 1}
    answer["reputation"] = {"score": 650, "lifecycle": "calibrating", "eval_count": 1}

    async def ask() -> repute.Evaluated:
        async with repute.AsyncClient(server.url, KEY) as client:
            return await client.evaluate("a", {"text": "hello"}, evaluation_id="x")

    with ScriptedServer([{"status": 200, "body": answer}]) as server:
        assert asyncio.run(ask()).passed
    assert server.sent[0].json == {"agent_id": "a", "output": {"text": "hello"}, "evaluation_id": "x"}


def test_the_loop_goes_on_while_a_silent_server_is_waited_for() -> None:
    async def wait() -> float:
        client = repute.AsyncClient(server.url, KEY, request_timeout=1.5, retry_base=0)
        client.track("a", True)

        async def work() -> None:
            flush, asked = await asyncio.gather(client.flush(1.6), client.whoami(), return_exceptions=True)
            assert flush is False
            assert isinstance(asked, repute.NetworkError)
            assert not await client.shutdown(0.2)

        return await longest_pause_while(work)

    with ScriptedServer(["silence"] * 100) as server:
        assert asyncio.run(wait()) < 1.2


def test_a_flush_may_be_cancelled_and_another_one_made() -> None:
    async def both() -> bool:
        client = repute.AsyncClient(server.url, KEY, request_timeout=0.3, retry_base=0, retry_max=0)
        client.track("a", True)
        first = asyncio.create_task(client.flush())
        await asyncio.sleep(0.05)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert not client._delivery.buffer.flushes
        delivered = await client.flush()
        await client.shutdown()
        return delivered

    with ScriptedServer(["silence", {"status": 202}]) as server:
        assert asyncio.run(both())


def test_a_client_outlives_its_loop_and_the_program_delivers_at_its_end(server: RealServer) -> None:
    script.lines(
        f"""
        import asyncio, repute
        client = repute.AsyncClient({server.url!r}, {PUBLISHABLE!r}, flush_interval=3600)
        async def work():
            client.track("a", True)
            await client.whoami()
        asyncio.run(work())
        asyncio.run(work())
        """
    )
    with repute.Client(server.url, PUBLISHABLE) as client:
        assert client.reputation("a").evaluations == 2


def test_the_child_of_a_fork_may_ask(server: RealServer) -> None:
    printed: List[str] = script.lines(
        f"""
        import asyncio, os, repute
        client = repute.AsyncClient({server.url!r}, {PUBLISHABLE!r})
        asyncio.run(client.whoami())
        pid = os.fork()
        if pid == 0:
            print(asyncio.run(client.whoami()).organisation, flush=True)
            client.track("child", True)
            os._exit(0 if asyncio.run(client.flush()) else 1)
        print(os.waitpid(pid, 0)[1])
        """
    )
    assert printed == ["default", "0"]
