"""`track` never raises, never waits, and keeps the books, whatever happens around it."""

import gc
import json
import signal
import threading
import time
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from typing import Any, Dict, List, Tuple

import pytest
from conftest import KEY
from scripted_server import ScriptedServer
from waiting import until

import repute

NOBODY = "http://127.0.0.1:9"
TAKEN = {"status": 202, "body": {"accepted": 1, "reputation_updates": []}}


class Hostile:
    """Raises at whatever is asked of it."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __bool__(self) -> bool:
        raise RuntimeError("bool")

    def __len__(self) -> int:
        raise RuntimeError("len")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"agent_id": "a"},
        {"agent_id": Hostile(), "passed": True},
        {"agent_id": "a", "passed": Hostile()},
        {"agent_id": "a", "passed": None},
        {"agent_id": "a", "passed": 1},
        {"agent_id": "a", "passed": True, "gates": Hostile()},
        {"agent_id": "a", "passed": True, "gates": [Hostile()]},
        {"agent_id": "a", "passed": True, "gates": [{}]},
        {"agent_id": "a", "passed": True, "gates": {"name": "g"}},
        {"agent_id": "a", "passed": True, "gates": None},
        {"agent_id": "a", "passed": True, "gates": [{"name": "g", "passed": True, "latency_ms": "1"}]},
        {"agent_id": "a", "passed": True, "total_latency_ms": True},
        {"agent_id": "a", "passed": True, "total_latency_ms": Hostile()},
        {"agent_id": "a", "passed": True, "tool": b"t"},
        {"agent_id": "a", "passed": True, "timestamp": 1778163730},
        {"agent_id": "a", "passed": True, "timestamp": datetime(1969, 1, 1)},
        {"agent_id": "a", "passed": True, "evaluation_id": 7},
    ],
)
def test_what_is_no_event_is_dropped_and_told(given: Dict[str, Any]) -> None:
    dropped: List[Tuple[int, str]] = []
    client = repute.Client(NOBODY, KEY, on_dropped=lambda events, reason: dropped.append((len(events), reason)))
    client.track(**given)
    assert client.books().dropped == {"invalid": 1}
    assert client.books().tracked == 1
    assert dropped == [(1, "invalid")]


def test_values_that_python_programs_have_are_taken() -> None:
    class bool_:
        """What numpy's comparisons give, without numpy."""

        def __bool__(self) -> bool:
            return False

    bool_.__module__ = "numpy"
    with ScriptedServer([TAKEN]) as server:
        client = repute.Client(server.url, KEY)
        client.track("a", bool_(), (), Fraction(1, 2), timestamp=datetime(2026, 5, 7, 14, tzinfo=timezone(timedelta(hours=2))))  # type: ignore[arg-type]
        client.track("a", True, [{"name": "g", "passed": True}], timestamp=datetime(2026, 5, 7, 14, 0, 0, 5))
        assert client.flush(5)
        client.shutdown()
    first, second = server.sent[0].json["events"]
    assert (first["passed"], first["total_latency_ms"], first["timestamp"]) == (False, 0.5, "2026-05-07T12:00:00Z")
    assert (second["gates"], second["timestamp"]) == ([{"name": "g", "passed": True, "latency_ms": 0}], "2026-05-07T14:00:00.000005Z")


def test_what_the_caller_changes_later_is_not_sent() -> None:
    with ScriptedServer([TAKEN]) as server:
        client = repute.Client(server.url, KEY)
        gates: List[Dict[str, object]] = [{"name": "g", "passed": True, "latency_ms": 1}]
        client.track("a", True, gates)
        gates[0]["name"] = "other"
        assert client.flush(5)
        client.shutdown()
    assert server.sent[0].json["events"][0]["gates"][0]["name"] == "g"


def test_callbacks_tell_and_their_exceptions_are_swallowed() -> None:
    told: List[Any] = []

    def tell(*what: Any) -> None:
        told.append(what)
        raise RuntimeError("a callback's own")

    bad = {"status": 400, "body": {"error": "no", "code": "validation_error", "status": 400, "details": [{"event": 0}]}}
    with ScriptedServer([bad, TAKEN]) as server:
        client = repute.Client(
            server.url, KEY, flush_at=1000, max_buffer=2, on_delivered=tell, on_refused=tell, on_dropped=tell, on_warning=tell
        )
        for n in range(3):
            client.track("a", True, tool=str(n))
        assert not client.flush(5)
        client.shutdown()
    assert [(what[0][0]["tool"], what[1]) if isinstance(what[0], list) else what for what in told] == [
        ("2", "full"),
        ("0", "validation_error"),
        (1,),
    ]
    assert client.books().balance


def test_without_a_callback_warnings_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    late = {"status": 202, "body": {"accepted": 1, "reputation_updates": [], "late": 1}}
    with ScriptedServer([late, late, late]) as server:
        for callback, times in ((None, 2), (lambda text: None, 1)):
            client = repute.Client(server.url, KEY, on_warning=callback)
            for _ in range(times):
                client.track("a", True)
                assert client.flush(5)
            client.shutdown()
    [record] = caplog.records
    assert (record.name, record.levelname) == ("repute", "WARNING") and "late" in record.getMessage()


def test_after_shutdown_events_are_dropped_as_closed() -> None:
    client = repute.Client(NOBODY, KEY)
    assert client.shutdown()
    client.track("a", True)
    books = client.books()
    assert (books.dropped, books.state, books.waiting) == ({"closed": 1}, "closed", 0)
    assert client.shutdown()


def test_events_go_by_count_and_by_time() -> None:
    with ScriptedServer([TAKEN]) as server:
        client = repute.Client(server.url, KEY, flush_at=3, flush_interval=3600)
        for _ in range(3):
            client.track("a", True)
        until(lambda: client.books().delivered == 3, "three by count")
        client.shutdown()
    with ScriptedServer([TAKEN]) as server:
        client = repute.Client(server.url, KEY, flush_interval=0.2)
        began = time.monotonic()
        client.track("a", True)
        until(lambda: client.books().delivered == 1, "one by time")
        assert time.monotonic() - began >= 0.19
        client.shutdown()


def test_a_full_buffer_that_blocks_loses_nothing() -> None:
    with ScriptedServer("takes 100") as server:
        client = repute.Client(server.url, KEY, max_buffer=50, flush_at=1000, flush_interval=3600, when_full="block")

        def track() -> None:
            for _ in range(500):
                client.track("a", True)

        threads = [threading.Thread(target=track) for _ in range(4)]
        for thread in threads:
            thread.start()
        most = 0
        while any(thread.is_alive() for thread in threads):
            most = max(most, client.books().waiting)
            time.sleep(0.001)
        assert client.flush(10)
        books = client.books()
        client.shutdown()
    assert most <= 50
    assert (books.tracked, books.delivered, books.dropped) == (2000, 2000, {})


def test_a_blocked_track_ends_with_the_client() -> None:
    client = repute.Client(NOBODY, KEY, max_buffer=1, when_full="block")
    client.track("a", True)
    blocked = threading.Thread(target=lambda: client.track("a", True))
    blocked.start()
    blocked.join(0.2)
    assert blocked.is_alive()
    client.shutdown(0)
    blocked.join(10)
    assert not blocked.is_alive()
    assert client.books().dropped == {"closed": 1, "shutdown": 1}


def test_a_callback_that_tracks_into_a_full_buffer_does_not_wait_for_itself() -> None:
    with ScriptedServer("takes 100") as server:
        client = repute.Client(server.url, KEY, max_buffer=1, flush_interval=0.01, when_full="block", on_delivered=lambda _: again())

        def again() -> None:
            if client.books().tracked < 10:
                client.track("a", True)
                client.track("a", True)

        client.track("a", True)
        until(lambda: client.books().tracked >= 10 and client.books().waiting == 0, "ten events")
        client.shutdown()
    assert client.books().balance


def test_signal_handlers_may_track_in_the_middle_of_track() -> None:
    client = repute.Client(NOBODY, KEY, max_buffer=1_000_000, flush_at=1_000_000, flush_interval=3600)
    handled = 0

    def handler(*_: object) -> None:
        nonlocal handled
        handled += 1
        client.track("signal", True)

    earlier = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        tracked = 0
        while handled < 200:
            client.track("a", True)
            tracked += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)
    books = client.books()
    assert (books.tracked, books.waiting) == (tracked + handled, tracked + handled)
    client.shutdown(0)


def test_a_track_inside_the_lock_goes_in_when_the_lock_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a signal or a finaliser does at the worst moment, without having to hit it."""
    client = repute.Client(NOBODY, KEY, flush_interval=3600)
    buffer = client._delivery.buffer
    original = buffer._add

    def add(line: bytes, now: float) -> None:
        if json.loads(line)["agent_id"] == "outer":
            client.track("inner", True)
            assert buffer._tracked == 0
        original(line, now)

    monkeypatch.setattr(buffer, "_add", add)
    client.track("outer", True)
    assert [json.loads(entry.line)["agent_id"] for entry in buffer.waiting] == ["outer", "inner"]
    client.shutdown(0)


def test_the_books_balance_whenever_somebody_looks() -> None:
    refused = {"status": 400, "body": {"error": "no", "code": "validation_error", "status": 400, "details": [{"event": 1}]}}
    again = {"status": 503, "body": {"error": "no", "code": "unavailable", "status": 503}}
    with ScriptedServer([refused, TAKEN, again, TAKEN] * 500) as server:
        client = repute.Client(server.url, KEY, max_buffer=300, flush_at=10, retry_base=0.001, retry_max=0.001, when_full="drop_oldest")
        over = threading.Event()
        unbalanced: List[repute.Books] = []

        def look() -> None:
            while not over.is_set():
                books = client.books()
                if not books.balance or books.waiting > 300:
                    unbalanced.append(books)

        looker = threading.Thread(target=look)
        looker.start()
        for n in range(5000):
            client.track("a", n % 7 == 0)
        client.flush(10)
        over.set()
        looker.join()
        client.shutdown()
    assert not unbalanced
    assert client.books().refused["validation_error"] > 0


def test_flush_says_whether_all_was_delivered() -> None:
    with ScriptedServer([TAKEN, {"status": 410}, TAKEN]) as server:
        client = repute.Client(server.url, KEY)
        assert client.flush(5)  # nothing waits
        client.track("a", True)
        assert client.flush(5)
        client.track("a", True)
        assert not client.flush(5)
        client.track("a", True)
        assert client.flush(5)
        client.shutdown()


def test_flush_gives_up_in_time_and_at_once_when_paused() -> None:
    refused = {"status": 401, "body": {"error": "no", "code": "auth_revoked", "status": 401}}
    with ScriptedServer(["silence"]) as server:
        client = repute.Client(server.url, KEY)
        client.track("a", True)
        began = time.monotonic()
        assert not client.flush(0.3)
        assert 0.3 <= time.monotonic() - began < 9
        client.shutdown(0)
    with ScriptedServer([refused]) as server:
        client = repute.Client(server.url, KEY)
        client.track("a", True)
        began = time.monotonic()
        assert not client.flush(30)
        assert not client.flush(30)
        assert time.monotonic() - began < 20
        assert client.books().waiting == 1
        client.shutdown(0)


def test_a_server_that_cannot_be_reached_is_told_once_until_it_answers() -> None:
    warnings: List[str] = []
    again = {"status": 503, "body": {"error": "no", "code": "unavailable", "status": 503}}
    with ScriptedServer([again] * 7 + [TAKEN]) as server:
        client = repute.Client(server.url, KEY, retry_max=0.001, on_warning=warnings.append)
        client.track("a", True)
        assert client.flush(30)
        assert client.books().requests == 8
        assert len(warnings) == 1 and f"{server.url}: HTTP 503 unavailable" in warnings[0]
        client.track("a", True)
        client._delivery.flush()  # beyond the answers there are none
        until(lambda: len(warnings) == 2, "another warning")
        assert "RemoteDisconnected" in warnings[1]
        client.shutdown(0)
    client = repute.Client(NOBODY, KEY, flush_at=1, retry_max=0.001, on_warning=warnings.append)
    client.track("a", True)
    until(lambda: len(warnings) == 3, "a third warning")
    assert f"{NOBODY}: ConnectionRefusedError" in warnings[2]
    client.shutdown(0)


def test_shutdown_drains_within_its_time() -> None:
    with ScriptedServer("takes 100") as server:
        client = repute.Client(server.url, KEY, flush_interval=3600, flush_at=10_000)
        for _ in range(250):
            client.track("a", True)
        assert client.shutdown(5)
        assert client.books().delivered == 250
    with ScriptedServer(["silence"]) as server:
        client = repute.Client(server.url, KEY)
        client.track("a", True)
        began = time.monotonic()
        assert not client.shutdown(0.5)
        assert time.monotonic() - began < 9
        assert client.books().dropped == {"shutdown": 1}


def test_shutdown_does_not_wait_for_a_try_that_comes_too_late() -> None:
    with ScriptedServer([{"status": 503, "headers": {"Retry-After": "60"}}]) as server:
        client = repute.Client(server.url, KEY, flush_at=1)
        client.track("a", True)
        until(lambda: client.books().state == "backoff", "a failure")
        began = time.monotonic()
        assert not client.shutdown(30)
        assert time.monotonic() - began < 20


def test_an_answer_that_comes_after_the_end_changes_no_books() -> None:
    """The event was counted as dropped by then: it cannot be delivered as well."""
    warnings: List[str] = []
    with ScriptedServer([{**TAKEN, "after_s": 0.8}]) as server:
        client = repute.Client(server.url, KEY, flush_at=1, on_warning=warnings.append)
        client.track("a", True)
        until(lambda: client.books().requests == 1, "a request")
        sender = client._delivery._thread
        assert not client.shutdown(0.1)
        assert sender is not None and sender.is_alive()
        sender.join(5)
        assert not sender.is_alive()
    books = client.books()
    assert (books.delivered, books.dropped, books.waiting) == (0, {"shutdown": 1}, 0)
    assert warnings == []


def test_an_event_that_is_too_old_leaves_and_does_not_block_the_rest() -> None:
    dropped: List[Tuple[str, str]] = []
    again = {"status": 500, "body": {"error": "no", "code": "internal", "status": 500}}
    with ScriptedServer([again] * 1000) as server:
        client = repute.Client(
            server.url,
            KEY,
            flush_at=1,
            max_age=2,
            retry_base=0.05,
            retry_max=0.05,
            on_dropped=lambda events, reason: dropped.extend((event["tool"], reason) for event in events),
        )
        client.track("a", True, tool="old")
        time.sleep(1)
        client.track("a", True, tool="young")
        until(lambda: bool(dropped), "the old one to be dropped")
        assert dropped == [("old", "too_old")]
        assert client.books().waiting == 1
        server._answers = [TAKEN] * 2000
        assert client.flush(5) or client.books().dropped == {"too_old": 2}
        client.shutdown(0)
    assert client.books().balance


def test_an_answer_that_trickles_in_is_no_answer() -> None:
    """The time is for the request as a whole, not for each byte of its answer."""
    import socket

    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def trickle() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(65536)
                    for byte in b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}" * 1:
                        connection.sendall(bytes([byte]))
                        if over.wait(0.5):
                            return
                except OSError:
                    pass

    thread = threading.Thread(target=trickle, daemon=True)
    thread.start()
    client = repute.Client(f"http://127.0.0.1:{listener.getsockname()[1]}", KEY, request_timeout=0.5, flush_at=1)
    client.track("a", True)
    began = time.monotonic()
    until(lambda: client.books().state == "backoff", "the time to be over")
    assert time.monotonic() - began < 20
    client.shutdown(0)
    over.set()
    listener.close()
    thread.join()


def test_a_client_that_is_never_used_has_no_thread() -> None:
    gc.collect()
    before = threading.active_count()
    client = repute.Client(NOBODY, KEY)
    client.books()
    assert threading.active_count() == before
    client.shutdown()


def test_without_a_new_thread_events_wait_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: List[str] = []
    with ScriptedServer("takes 100") as server:
        client = repute.Client(server.url, KEY, on_warning=warnings.append)
        with monkeypatch.context() as patch:

            def start(_: threading.Thread) -> None:
                raise RuntimeError("can't start new thread")

            patch.setattr(threading.Thread, "start", start)
            client.track("a", True)
            client.track("a", True)
        assert client.books().waiting == 2
        assert len(warnings) == 1
        client.track("a", True)
        assert client.flush(5)
        client.shutdown()
    assert client.books().delivered == 3


def test_without_any_thread_shutdown_delivers_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer("takes 100") as server:
        client = repute.Client(server.url, KEY)
        original = threading.Thread.start
        monkeypatch.setattr(threading.Thread, "start", lambda thread: (_ for _ in ()).throw(RuntimeError("no thread")))
        client.track("a", True)
        monkeypatch.setattr(threading.Thread, "start", lambda thread: original(thread))
        client._delivery.start = lambda: None  # type: ignore[method-assign]
        assert client.shutdown(5)
    assert client.books().delivered == 1
