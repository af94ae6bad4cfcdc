"""One request of a typed call: the connections it may use, the tries it has, and the error it becomes."""

import json
import threading
import time
from random import Random
from typing import Dict, List, Optional

from .backoff import retry_after_s, wait_s
from .credentials import Credentials
from .errors import ApiError, NetworkError, ServerError, class_of
from .settings import Settings
from .transport import Answer, Connection, NoAnswer

TRIES = 3
MAX_IDLE_CONNECTIONS = 8


class Caller:
    """For any number of threads."""

    def __init__(self, settings: Settings, credentials: Credentials) -> None:
        self._settings = settings
        self._credentials = credentials
        self._random = Random()
        self._idle: List[Connection] = []
        self._lock = threading.Lock()

    def call(self, method: str, path: str, asked: object = None, *, again: bool, headers: Optional[Dict[str, str]] = None) -> object:
        """The answer as JSON. Raises `ApiError`, `NetworkError`. `again`: it may be tried again where that may help."""
        body = asked if asked is None or isinstance(asked, bytes) else as_json(asked)
        sent = {"Content-Type": "application/json"} if body is not None else {}
        tries = TRIES if again else 1
        for failures in range(1, tries + 1):
            try:
                answer = self._exchange(method, path, {**sent, **(headers or {}), **self._credentials.headers(body)}, body)
                if 200 <= answer.status < 300:
                    return json.loads(answer.body)
                error = _error(answer)
                if failures == tries or (answer.status not in (408, 429) and answer.status < 500):
                    raise error
                wait = error.retry_after
                if wait is not None and wait > self._settings.request_timeout:
                    raise error
            except NoAnswer as failure:
                if failures == tries:
                    raise NetworkError(str(failure)) from failure
                wait = None
            except ValueError as failure:
                raise ServerError(answer.status, f"http_{answer.status}", "the answer is not JSON") from failure
            time.sleep(wait or wait_s(failures, self._settings.retry_base, self._settings.retry_max, self._random))
        raise AssertionError("every try returns or raises")

    def _exchange(self, method: str, path: str, headers: Dict[str, str], body: Optional[bytes]) -> Answer:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = Connection(self._settings.url, self._settings.ssl_context)
        answer = connection.request(method, path, headers, body, self._settings.request_timeout)
        with self._lock:
            if len(self._idle) < MAX_IDLE_CONNECTIONS:
                self._idle.append(connection)
                return answer
        connection.close()
        return answer

    def forget(self) -> None:
        """In the child of a fork: the connections are the parent's."""
        for connection in self._idle:
            connection.close()
        self._idle = []
        self._lock = threading.Lock()
        self._random = Random()

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


def _error(answer: Answer) -> ApiError:
    try:
        said = json.loads(answer.body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        said = {}
    code, message, details = said.get("code"), said.get("error"), said.get("details")
    return class_of(answer.status)(
        answer.status,
        code if isinstance(code, str) else f"http_{answer.status}",
        message if isinstance(message, str) else "the answer is not one of Repute",
        details if isinstance(details, list) else None,
        answer.headers.get("x-request-id"),
        retry_after_s(answer.headers.get("retry-after")),
    )


def as_json(value: object) -> bytes:
    """Raises `TypeError` or `ValueError` for what JSON cannot hold. Escapes carry lone surrogates; the server reads them as U+FFFD."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")
