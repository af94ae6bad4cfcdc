"""A server on loopback that plays the answers of a case, one for each request, and keeps what it was sent."""

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Dict, List, Optional, Union

Script = Union[str, List[Any]]


class Sent:
    """A request as it came."""

    def __init__(self, handler: BaseHTTPRequestHandler, raw: bytes) -> None:
        self.method = handler.command
        self.path = handler.path
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        self.raw = raw
        self.gzipped = self.headers.get("content-encoding") == "gzip"
        body = gzip.decompress(raw) if self.gzipped else raw
        self.json: Any = json.loads(body) if body else None


class ScriptedServer:
    """`answers` is as `sdk/vectors/README.md` describes them, or comes only `after_s`. A request beyond them is kept in `beyond`."""

    def __init__(self, answers: Script) -> None:
        self.sent: List[Sent] = []
        self.beyond: List[Sent] = []
        self._answers = answers
        self._over = threading.Event()
        self._lock = threading.Lock()
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                script.play(self)

            do_POST = do_GET = answer

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def __enter__(self) -> "ScriptedServer":
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._http.shutdown()
        self._http.server_close()

    @property
    def used_up(self) -> bool:
        return isinstance(self._answers, str) or len(self.sent) >= len(self._answers)

    def play(self, handler: BaseHTTPRequestHandler) -> None:
        sent = Sent(handler, handler.rfile.read(int(handler.headers.get("Content-Length", 0))))
        with self._lock:
            answer = self._next(sent)
        if answer == "cut":
            handler.close_connection = True
        elif answer == "cut the answer":
            handler.wfile.write(b'HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\n{"accepted"')
            handler.close_connection = True
        elif answer == "silence":
            self._over.wait(30)
            handler.close_connection = True
        elif isinstance(answer, dict):
            self._over.wait(answer.get("after_s", 0))
            said(handler, answer["status"], answer.get("headers", {}), answer.get("body"), answer.get("text", ""))

    def _next(self, sent: Sent) -> Union[str, Dict[str, Any]]:
        if isinstance(self._answers, str):
            self.sent.append(sent)
            takes = int(self._answers.rpartition(" ")[2])
            events = len(sent.json["events"])
            if events <= takes:
                return {"status": 202, "body": {"accepted": events, "reputation_updates": []}}
            return {"status": 413, "body": {"error": "send fewer", "code": "body_too_large", "status": 413}}
        if len(self.sent) == len(self._answers):
            self.beyond.append(sent)
            return "cut"
        self.sent.append(sent)
        answer: Union[str, Dict[str, Any]] = self._answers[len(self.sent) - 1]
        return answer


def said(handler: BaseHTTPRequestHandler, status: int, headers: Dict[str, str], body: Optional[object], text: str) -> None:
    data = json.dumps(body).encode() if body is not None else text.encode()
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)
