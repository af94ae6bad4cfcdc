"""Checks that are timed and tracked, as a context manager and as a decorator."""

import asyncio
from typing import Any, Dict, List

import pytest

from repute import Evaluation


def recording(events: List[Dict[str, Any]]) -> Evaluation:
    return Evaluation(lambda **event: events.append(event), "a", "t", None)


def gates(event: Dict[str, Any]) -> List[Any]:
    return [(gate["name"], gate["passed"], gate.get("reason"), gate["skipped"]) for gate in event["gates"]]


def test_an_evaluation_passes_when_all_its_checks_do() -> None:
    events: List[Dict[str, Any]] = []
    with recording(events) as evaluation:
        assert evaluation.check("one", True, reason="not told of a gate that passed")
        assert not evaluation.check("two", False, reason="too dear")
        evaluation.check("three", False, skipped=True)
    with recording(events) as evaluation:
        evaluation.check("one", True)
        evaluation.check("two", False, skipped=True)
    first, second = events
    assert (first["agent_id"], first["tool"], first["passed"], second["passed"]) == ("a", "t", False, True)
    assert gates(first) == [("one", True, None, False), ("two", False, "too dear", False), ("three", False, None, True)]
    assert first["total_latency_ms"] >= sum(gate["latency_ms"] for gate in first["gates"]) - 0.01
    assert all(0 <= gate["latency_ms"] < 1000 for gate in first["gates"])


def test_an_exception_fails_it_and_only_its_class_is_told() -> None:
    events: List[Dict[str, Any]] = []
    with pytest.raises(ValueError), recording(events) as evaluation:
        evaluation.check("one", True)
        raise ValueError("a secret")
    assert events[0]["passed"] is False
    assert gates(events[0]) == [("one", True, None, False), ("exception", False, "ValueError", False)]


def test_who_is_interrupted_has_no_verdict() -> None:
    events: List[Dict[str, Any]] = []
    for interruption in (KeyboardInterrupt, asyncio.CancelledError, SystemExit):
        with pytest.raises(interruption), recording(events):
            raise interruption
    assert events == []


def test_a_decorated_function_is_a_gate() -> None:
    events: List[Dict[str, Any]] = []

    @recording(events)
    def sane(price: float) -> bool:
        """Doc."""
        return 10 / price > 1

    @recording(events)
    def nothing() -> None: ...

    assert sane(5) and not sane(20) and nothing() is None
    with pytest.raises(ZeroDivisionError):
        sane(0)
    assert sane.__doc__ == "Doc."
    assert [(event["passed"], gates(event)) for event in events] == [
        (True, [("sane", True, None, False)]),
        (False, [("sane", False, None, False)]),
        (True, [("nothing", True, None, False)]),
        (False, [("sane", False, "ZeroDivisionError", False)]),
    ]


def test_a_decorated_coroutine_is_timed_to_its_end() -> None:
    events: List[Dict[str, Any]] = []

    @recording(events)
    async def slow(ok: bool) -> bool:
        await asyncio.sleep(0.05)
        return ok

    async def both() -> List[bool]:
        return list(await asyncio.gather(slow(True), slow(False)))

    assert asyncio.run(both()) == [True, False]
    assert sorted(event["passed"] for event in events) == [False, True]
    assert all(event["total_latency_ms"] >= 45 for event in events)
