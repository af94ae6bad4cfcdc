"""What could not be delivered outlives the process, and comes back once."""

import json
import os
import threading
from pathlib import Path
from typing import Any, List, Tuple

import pytest
import script
from conftest import KEY
from real_server import PUBLISHABLE, RealServer
from scripted_server import ScriptedServer
from waiting import until

import repute
from repute.spool import Spool

NOBODY = "http://127.0.0.1:9"
AGAIN = {"status": 503, "body": {"error": "no", "code": "unavailable", "status": 503}}


def files(directory: Path, ending: str = ".jsonl") -> List[str]:
    return sorted(name for name in os.listdir(directory) if name.endswith(ending))


def left_by_a_dead_process(directory: Path, *events: bytes, ms: int = 1, owner: str = "dead") -> Path:
    directory.mkdir(exist_ok=True)
    path = directory / f"{ms:013d}-{owner}-1.jsonl"
    path.write_bytes(b"".join(event + b"\n" for event in events))
    (directory / f"{owner}.lock").write_bytes(b"")
    return path


def event(number: int) -> bytes:
    said = {"agent_id": "a", "tool": str(number), "passed": True, "gates": [], "total_latency_ms": 1}
    return json.dumps(
        {**said, "timestamp": f"2026-05-07T14:22:{number // 1000:02d}.{number % 1000:03d}Z", "evaluation_id": f"e{number}"}
    ).encode()


def test_a_process_leaves_events_and_the_next_delivers_them(server: RealServer, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    first = repute.Client(NOBODY, KEY, spool_dir=str(spool), flush_at=100_000)
    for _ in range(2500):
        first.track("a", True)
    assert first.shutdown(0)
    books = first.books()
    assert (books.tracked, books.waiting, books.dropped) == (2500, 2500, {})
    assert len(files(spool)) == 3

    second = repute.Client(server.url, PUBLISHABLE, spool_dir=str(spool))
    until(lambda: second.books().delivered == 2500, "the spool to be delivered", 20)
    books = second.books()
    assert (books.tracked, books.recovered, books.waiting, books.duplicates) == (2500, 2500, 0, 0)
    assert books.balance
    assert not files(spool)
    assert [agent.eval_count for agent in second.agents()] == [2500]
    second.shutdown()
    assert os.listdir(spool) == []


def test_a_killed_process_leaves_its_spool_and_the_next_delivers_it_once(server: RealServer, tmp_path: Path) -> None:
    """SIGKILL in the middle of what the spool gives back: some of it was delivered, none of it counts twice."""
    spool = tmp_path / "spool"
    left_by_a_dead_process(spool, *[event(n) for n in range(950)])
    script.run(
        f"""
        import os, signal, repute
        def delivered(count):
            if client.books().delivered >= 300:
                os.kill(os.getpid(), signal.SIGKILL)
        client = repute.Client({server.url!r}, {PUBLISHABLE!r}, spool_dir={str(spool)!r}, on_delivered=delivered)
        import time
        time.sleep(60)
        """
    )
    assert len(files(spool)) == 1
    client = repute.Client(server.url, PUBLISHABLE, spool_dir=str(spool))
    until(lambda: client.books().delivered == 950, "the rest to be delivered")
    assert client.books().duplicates == 300
    assert [agent.eval_count for agent in client.agents()] == [950]
    client.shutdown()


def test_what_is_too_old_goes_to_the_spool_and_comes_back_when_the_server_does(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with ScriptedServer([AGAIN] * 100_000) as server:
        client = repute.Client(server.url, KEY, spool_dir=str(spool), flush_at=1, max_age=0.2, retry_base=0.02, retry_max=0.02)
        for n in range(150):
            client.track("a", True, tool=str(n))
        until(lambda: bool(files(spool)), "a file")
        until(lambda: client._delivery.buffer.spooled >= 50, "events in the spool")
        assert client.books().balance
        assert client.books().dropped == {}
        sent = len(server.sent)
        server._answers = "takes 100"
        until(lambda: client.books().delivered == 150, "everything to be delivered")
        until(lambda: not files(spool), "the files to go")
        tools = {event["tool"] for request in server.sent[sent:] for event in request.json["events"]}
        assert tools == {str(n) for n in range(150)}
        assert client.books().recovered == 0
        client.shutdown()
    assert client.books().balance


def test_a_full_spool_drops_its_oldest_and_tells(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    lost: List[Tuple[str, str]] = []
    client = repute.Client(
        NOBODY,
        KEY,
        spool_dir=str(spool),
        max_spool_bytes=100_000,
        flush_at=100_000,
        on_dropped=lambda events, reason: lost.extend((event["tool"], reason) for event in events),
    )
    for n in range(2000):
        client.track("a", True, tool=str(n))
    assert not client.shutdown(0)
    books = client.books()
    assert books.balance
    assert books.dropped["spool_full"] == len(lost) > 0
    assert {reason for _, reason in lost} == {"spool_full"}
    assert sum((spool / name).stat().st_size for name in os.listdir(spool)) <= 100_000


def test_only_own_files_go_to_make_room(tmp_path: Path) -> None:
    ours, theirs = Spool(str(tmp_path), 300), Spool(str(tmp_path), 300)
    assert theirs.write([b'{"theirs":"' + b"x" * 200 + b'"}']).kept == 1
    assert ours.write([b'{"ours":1}']).kept == 1
    written = ours.write([b'{"ours":"' + b"y" * 200 + b'"}'])
    assert (written.kept, written.evicted, written.evicted_count) == (0, [b'{"ours":1}'], 1)
    assert len(files(tmp_path)) == 1
    ours.close()
    theirs.close()


def test_processes_share_a_directory_and_each_file_is_delivered_by_one(server: RealServer, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    for owner in range(12):
        left_by_a_dead_process(spool, *[event(1000 * owner + n) for n in range(50)], owner=f"dead{owner}", ms=owner)
    source = f"""
        import os, repute, time
        client = repute.Client({server.url!r}, {PUBLISHABLE!r}, spool_dir={str(spool)!r})
        deadline = time.monotonic() + 60
        while any(name.endswith(".jsonl") for name in os.listdir({str(spool)!r})) and time.monotonic() < deadline:
            time.sleep(0.01)
        books = client.books()
        assert books.balance and books.duplicates == 0, books
        print(books.recovered)
        """
    printed: List[str] = []
    threads = [threading.Thread(target=lambda: printed.extend(script.lines(source))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(printed) == 3 and sum(map(int, printed)) == 600
    assert os.listdir(spool) == []


def test_the_files_of_a_living_process_are_left_alone(tmp_path: Path) -> None:
    living, other = Spool(str(tmp_path), 1_000_000), Spool(str(tmp_path), 1_000_000)
    assert living.write([event(1)]).kept == 1
    assert other.look_around().events == 0
    living.close()
    assert other.look_around().events == 1
    recalled, lost = other.recall(100)
    assert recalled is not None and recalled.lines == [event(1)] and lost == 0
    other.settle(recalled)
    other.close()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("bad", [b"", b"no json\n", b'{"agent_id":"a"}\n[1]\n', b"\xff\xfe\n"], ids=["empty", "text", "list", "bytes"])
def test_a_file_that_cannot_be_read_is_set_aside_and_warned_of(bad: bytes, tmp_path: Path) -> None:
    path = left_by_a_dead_process(tmp_path, owner="bad")
    path.write_bytes(bad)
    left_by_a_dead_process(tmp_path, event(1), owner="good")
    warnings: List[str] = []
    with ScriptedServer("takes 100") as server:
        client = repute.Client(server.url, KEY, spool_dir=str(tmp_path), on_warning=warnings.append)
        until(lambda: client.books().delivered == 1, "the good file")
        client.shutdown()
    assert client.books().recovered == 1
    assert len(warnings) == 1 and path.name in warnings[0]
    assert files(tmp_path, ".bad") == [path.name + ".bad"]
    assert path.with_name(path.name + ".bad").read_bytes() == bad


def test_what_a_process_had_not_finished_writing_goes_with_it(tmp_path: Path) -> None:
    (tmp_path / "0000000000001-dead-1.tmp").write_bytes(event(1)[:30])
    spool = Spool(str(tmp_path), 1_000_000)
    assert spool.look_around() == (0, [])
    spool.close()
    assert os.listdir(tmp_path) == []


def test_files_without_a_lock_are_those_of_a_dead_process(tmp_path: Path) -> None:
    path = left_by_a_dead_process(tmp_path, event(1), event(2))
    (tmp_path / "dead.lock").unlink()
    spool = Spool(str(tmp_path), 1_000_000)
    assert spool.look_around().events == 2
    assert not path.exists()
    spool.close()


def test_files_come_back_oldest_first(tmp_path: Path) -> None:
    for ms in (3, 1, 2):
        left_by_a_dead_process(tmp_path, event(ms), ms=ms, owner=f"dead{9 - ms}")
    with ScriptedServer("takes 100") as server:
        client = repute.Client(server.url, KEY, spool_dir=str(tmp_path))
        until(lambda: client.books().delivered == 3, "three files")
        client.shutdown()
    assert [request.json["events"][0]["tool"] for request in server.sent] == ["1", "2", "3"]


def test_a_file_that_vanishes_is_counted_and_warned_of(tmp_path: Path) -> None:
    warnings: List[str] = []
    with ScriptedServer([AGAIN] * 100_000) as server:
        client = repute.Client(
            server.url, KEY, spool_dir=str(tmp_path), flush_at=1, max_age=0.1, retry_base=2, retry_max=2, on_warning=warnings.append
        )
        client._delivery._random.uniform = lambda a, b: b  # type: ignore[method-assign]
        client.track("a", True)
        until(lambda: bool(files(tmp_path)), "a file")
        for name in files(tmp_path):
            (tmp_path / name).unlink()
        until(lambda: bool(client.books().dropped), "the loss to be noticed")
        assert client.books().dropped == {"too_old": 1}
        assert len(warnings) == 1
        client.shutdown(0)
    assert client.books().balance


def test_a_spool_that_cannot_be_written_drops_and_warns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: List[str] = []
    client = repute.Client(NOBODY, KEY, spool_dir=str(tmp_path), on_warning=warnings.append)
    client.track("a", True)

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert not client.shutdown(0)
    assert client.books().dropped == {"shutdown": 1}
    assert len(warnings) == 1 and "No space left" in warnings[0]
    assert not files(tmp_path) and not files(tmp_path, ".tmp")


def test_the_child_of_a_fork_does_not_hold_the_parents_lock(tmp_path: Path) -> None:
    """Else the spool of a killed parent would stay locked for as long as the child lives."""
    printed = script.lines(
        f"""
        import os, signal, sys, time, repute
        ready, go = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            client = repute.Client({NOBODY!r}, {KEY!r}, spool_dir={str(tmp_path)!r}, max_age=0.05, flush_at=1, retry_base=0.01)
            client.track("a", True)
            while not [name for name in os.listdir({str(tmp_path)!r}) if name.endswith(".jsonl")]:
                time.sleep(0.01)
            grandchild = os.fork()
            if grandchild == 0:
                os.write(ready[1], str(os.getpid()).encode())
                time.sleep(60)
                os._exit(0)
            time.sleep(60)
        grandchild = int(os.read(ready[0], 100))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        from repute.spool import Spool
        spool = Spool({str(tmp_path)!r}, 1_000_000)
        print(spool.look_around().events)
        os.kill(grandchild, signal.SIGKILL)
        """
    )
    assert printed == ["1"]


def test_a_half_settled_batch_of_the_spool_is_spooled_again_at_the_end(tmp_path: Path) -> None:
    left_by_a_dead_process(tmp_path, *[event(n) for n in range(4)])
    large = {"status": 413, "body": {"error": "no", "code": "body_too_large", "status": 413}}
    taken = {"status": 202, "body": {"accepted": 2, "reputation_updates": []}}
    wait = {**AGAIN, "headers": {"Retry-After": "60"}}
    with ScriptedServer([large, taken, wait]) as server:
        client = repute.Client(server.url, KEY, spool_dir=str(tmp_path))
        until(lambda: client.books().state == "backoff", "a failure after a half")
        assert client.shutdown(5)
    books = client.books()
    assert (books.tracked, books.delivered, books.waiting) == (4, 2, 2)
    [name] = files(tmp_path)
    kept: Any = [json.loads(line)["tool"] for line in (tmp_path / name).read_bytes().splitlines()]
    assert kept == ["2", "3"]


def test_the_spool_is_asked_when_it_is_time_for_a_try(tmp_path: Path) -> None:
    """Nothing else is there to find out with that the server is back."""
    left_by_a_dead_process(tmp_path, event(1))
    with ScriptedServer([AGAIN] * 6 + [{"status": 202}]) as server:
        client = repute.Client(server.url, KEY, spool_dir=str(tmp_path), retry_base=0.01, retry_max=0.01)
        until(lambda: client.books().delivered == 1, "the seventh try")
        client.shutdown()
