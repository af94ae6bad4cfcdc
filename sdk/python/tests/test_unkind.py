"""100,000 events through a bad network, the server killed and started again meanwhile: each is delivered exactly once."""

import asyncio
import threading
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest
from bad_network import BadNetwork
from real_server import PUBLISHABLE, RealServer

import repute

EVENTS = 100_000
AGENTS = 8
KILLS = 3
TIMEOUT_S = 150
"""Where something hangs. It takes some 20 seconds."""
FAULTS = {
    "delay": 0.02,
    "refuse": 0.02,
    "cut-request": 0.02,
    "lose-answer": 0.03,
    "cut-answer": 0.03,
    "throttle": 0.005,
    "unavailable": 0.005,
    "duplicate": 0.03,
    "replay": 0.03,
    "hang": 0.003,
}
GATES = [{"name": "price", "passed": True, "latency_ms": 0.25}]


class Run:
    """A server behind a bad network, and what the client was told."""

    def __init__(self, data_dir: Path) -> None:
        self.server = RealServer(data_dir).start()
        flags = [f"--{fault}={chance}" for fault, chance in FAULTS.items()]
        self.network = BadNetwork(self.server.address, "--seed=6", "--delay-ms=20", "--hang-ms=1500", *flags)
        self.delivered = 0
        self.over = False
        self.trouble: List[Tuple[str, Any]] = []

    def settings(self) -> Dict[str, Any]:
        return {
            "url": self.network.url,
            "api_key": PUBLISHABLE,
            "max_buffer": EVENTS,
            "retry_base": 0.01,
            "retry_max": 0.2,
            "request_timeout": 1.0,
            "on_delivered": self._count,
            "on_refused": lambda events, code: self.trouble.append((code, events)),
            "on_dropped": lambda events, reason: self.trouble.append((reason, events)),
        }

    def _count(self, count: int) -> None:
        self.delivered += count

    def kill_and_restart(self) -> None:
        """Whenever another part of the events was delivered."""
        for part in range(1, KILLS + 1):
            while self.delivered < EVENTS * part // (KILLS + 1):
                time.sleep(0.01)
                if self.over:
                    return
            self.server.kill()
            time.sleep(0.3)
            self.server.start()

    def check(self, books: repute.Books) -> None:
        """The client's books, the callbacks and the server say the same."""
        assert self.trouble == []
        assert books.balance
        assert (books.tracked, books.delivered, books.waiting) == (EVENTS, EVENTS, 0)
        assert self.delivered == EVENTS
        assert books.retries > 0
        counts = self.network.end()
        assert counts["no-upstream"] > 0, "the server was never missed"
        assert all(counts[fault] > 0 for fault in FAULTS), counts
        with repute.Client(self.server.url, PUBLISHABLE) as client:
            agents = {agent.agent_id: agent.eval_count for agent in client.agents()}
        assert agents == {f"agent-{n}": EVENTS // AGENTS for n in range(AGENTS)}


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    running = Run(tmp_path / "data")
    yield running
    running.over = True
    running.server.stop()


def test_from_threads(run: Run) -> None:
    with repute.Client(**run.settings()) as client:

        def track(agent: str) -> None:
            for _ in range(EVENTS // AGENTS):
                client.track(agent, True, GATES, 0.25, "submit_bid")

        threads = [threading.Thread(target=track, args=(f"agent-{n}",)) for n in range(AGENTS)]
        killer = threading.Thread(target=run.kill_and_restart, daemon=True)
        for thread in [*threads, killer]:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.books().tracked == EVENTS
        assert client.flush(TIMEOUT_S), client.books()
        killer.join()
    run.check(client.books())


def test_from_asyncio(run: Run) -> None:
    async def work() -> repute.Books:
        async with repute.AsyncClient(**run.settings()) as client:
            killer = asyncio.get_running_loop().run_in_executor(None, run.kill_and_restart)

            async def track(agent: str) -> None:
                for n in range(EVENTS // AGENTS):
                    client.track(agent, True, GATES, 0.25, "submit_bid")
                    if n % 100 == 0:
                        await asyncio.sleep(0)

            await asyncio.gather(*(track(f"agent-{n}") for n in range(AGENTS)))
            assert await client.flush(TIMEOUT_S), client.books()
            await killer
            return client.books()

    run.check(asyncio.run(work()))
