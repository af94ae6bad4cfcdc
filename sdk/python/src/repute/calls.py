"""The typed calls: one request each (or one a page), in the caller's thread."""

from datetime import datetime
from typing import Dict, Iterable, Iterator, List, Mapping, Optional, Tuple, Type, TypeVar, Union
from urllib.parse import quote, urlencode

from . import model
from .caller import Caller, as_json
from .errors import ServerError
from .event import batch_body
from .identity import new_evaluation_id
from .timestamp import as_text

EVENTS_PAGE = 100
AGENTS_PAGE = 500
T = TypeVar("T")
Time = Union[str, datetime]


class Calls:
    """The calls as they are, for any number of threads."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def evaluate(
        self,
        agent_id: str,
        output: object,
        *,
        tool: Optional[str] = None,
        input: object = None,
        latency_ms: Optional[float] = None,
        evaluation_id: Optional[str] = None,
    ) -> model.Evaluated:
        """Has the server's gates judge an output, and records the verdict.

        The request has an `evaluation_id`, made here if none is given: so it may be tried again and is recorded once.
        """
        asked: Dict[str, object] = {"agent_id": agent_id, "output": output, "evaluation_id": evaluation_id or new_evaluation_id()}
        if tool is not None:
            asked["tool"] = tool
        if input is not None:
            asked["input"] = input
        if latency_ms is not None:
            asked["latency_ms"] = latency_ms
        return self._read(model.Evaluated, self._caller.call("POST", "/v1/evaluate", asked, again=True))

    def events(
        self,
        *,
        agent_id: Optional[str] = None,
        passed: Optional[bool] = None,
        since: Optional[Time] = None,
        until: Optional[Time] = None,
        tool: Optional[str] = None,
        failed_gate: Optional[str] = None,
        evaluation_id: Optional[str] = None,
    ) -> Iterator[model.RecordedEvent]:
        """All events that match, newest first, page by page as they are taken. Events that arrive meanwhile do not shift them."""
        cursor: Optional[str] = None
        while True:
            page, cursor = self.events_page(cursor, agent_id, passed, since, until, tool, failed_gate, evaluation_id)
            yield from page
            if cursor is None:
                return

    def events_page(
        self,
        cursor: Optional[str],
        agent_id: Optional[str],
        passed: Optional[bool],
        since: Optional[Time],
        until: Optional[Time],
        tool: Optional[str],
        failed_gate: Optional[str],
        evaluation_id: Optional[str],
    ) -> Tuple[List[model.RecordedEvent], Optional[str]]:
        """One page, and the cursor of the next one, if there is one. A page may be short and still have a next one."""
        said = self._caller.call(
            "GET",
            "/v1/events?"
            + _query(
                limit=EVENTS_PAGE,
                cursor=cursor,
                agent_id=agent_id,
                passed=passed,
                to=None if until is None else as_text(until),
                tool=tool,
                failed_gate=failed_gate,
                evaluation_id=evaluation_id,
                **{"from": None if since is None else as_text(since)},
            ),
            again=True,
        )
        return self._page(model.RecordedEvent, said, "events")

    def event(self, id: str) -> model.RecordedEvent:
        return self._read(model.RecordedEvent, self._caller.call("GET", f"/v1/events/{_segment(id)}", again=True))

    def reputation(self, agent_id: str) -> model.Reputation:
        """An agent never seen has zeros and the status `new`. Raises `ValueError` for an empty id."""
        if not agent_id:
            raise ValueError("agent_id: missing or empty")
        return self._read(model.Reputation, self._caller.call("GET", f"/v1/reputation/{_segment(agent_id)}", again=True))

    def reputations(self, agent_ids: Iterable[str]) -> List[model.Reputation]:
        """Of 1 to 100 agents, in the order asked."""
        query = urlencode([("agent_id", agent_id) for agent_id in agent_ids])
        said = self._caller.call("GET", f"/v1/reputation?{query}", again=True)
        return self._page(model.Reputation, said, "reputations")[0]

    def agents(self, *, order: str = "last_seen", reputation: bool = False) -> Iterator[model.Agent]:
        """All agents; `order` is `last_seen` (newest first) or `agent_id`. `reputation` adds `score` and `status`."""
        cursor: Optional[str] = None
        while True:
            page, cursor = self.agents_page(cursor, order, reputation)
            yield from page
            if cursor is None:
                return

    def agents_page(self, cursor: Optional[str], order: str, reputation: bool) -> Tuple[List[model.Agent], Optional[str]]:
        include = "reputation" if reputation else None
        query = _query(limit=AGENTS_PAGE, order=order, cursor=cursor, include=include)
        return self._page(model.Agent, self._caller.call("GET", f"/v1/agents?{query}", again=True), "agents")

    def register_agent(self, agent_id: str) -> None:
        """Makes an agent known before its first event. Changes nothing where it is known."""
        self._caller.call("POST", "/v1/agents", {"agent_id": agent_id}, again=True)

    def whoami(self) -> model.Whoami:
        return self._read(model.Whoami, self._caller.call("GET", "/v1/whoami", again=True))

    def ingest(self, events: Iterable[Mapping[str, object]], *, lenient: bool = False) -> model.Ingested:
        """Sends 1 to 100 events as they are, once, and returns when they are durable. `track` is what most want.

        `lenient` takes the good ones where some are bad. Not tried again: an event without an id would count twice.
        """
        headers = {"Prefer": "handling=lenient"} if lenient else {}
        body = batch_body(as_json(event) for event in events)
        return self._read(model.Ingested, self._caller.call("POST", "/v1/ingest", body, again=False, headers=headers))

    def _read(self, kind: Type[T], said: object) -> T:
        try:
            return model.read(kind, said)
        except ValueError as failure:
            raise ServerError(200, "http_200", f"the answer is not one of Repute: {failure}") from failure

    def _page(self, kind: Type[T], said: object, name: str) -> Tuple[List[T], Optional[str]]:
        try:
            if not isinstance(said, dict):
                raise ValueError("not an object")
            return model.read_list(kind, said.get(name)), said.get("next_cursor")
        except ValueError as failure:
            raise ServerError(200, "http_200", f"the answer is not one of Repute: {failure}") from failure


def _query(**values: Union[str, int, bool, None]) -> str:
    pairs = {name: str(value).lower() if isinstance(value, bool) else value for name, value in values.items() if value is not None}
    return urlencode(pairs)


def _segment(text: str) -> str:
    return quote(text, safe="")
