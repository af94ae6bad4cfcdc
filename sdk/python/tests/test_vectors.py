"""Every case of `sdk/vectors`."""

import base64
import gzip
import json
import re
import time
from email.utils import parsedate_to_datetime
from random import Random
from typing import Any, Dict, List, Optional

import pytest
import vectors
from conftest import KEY
from scripted_server import ScriptedServer
from waiting import until

import repute
from repute import timestamp
from repute.backoff import retry_after_s, wait_s
from repute.credentials import signature_headers
from repute.event import batch_body

NEVER_S = 86_400


def cases(name: str) -> List[Any]:
    return [pytest.param(case, id=case["name"]) for case in vectors.load(name)["cases"] if "python" not in case.get("not_in", [])]


@pytest.mark.parametrize("case", cases("events.json"))
def test_an_event_becomes_valid(case: Dict[str, Any]) -> None:
    with ScriptedServer([{"status": 202}]) as server:
        settings = vectors.settings(case.get("settings", {}))
        client = repute.Client(server.url, KEY, flush_interval=NEVER_S, **settings)
        client.track(**vectors.value(case["track"]))
        client.flush(5)
        books = client.books()
        client.shutdown()
    assert books.balance
    assert books.tracked == 1
    assert books.cut == case.get("cut", {})
    if "dropped" in case:
        assert books.dropped == {case["dropped"]: 1}
        assert not server.sent
        return
    [event] = server.sent[0].json["events"]
    made = {field: event.pop(field) for field in case.get("made", [])}
    assert event == vectors.value(case["becomes"])
    if "evaluation_id" in made:
        assert re.fullmatch("[A-Za-z0-9]{22}", made["evaluation_id"])
    if "timestamp" in made:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", made["timestamp"])


@pytest.mark.parametrize("text", vectors.load("timestamps.json")["taken"])
def test_a_time_is_taken(text: str) -> None:
    assert timestamp.is_taken(text)


@pytest.mark.parametrize("text", vectors.load("timestamps.json")["not_taken"])
def test_a_time_is_not_taken(text: str) -> None:
    assert not timestamp.is_taken(text)


@pytest.mark.parametrize("case", vectors.load("timestamps.json")["written"])
def test_a_time_is_written(case: Dict[str, Any]) -> None:
    assert timestamp.written(case["unix_ms"]) == case["text"]
    assert timestamp.is_taken(case["text"])


@pytest.mark.parametrize("case", vectors.load("backoff.json")["waits"])
def test_the_wait_before_a_try_is_random_up_to_its_bound(case: Dict[str, Any]) -> None:
    random = Random(7)
    bound = case["at_most_ms"] / 1000
    waits = [wait_s(case["failures"], case["retry_base_ms"] / 1000, case["retry_max_ms"] / 1000, random) for _ in range(1000)]
    assert min(waits) >= 0 and max(waits) <= bound
    assert max(waits) > bound / 2 or bound == 0


@pytest.mark.parametrize("case", vectors.load("backoff.json")["retry_after"])
def test_retry_after_is_read(case: Dict[str, Any]) -> None:
    now = parsedate_to_datetime(case["now"]).timestamp()
    wait = retry_after_s(case["header"], now)
    assert (None if wait is None else round(wait * 1000)) == case["wait_ms"]


@pytest.mark.parametrize("case", vectors.load("signatures.json")["cases"])
def test_a_body_is_signed(case: Dict[str, Any]) -> None:
    expected = {"X-Pecta-Signature": case["header"]}
    if "unix_s" in case:
        expected["X-Repute-Timestamp"] = str(case["unix_s"])
    assert signature_headers(case["secret_key"], base64.b64decode(case["body_base64"]), case.get("unix_s")) == expected


@pytest.mark.parametrize("case", vectors.load("gzip.json")["cases"])
def test_a_body_above_the_size_is_compressed(case: Dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    body = b" " * case["body_bytes"]
    sent: List[Dict[str, Any]] = []

    def request(_: object, method: str, path: str, headers: Dict[str, str], body: Optional[bytes], timeout_s: float) -> Any:
        sent.append({**headers, "body": body})
        return repute.transport.Answer(202, {}, b"")

    # A body of that very size is no event: the two ends of the step under test are replaced, not the step.
    monkeypatch.setattr("repute.delivery.batch_body", lambda lines: body)
    monkeypatch.setattr("repute.transport.Connection.request", request)
    client = repute.Client("http://127.0.0.1:9", KEY, gzip_above=case["gzip_above"])
    client.track("a", True)
    assert client.flush(5)
    client.shutdown()
    assert ("Content-Encoding" in sent[0]) == case["gzip"]
    assert (gzip.decompress(sent[0]["body"]) if case["gzip"] else sent[0]["body"]) == body


def numbers(ranges: str) -> List[str]:
    """`"0-2,5"` as the texts of these numbers."""
    ends = (part.partition("-") for part in ranges.split(","))
    return [str(n) for low, _, high in ends for n in range(int(low), int(high or low) + 1)]


def as_written(books: repute.Books) -> Dict[str, Any]:
    fields = ("tracked", "delivered", "waiting", "duplicates", "late", "clamped", "refused", "dropped")
    return {field: getattr(books, field) for field in fields if getattr(books, field)}


@pytest.mark.parametrize("case", cases("deliveries.json"))
def test_a_delivery(case: Dict[str, Any]) -> None:
    warnings: List[str] = []
    with ScriptedServer(case["answers"]) as server:
        settings = {"flush_interval": NEVER_S, "flush_at": 1_000_000, **vectors.settings(case.get("settings", {}))}
        client = repute.Client(server.url, KEY, on_warning=warnings.append, **settings)
        for n in range(case["track"]):
            client.track("a", n not in case.get("failed", []), tool=str(n), timestamp="2026-05-07T14:22:10.000Z", evaluation_id=f"e{n}")
        client._delivery.flush()
        if case.get("then") == "set_api_key":
            until(lambda: client.books().state == "paused", "a pause")
            assert client.books().waiting == case["track"]
            client.set_api_key("pk_live_" + "1" * 32)

        def come_to() -> bool:
            books = client.books()
            told = len(warnings) >= len(case.get("warned", []))
            return told and server.used_up and as_written(books) == case["books"] and books.state == case.get("state", books.state)

        until(come_to, f"{case['books']} {case.get('state')}")
        time.sleep(0.02)  # whatever else it would send
        books = client.books()
        assert as_written(books) == case["books"]
        assert books.balance
        for word, count in case.get("calls", {}).items():
            assert getattr(books, word) == count, word
        assert [[event["tool"] for event in sent.json["events"]] for sent in server.sent] == [numbers(one) for one in case["requests"]]
        assert not server.beyond
        if "gzip" in case:
            assert [sent.gzipped for sent in server.sent] == case["gzip"]
        keys = {sent.headers["authorization"] for sent in server.sent}
        assert len(keys) == (2 if case.get("then") == "set_api_key" else min(1, len(server.sent)))
        words = case.get("warned", [])
        assert len(warnings) == len(words) and all(sum(word in text for text in warnings) == 1 for word in words), warnings
        client.shutdown(0)
        if "at_end" in case:
            assert as_written(client.books()) == case["at_end"]
        assert client.books().balance


def test_the_body_is_a_batch() -> None:
    assert json.loads(batch_body([b"{}", b'{"a":1}'])) == {"events": [{}, {"a": 1}]}
