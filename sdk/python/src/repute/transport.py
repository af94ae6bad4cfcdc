"""One HTTP connection to the server, kept open, with a deadline for each request as a whole."""

import io
import selectors
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from importlib import import_module
from typing import Dict, Optional
from urllib.parse import urlsplit

from .version import VERSION

# The look-up of a host would import this codec; a fork in the middle of that would leave the import locked in the child.
import_module("encodings.idna")

MAX_ANSWER_BYTES = 64 * 1024 * 1024
USER_AGENT = f"repute-python/{VERSION}"


class NoAnswer(Exception):
    """The network or the server gave no answer, or only a part of one, within the time."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Dict[str, str]
    """By lower-case name."""
    body: bytes


class Connection:
    """For one thread at a time. Connects when it is first used, and again when the server ended it meanwhile."""

    def __init__(self, url: str, ssl_context: Optional[ssl.SSLContext]) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._secure else 80)
        self._path = parts.path.rstrip("/")
        self._ssl_context = ssl_context
        self._http: Optional[HTTPConnection] = None

    def request(self, method: str, path: str, headers: Dict[str, str], body: Optional[bytes], timeout_s: float) -> Answer:
        """One request and its answer, no redirect followed. Raises `NoAnswer`."""
        deadline = time.monotonic() + timeout_s
        try:
            http = self._connected(deadline)
            http.sock.settimeout(_left(deadline))
            # A server that refuses a body may answer and hang up before all of it was sent.
            with suppress(BrokenPipeError, ConnectionResetError):
                http.request(method, self._path + path, body, {"User-Agent": USER_AGENT, **headers})
            http.response_class = lambda sock, *args, **kw: _Timed(sock, deadline, *args, **kw)  # type: ignore[assignment]
            response = http.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            answer = response.read(MAX_ANSWER_BYTES + 1)
            if len(answer) > MAX_ANSWER_BYTES:
                raise NoAnswer("the answer is too large")
            # `read` with a length does not complain of an answer that is shorter than it said.
            if response.length:
                raise NoAnswer("the answer was cut")
            if response.will_close:
                self.close()
            return Answer(response.status, told, answer)
        except NoAnswer:
            self.close()
            raise
        except (OSError, HTTPException, ValueError) as error:
            self.close()
            raise NoAnswer(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Also right in the child of a fork: it closes the child's descriptor and says nothing to the server."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def _connected(self, deadline: float) -> HTTPConnection:
        if self._http is not None and _ended(self._http.sock):
            self.close()
        if self._http is None:
            self._http = self._new(_left(deadline))
            self._http.connect()
        return self._http

    def _new(self, timeout_s: float) -> HTTPConnection:
        if not self._secure:
            return HTTPConnection(self._host, self._port, timeout=timeout_s)
        if self._ssl_context is None:
            self._ssl_context = ssl.create_default_context()
        return HTTPSConnection(self._host, self._port, timeout=timeout_s, context=self._ssl_context)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise NoAnswer("no answer in time")
    return left


def _ended(sock: Optional[socket.socket]) -> bool:
    """Whether the server ended a connection that nothing is expected from: then it has something to read."""
    if sock is None or sock.fileno() < 0:
        return True
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(0))


class _Timed(HTTPResponse):
    """An answer that is read until the deadline, not for a timeout each time a byte comes."""

    def __init__(self, sock: socket.socket, deadline: float, *args: object, **kw: object) -> None:
        super().__init__(sock, *args, **kw)  # type: ignore[arg-type]
        self.fp.close()
        self.fp = io.BufferedReader(_Reader(sock, deadline))


class _Reader(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, into: "memoryview") -> Optional[int]:  # type: ignore[override]
        self._sock.settimeout(_left(self._deadline))
        return self._raw.readinto(into)

    def close(self) -> None:
        self._raw.close()
        super().close()
