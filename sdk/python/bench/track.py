"""Measures `track`: the time of each call while the sender works in the background, against a port where nobody listens.

    python bench/track.py

Prints the mean and percentiles in microseconds, for a bare verdict and for one with three gates.
"""

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))
import repute

CALLS = 100_000
GATES = [
    {"name": "impid", "passed": True, "latency_ms": 1},
    {"name": "bid_sanity", "passed": False, "latency_ms": 2.5, "reason": "bid price exceeds floor by more than 50x"},
    {"name": "adomain", "passed": True, "latency_ms": 1},
]


def measure(name: str, event: "dict[str, Any]") -> float:
    """The mean, in microseconds."""
    client = repute.Client("http://127.0.0.1:9", "pk_live_" + "0" * 32, max_buffer=2 * CALLS, flush_interval=3600, flush_at=2 * CALLS)
    clock = time.perf_counter_ns
    track = client.track
    taken_ns = []
    for _ in range(CALLS):
        began = clock()
        track(**event)
        taken_ns.append(clock() - began)
    books = client.books()
    client.shutdown(0)
    if books.waiting != CALLS or not books.balance:
        raise SystemExit(f"the books are wrong: {books}")
    taken_ns.sort()
    mean_us = sum(taken_ns) / CALLS / 1000
    at = {f"p{p}": taken_ns[int(CALLS * p / 100)] / 1000 for p in (50, 99, 99.9)}
    print(f"{name}: mean {mean_us:.2f} us, " + ", ".join(f"{p} {us:.2f} us" for p, us in at.items()))
    return mean_us


if __name__ == "__main__":
    print(f"Python {sys.version.split()[0]}, {CALLS} calls each")
    measure("no gates", {"agent_id": "bid-agent-prod", "passed": True})
    measure("3 gates", {"agent_id": "bid-agent-prod", "tool": "submit_bid", "passed": False, "gates": GATES, "total_latency_ms": 4.25})
