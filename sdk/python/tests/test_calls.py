"""The typed calls, against the real server; what it would not say is played."""

import hashlib
import hmac
import json
import socket
import threading
from typing import Any, Dict, List

import pytest
from conftest import KEY
from real_server import PUBLISHABLE, SECRET, RealServer
from scripted_server import ScriptedServer

import repute

STANDING: Dict[str, Any] = {"score": 650, "lifecycle": "calibrating", "eval_count": 1}
EVALUATED: Dict[str, Any] = {
    "evaluation_id": "x",
    "passed": False,
    "gates": [{"name": "pii", "passed": False, "latency_ms": 1, "reason": "email", "details": {"kind": "email"}}],
    "total_latency_ms": 1,
    "reputation": STANDING,
}
UNAVAILABLE = {"status": 503, "body": {"error": "not kept: draining", "code": "unavailable", "status": 503}}


def an_event(number: int, **more: object) -> Dict[str, object]:
    said = {"agent_id": "a/ä?", "passed": number % 3 != 0, "gates": [], "total_latency_ms": 4.25, "evaluation_id": f"e{number}"}
    return {**said, "timestamp": f"2026-05-07T14:{number // 60:02d}:{number % 60:02d}.000Z", **more}


def test_everything_that_can_be_asked(shared_server: RealServer) -> None:
    with repute.Client(shared_server.url, PUBLISHABLE) as client:
        asked = client.whoami()
        assert (asked.organisation, asked.kind, asked.limits.require_signature) == ("default", "publishable", False)
        assert set(asked.scopes) == {"ingest", "evaluate", "read"}

        gate = {"name": "g", "passed": False, "latency_ms": 1.5, "reason": "no"}
        for first in range(0, 250, 50):
            answer = client.ingest([an_event(n, tool="t", gates=[gate] if n == 7 else []) for n in range(first, first + 50)])
            assert (answer.accepted, answer.duplicates, len(answer.reputation_updates)) == (50, 0, 1)
        assert client.ingest([an_event(0, tool="t")]).duplicates == 1

        events = list(client.events(agent_id="a/ä?"))
        assert [event.evaluation_id for event in events] == [f"e{n}" for n in reversed(range(250))]
        newest = events[0]
        assert (newest.agent_id, newest.tool_name, newest.passed, newest.total_latency_ms) == ("a/ä?", "t", False, 4.25)
        assert newest.created_at == "2026-05-07T14:04:09.000Z"
        assert client.event(newest.id) == newest
        assert [event.gates for event in client.events(failed_gate="g")] == [[repute.GateResult("g", False, 1.5, "no")]]
        assert len(list(client.events(passed=True, since="2026-05-07T14:01:00Z", until="2026-05-07T14:01:59.999Z"))) == 40
        assert [event.evaluation_id for event in client.events(agent_id="a/ä?", evaluation_id="e9")] == ["e9"]
        assert list(client.events(tool="other")) == []

        standing = client.reputation("a/ä?")
        assert (standing.evaluations, standing.passed, standing.status) == (250, 166, "active")
        assert newest.reputation_score == standing.score
        assert [one.status for one in client.reputations(["nobody", "a/ä?"])] == ["new", "active"]

        client.register_agent("b")
        agents = {agent.agent_id: agent for agent in client.agents(order="agent_id", reputation=True)}
        assert (agents["b"].eval_count, agents["b"].status) == (0, "new")
        assert (agents["a/ä?"].eval_count, agents["a/ä?"].score) == (250, standing.score)


def test_any_name_is_asked_for_but_an_empty_one(shared_server: RealServer) -> None:
    with repute.Client(shared_server.url, PUBLISHABLE) as client:
        for name in (".", ".."):
            client.ingest([an_event(1, agent_id=name)])
            assert (client.reputation(name).agent_id, client.reputation(name).evaluations) == (name, 1)
        with pytest.raises(ValueError, match="agent_id: "):
            client.reputation("")


def test_agents_are_listed_to_the_end(server: RealServer) -> None:
    with repute.Client(server.url, PUBLISHABLE) as client:
        for first in range(0, 1200, 100):
            client.ingest([an_event(n, agent_id=f"agent-{n:04d}") for n in range(first, first + 100)])
        expected = [f"agent-{n:04d}" for n in range(1200)]
        assert [agent.agent_id for agent in client.agents(order="agent_id")] == expected
        assert sorted(agent.agent_id for agent in client.agents()) == expected


def test_errors_say_what_the_server_said(shared_server: RealServer) -> None:
    with repute.Client(shared_server.url, PUBLISHABLE) as client:
        with pytest.raises(repute.InvalidRequest) as invalid:
            client.ingest([an_event(1), an_event(2, agent_id="")])
        error = invalid.value
        assert (error.status, error.code) == (400, "validation_error")
        assert error.message.startswith("events[1].agent_id")
        assert error.details is not None and error.details[0]["event"] == 1
        assert error.request_id and error.retry_after is None

        lenient = client.ingest([an_event(1, agent_id="lenient"), an_event(2, agent_id="")], lenient=True)
        assert (lenient.accepted, lenient.rejected[0]["event"]) == (1, 1)
        with pytest.raises(repute.NotFound):
            client.event("no-such-event")
        with pytest.raises(repute.InvalidRequest):
            client.reputations([])
        client.set_api_key("pk_live_" + "9" * 32)
        with pytest.raises(repute.AuthError) as unknown:
            client.whoami()
        assert (unknown.value.status, unknown.value.code) == (401, "auth_invalid")


def test_a_wrong_key_pauses_deliveries_and_a_good_one_ends_the_pause(shared_server: RealServer) -> None:
    warnings: List[str] = []
    with repute.Client(shared_server.url, "pk_live_" + "9" * 32, on_warning=warnings.append) as client:
        client.track("rotated", True)
        assert not client.flush(10)
        assert (client.books().state, client.books().waiting, len(warnings)) == ("paused", 1, 1)
        client.set_api_key(PUBLISHABLE)
        assert client.flush(10)
        assert client.books().state == "ready"


def test_bodies_are_signed_as_sent(shared_server: RealServer) -> None:
    with repute.Client(shared_server.url, PUBLISHABLE, secret_key=SECRET, gzip_above=0) as client:
        client.track("signed", True)
        assert client.flush(10)
        client.ingest([an_event(1, agent_id="signed")])
        assert [event.signed for event in client.events(agent_id="signed")] == [True, True]
    with repute.Client(shared_server.url, PUBLISHABLE, secret_key=SECRET, sign_time=True) as client:
        client.track("signed-with-time", True)
        assert client.flush(10)
        client.ingest([an_event(1, agent_id="signed-with-time")])
        assert [event.signed for event in client.events(agent_id="signed-with-time")] == [True, True]
    with repute.Client(shared_server.url, PUBLISHABLE, secret_key="sk_live_" + "0" * 32) as client:
        with pytest.raises(repute.AuthError) as wrong:
            client.ingest([an_event(1)])
        assert wrong.value.code == "hmac_invalid"


def test_a_late_event_and_one_of_the_future_are_noted_once(shared_server: RealServer) -> None:
    warnings: List[str] = []
    with repute.Client(shared_server.url, PUBLISHABLE, on_warning=warnings.append) as client:
        for year in ("2999", "2999"):
            client.track("noted", True, timestamp=f"{year}-01-01T00:00:00Z")
        assert client.flush(10)
        client.track("noted", True, timestamp="2999-01-01T00:00:00Z")
        assert client.flush(10)
        assert client.books().clamped == 3
    assert len(warnings) == 1 and "clamped" in warnings[0]


def test_evaluate_is_asked_with_an_id_and_so_may_be_tried_again() -> None:
    with ScriptedServer([UNAVAILABLE, "cut", {"status": 200, "body": {**EVALUATED, "news": 1}}]) as server:
        with repute.Client(server.url, KEY, secret_key=SECRET, retry_base=0.001) as client:
            verdict = client.evaluate("a", None, tool="t", latency_ms=3)
    assert verdict == repute.Evaluated(
        "x", False, [repute.GateResult("pii", False, 1, "email", False, {"kind": "email"})], 1, repute.Standing(**STANDING)
    )
    assert len({sent.raw for sent in server.sent}) == 1
    asked = server.sent[0].json
    assert len(asked.pop("evaluation_id")) == 22
    assert asked == {"agent_id": "a", "output": None, "tool": "t", "latency_ms": 3}
    digest = hmac.new(SECRET.encode(), server.sent[0].raw, hashlib.sha256).hexdigest()
    assert server.sent[0].headers["x-pecta-signature"] == f"sha256={digest}"


def test_the_servers_own_gates_judge_an_output(shared_server: RealServer) -> None:
    with repute.Client(shared_server.url, PUBLISHABLE, secret_key=SECRET) as client:
        good = client.evaluate("judged", {"text": "hello"}, tool="t", input="a question", latency_ms=12.5, evaluation_id="e1")
        assert (good.passed, good.evaluation_id, good.reputation.eval_count, good.duplicate) == (True, "e1", 1, False)
        assert {gate.name for gate in good.gates} == {"filesystem", "pii", "content"}
        assert client.evaluate("judged", {"text": "hello"}, evaluation_id="e1").duplicate
        bad = client.evaluate("judged", "write to somebody@example.org")
        assert not bad.passed and [gate.name for gate in bad.gates if not gate.passed] == ["pii"]
        newest, oldest = client.events(agent_id="judged")
        assert (newest.passed, newest.source, newest.evaluation_id) == (False, "evaluate", bad.evaluation_id)
        assert (oldest.agent_latency_ms, oldest.tool_name, oldest.signed) == (12.5, "t", True)


def test_reads_are_tried_three_times_and_no_more() -> None:
    with ScriptedServer([UNAVAILABLE, {"status": 429}, UNAVAILABLE]) as server, repute.Client(server.url, KEY, retry_base=0.001) as client:
        with pytest.raises(repute.ServerError) as last:
            client.reputation("a")
    assert (last.value.status, last.value.message) == (503, "not kept: draining")
    assert not server.beyond
    with ScriptedServer(["cut", "cut", "cut"]) as server, repute.Client(server.url, KEY, retry_base=0.001) as client:
        with pytest.raises(repute.NetworkError):
            client.reputation("a")
    assert not server.beyond


def test_what_cannot_be_repeated_is_tried_once() -> None:
    with ScriptedServer([UNAVAILABLE]) as server, repute.Client(server.url, KEY, retry_base=0.001) as client:
        with pytest.raises(repute.ServerError):
            client.ingest([an_event(1)])
    assert not server.beyond


def test_a_long_retry_after_is_the_callers_to_wait_for() -> None:
    with ScriptedServer([{"status": 429, "headers": {"Retry-After": "60"}}]) as server, repute.Client(server.url, KEY) as client:
        with pytest.raises(repute.RateLimited) as limited:
            client.whoami()
    assert limited.value.retry_after == 60


@pytest.mark.parametrize("answer", [{"status": 200, "text": "<html>"}, {"status": 200, "body": []}, {"status": 200, "body": {"score": 1}}])
def test_what_is_no_answer_of_repute_is_an_error(answer: Dict[str, Any]) -> None:
    with ScriptedServer([answer]) as server, repute.Client(server.url, KEY) as client, pytest.raises(repute.ServerError):
        client.reputation("a")


def test_a_redirect_is_an_error_and_not_followed() -> None:
    with ScriptedServer([{"status": 302, "headers": {"Location": "/elsewhere"}}]) as server, repute.Client(server.url, KEY) as client:
        with pytest.raises(repute.ApiError) as wrong:
            client.whoami()
    assert (wrong.value.status, wrong.value.code) == (302, "http_302")
    assert not server.beyond


def test_an_answer_to_a_body_that_was_not_sent_to_its_end_is_read() -> None:
    body = b'{"error":"too large","code":"payload_too_large","status":413}'
    answer = b"HTTP/1.1 413 Payload Too Large\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    def refuse(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(100)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        refusing = threading.Thread(target=refuse, args=(listener,))
        refusing.start()
        with repute.Client(f"http://127.0.0.1:{listener.getsockname()[1]}", KEY) as client, pytest.raises(repute.ApiError) as wrong:
            client.evaluate("a", "x" * 20_000_000)
        refusing.join()
    assert (wrong.value.status, wrong.value.code) == (413, "payload_too_large")


def test_the_url_may_have_a_path() -> None:
    with ScriptedServer([{"status": 202}, {"status": 404}]) as server, repute.Client(server.url + "/base/", KEY) as client:
        client.track("a", True)
        assert client.flush(5)
        with pytest.raises(repute.NotFound):
            client.whoami()
    assert [sent.path for sent in server.sent] == ["/base/v1/ingest", "/base/v1/whoami"]


def test_threads_share_a_client(shared_server: RealServer) -> None:
    scores: List[int] = []
    with repute.Client(shared_server.url, PUBLISHABLE) as client:
        ask = [threading.Thread(target=lambda: scores.extend(client.reputation("nobody").score for _ in range(20))) for _ in range(16)]
        for thread in ask:
            thread.start()
        for thread in ask:
            thread.join()
        assert len(client._caller._idle) <= 8
    assert scores == [0] * 320


def test_a_connection_that_the_server_ended_is_made_anew(server: RealServer) -> None:
    with repute.Client(server.url, PUBLISHABLE) as client:
        client.track("a", True)
        assert client.flush(10) and client.whoami()
        server.kill()
        server.start()
        client.track("a", True)
        assert client.flush(10) and client.whoami()
        assert (client.books().requests, client.books().retries) == (2, 0)
        assert json.dumps(client.reputation("a").evaluations) == "2"
