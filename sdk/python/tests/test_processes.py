"""Ends and forks of processes, against the real server."""

import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from pathlib import Path
from typing import Dict

import pytest
import script
from real_server import PUBLISHABLE, RealServer
from scripted_server import ScriptedServer
from waiting import until

import repute


@pytest.fixture
def variables(server: RealServer) -> Dict[str, str]:
    return {"REPUTE_URL": server.url, "REPUTE_API_KEY": PUBLISHABLE}


def counted(variables: Dict[str, str]) -> Dict[str, int]:
    """Lifetime counts by agent, as the server has them."""
    with repute.Client(variables["REPUTE_URL"], PUBLISHABLE) as client:
        return {agent.agent_id: agent.eval_count for agent in client.agents()}


def test_a_program_that_just_ends_delivers_first(variables: Dict[str, str]) -> None:
    script.lines(
        """
        import repute
        client = repute.Client()
        for _ in range(1234):
            client.track("a", True)
        """,
        **variables,
    )
    assert counted(variables) == {"a": 1234}


def test_a_program_that_ends_with_an_exception_delivers_first(variables: Dict[str, str]) -> None:
    done = script.run("import repute\nrepute.Client().track('a', True)\nraise SystemExit(3)", **variables)
    assert done.returncode == 3
    assert counted(variables) == {"a": 1}


def test_events_tracked_while_the_program_ends_are_delivered(variables: Dict[str, str]) -> None:
    """An exit handler made after the client runs before the client's own; from Python 3.12 on no thread may be started by then."""
    script.lines(
        """
        import atexit, repute
        client = repute.Client()
        atexit.register(lambda: client.track("a", True))
        """,
        **variables,
    )
    assert counted(variables) == {"a": 1}


def test_the_end_waits_no_longer_than_its_time() -> None:
    with ScriptedServer(["silence"] * 3) as server:
        began = time.monotonic()
        source = """
            import repute
            clients = [repute.Client(shutdown_timeout=6, flush_at=1) for _ in range(3)]
            for client in clients:
                client.track("a", True)
            """
        script.lines(source, REPUTE_URL=server.url, REPUTE_API_KEY=PUBLISHABLE)
        assert time.monotonic() - began < 17


def test_the_child_of_a_fork_begins_anew_and_leaves_the_parents_events_alone(variables: Dict[str, str]) -> None:
    printed = script.lines(
        """
        import os, repute
        client = repute.Client(flush_interval=3600, flush_at=10_000)
        assert client.whoami()
        for _ in range(50):
            client.track("before", True)
        assert client.flush()
        for _ in range(20):
            client.track("parent", True)
        children = []
        for child in range(3):
            pid = os.fork()
            if pid == 0:
                books = client.books()
                assert (books.tracked, books.waiting, books.requests) == (0, 0, 0), books
                for _ in range(30):
                    client.track(f"child-{child}", True)
                assert client.flush()
                assert client.whoami()
                os._exit(0 if client.books().delivered == 30 else 1)
            children.append(pid)
        for pid in children:
            assert os.waitpid(pid, 0)[1] == 0
        books = client.books()
        print(books.tracked, books.delivered, books.waiting)
        assert client.flush()
        print(client.books().delivered)
        """,
        **variables,
    )
    assert printed == ["70 50 20", "70"]
    assert counted(variables) == {"before": 50, "parent": 20, "child-0": 30, "child-1": 30, "child-2": 30}


def test_parent_and_child_make_different_ids(variables: Dict[str, str]) -> None:
    """The same id, agent and time would be one event: what one of them tracked would be lost."""
    printed = script.lines(
        """
        import os
        from repute.identity import new_evaluation_id
        new_evaluation_id()
        children = 2
        for _ in range(children):
            if os.fork() == 0:
                print("\\n".join(new_evaluation_id() for _ in range(500)), flush=True)
                os._exit(0)
            os.wait()
        print("\\n".join(new_evaluation_id() for _ in range(500)))
        """
    )
    assert len(printed) == len(set(printed)) == 1500


def test_a_fork_in_the_middle_of_everything_does_not_hang(variables: Dict[str, str]) -> None:
    """Threads track and the sender sends while the process forks: whatever lock is held then is not the child's."""
    script.lines(
        """
        import os, threading, repute
        client = repute.Client(flush_at=1, max_buffer=1_000_000)
        over = threading.Event()
        def track():
            while not over.is_set():
                client.track("parent", True)
                over.wait(0.0001)
        threads = [threading.Thread(target=track) for _ in range(4)]
        for thread in threads: thread.start()
        for _ in range(20):
            pid = os.fork()
            if pid == 0:
                client.track("child", True)
                os._exit(0 if client.flush(20) else 1)
            assert os.waitpid(pid, 0)[1] == 0
        over.set()
        for thread in threads: thread.join()
        assert client.flush(30)
        assert client.books().balance
        """,
        **variables,
    )
    assert counted(variables)["child"] == 20


def test_a_client_that_was_shut_down_is_so_in_the_child(variables: Dict[str, str]) -> None:
    printed = script.lines(
        """
        import os, repute
        client = repute.Client()
        client.shutdown()
        pid = os.fork()
        if pid == 0:
            client.track("a", True)
            print(client.books().dropped, client.books().state, flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        """,
        **variables,
    )
    assert printed == ["{'closed': 1} closed"]


@pytest.mark.parametrize("package", ["multiprocessing", "billiard"])
def test_workers_of_a_pool_deliver_before_they_end(package: str, variables: Dict[str, str]) -> None:
    """Such a process ends without the interpreter's exit handlers. Celery's workers are `billiard`'s."""
    script.lines(
        f"""
        import {package} as processes, repute
        client = repute.Client(flush_interval=3600)
        def work(n):
            client.track("worker", True)
        if __name__ == "__main__":
            context = processes.get_context("fork")
            workers = [context.Process(target=work, args=(n,)) for n in range(4)]
            for worker in workers: worker.start()
            for worker in workers: worker.join()
            assert all(worker.exitcode == 0 for worker in workers)
        """,
        **variables,
    )
    assert counted(variables) == {"worker": 4}


def test_gunicorn_workers_that_were_forked_with_a_client_deliver(variables: Dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "web.py").write_text(
        textwrap.dedent(
            """
            import os, repute
            client = repute.Client(flush_interval=3600)
            client.track("master", True)
            client.flush()

            def app(environ, start_response):
                client.track("worker", True)
                start_response("200 OK", [("Content-Type", "text/plain")])
                return [str(os.getpid()).encode()]
            """
        )
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", "2", "--bind", f"127.0.0.1:{port}", "web:app"]
    with open(tmp_path / "gunicorn.log", "wb") as log:
        web = subprocess.Popen(command, cwd=tmp_path, env=script.environment(**variables), stdout=log, stderr=log)
    try:

        def get() -> bool:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                    return bool(answer.read())
            except OSError:
                return False

        until(get, "gunicorn to answer", 30)
        answered = 1 + sum(get() for _ in range(40))
        assert answered == 41
    finally:
        web.send_signal(signal.SIGTERM)
        web.wait(30)
    assert counted(variables) == {"master": 1, "worker": 41}, (tmp_path / "gunicorn.log").read_text()
