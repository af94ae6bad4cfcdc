#!/usr/bin/env python3
"""A bad network between a client and a server: an HTTP/1.1 proxy on loopback that breaks what passes through it.

    python3 unkind_proxy.py --upstream 127.0.0.1:8080 --seed 7 --unavailable 0.05 --lose-answer 0.05 --duplicate 0.05

It prints `listening on http://127.0.0.1:<port>` and serves until it is ended (SIGTERM, SIGINT, or the end of its standard input with
`--stdin`). Then it prints one line of JSON: how many requests came, and how many met each fault.

Each fault has a probability, and a request meets at most one. The faults are drawn from `--seed`, one for each request in the order of
arrival, so that a run with one client can be repeated:

    delay        nothing is sent on for up to --delay-ms
    refuse       the connection is reset before the request is read
    cut-request  half of the request is sent on, then both sides are cut
    lose-answer  the server gets the request; its answer is not passed on, the connection is reset
    cut-answer   half of the answer is passed on, then the connection ends
    throttle     429 from the proxy itself, with Retry-After: 1 every other time; the server never hears of it
    unavailable  503, alike
    duplicate    the server gets the request twice; the client gets the second answer
    replay       the server gets the request once more, after it was answered and another one came
    hang         the server gets the request; the connection stays open for --hang-ms without an answer

With `--stdin`, lines on standard input steer it: `kind` (no more faults), `unkind`, `upstream HOST:PORT` (the server moved), `counts`
(prints the line of JSON now).
"""

import argparse
import asyncio
import json
import random
import signal
import socket
import struct
import sys

FAULTS = (
    "delay",
    "refuse",
    "cut-request",
    "lose-answer",
    "cut-answer",
    "throttle",
    "unavailable",
    "duplicate",
    "replay",
    "hang",
)
MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 32 * 1024 * 1024
UPSTREAM_TIMEOUT_S = 30


class Ended(Exception):
    """One side has no more to say."""


class Proxy:
    """The state of the bad network: where the server is, what goes wrong next, and what went wrong so far."""

    def __init__(self, upstream, probabilities, seed, delay_ms, hang_ms):
        self.upstream = upstream
        self.probabilities = probabilities
        self.random = random.Random(seed)
        self.delay_ms = delay_ms
        self.hang_ms = hang_ms
        self.kind = False
        self.counts = {"requests": 0, "no-upstream": 0, **{fault: 0 for fault in FAULTS}}
        self.to_replay = []

    def next_fault(self):
        """The fault that the next request meets, if any, and a number from 0 to 1 that says how it goes.

        It always draws twice, so that `kind` does not shift what follows.
        """
        draw, luck = self.random.random(), self.random.random()
        if self.kind:
            return None, luck
        for fault, probability in self.probabilities.items():
            if draw < probability:
                return fault, luck
            draw -= probability
        return None, luck

    async def serve(self, reader, writer):
        """One client's connection: its requests, one after the other."""
        try:
            while await self.exchange(reader, writer):
                pass
        except (Ended, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.TimeoutError):
            pass
        finally:
            writer.close()

    async def exchange(self, reader, writer):
        """One request and its answer; whether another may follow on this connection."""
        head = await read_head(reader)
        self.counts["requests"] += 1
        fault, luck = self.next_fault()
        if fault:
            self.counts[fault] += 1
        if fault == "refuse":
            reset(writer)
            return False
        body = await read_body(reader, head, writer)
        request = one_request(head, body)
        replays, self.to_replay = self.to_replay, []
        for earlier in replays:
            await self.ask_quietly(earlier)

        if fault == "throttle":
            return await answer(writer, 429, "Too Many Requests", "rate_limited", luck < 0.5)
        if fault == "unavailable":
            return await answer(writer, 503, "Service Unavailable", "unavailable", luck < 0.5)
        if fault == "cut-request":
            await self.send_half(request)
            reset(writer)
            return False
        if fault == "delay":
            await asyncio.sleep(luck * self.delay_ms / 1000)
        if fault == "duplicate":
            await self.ask_quietly(request)
        try:
            reply = await self.ask(request)
        except (Ended, OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            # The server is down, or went down meanwhile: the client sees its connection end.
            self.counts["no-upstream"] += 1
            reset(writer)
            return False
        if fault == "replay":
            self.to_replay.append(request)
        if fault == "hang":
            await asyncio.sleep(self.hang_ms / 1000)
            return False
        if fault == "lose-answer":
            reset(writer)
            return False
        if fault == "cut-answer":
            writer.write(reply[: len(reply) // 2])
            await writer.drain()
            return False
        writer.write(reply)
        await writer.drain()
        return True

    async def ask(self, request):
        """The server's whole answer."""
        reader, writer = await asyncio.open_connection(*self.upstream, limit=MAX_HEAD_BYTES)
        try:
            writer.write(request)
            await writer.drain()
            return await asyncio.wait_for(read_answer(reader), UPSTREAM_TIMEOUT_S)
        finally:
            writer.close()

    async def ask_quietly(self, request):
        try:
            await self.ask(request)
        except (Ended, OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            pass

    async def send_half(self, request):
        try:
            _, writer = await asyncio.open_connection(*self.upstream)
            writer.write(request[: len(request) // 2])
            await writer.drain()
            reset(writer)
        except OSError:
            pass

    def obey(self, line):
        """One line of standard input."""
        word, _, rest = line.strip().partition(" ")
        if word in ("kind", "unkind"):
            self.kind = word == "kind"
        elif word == "upstream":
            self.upstream = address(rest)
        elif word == "counts":
            self.report()
        elif word:
            print(f"unknown command: {word}", file=sys.stderr)

    def report(self):
        print(json.dumps(self.counts), flush=True)


async def read_head(reader):
    """The bytes up to and with the blank line."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        raise Ended from error


def headers_of(head):
    """Names in lower case, as texts; the last of a repeated name."""
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {name.strip().lower(): value.strip() for name, value in pairs}


async def read_body(reader, head, writer=None):
    """The body that the head announces, with any chunks put together."""
    headers = headers_of(head)
    if writer and headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            if len(body) + size > MAX_BODY_BYTES:
                raise Ended
            body += (await reader.readexactly(size + 2))[:-2]
        while await reader.readuntil(b"\r\n") != b"\r\n":
            pass
        return body
    length = int(headers.get("content-length", "0"))
    if length > MAX_BODY_BYTES:
        raise Ended
    return await reader.readexactly(length)


def one_request(head, body):
    """The request for a connection of its own, its body of a stated length."""
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    hop = ("connection", "keep-alive", "transfer-encoding", "content-length", "expect")
    kept = [line for line in lines if line.split(":", 1)[0].strip().lower() not in hop]
    lines = [first, *kept, f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


async def read_answer(reader):
    """The server's answer, fit for a connection that stays open."""
    head = await read_head(reader)
    status = head.split(b" ", 2)[1]
    body = b"" if status in (b"204", b"304") else await read_body(reader, head)
    hop = ("connection", "keep-alive", "transfer-encoding", "content-length")
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    kept = [line for line in lines if line.split(":", 1)[0].strip().lower() not in hop]
    lines = [first, *kept, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


async def answer(writer, status, phrase, code, with_retry_after):
    """An answer of the proxy's own."""
    body = json.dumps({"error": "the unkind proxy says no", "code": code, "status": status}).encode()
    retry = "Retry-After: 1\r\n" if with_retry_after else ""
    head = f"HTTP/1.1 {status} {phrase}\r\nContent-Type: application/json\r\n{retry}Content-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    return True


def reset(writer):
    """Ends a connection with a reset, not with a polite end."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def address(text):
    host, _, port = text.strip().rpartition(":")
    return host, int(port)


def arguments():
    parser = argparse.ArgumentParser(description="A bad network between a client and a server.")
    parser.add_argument("--upstream", required=True, type=address, help="HOST:PORT of the real server")
    parser.add_argument("--listen", default=("127.0.0.1", 0), type=address, help="HOST:PORT; port 0 picks a free one")
    parser.add_argument("--seed", default=1, type=int)
    parser.add_argument("--delay-ms", default=50, type=int)
    parser.add_argument("--hang-ms", default=1000, type=int)
    parser.add_argument("--stdin", action="store_true", help="take commands from standard input, end with it")
    for fault in FAULTS:
        parser.add_argument(f"--{fault}", default=0.0, type=float, metavar="P", help="its probability")
    return parser.parse_args()


async def main():
    options = arguments()
    probabilities = {fault: getattr(options, fault.replace("-", "_")) for fault in FAULTS}
    proxy = Proxy(options.upstream, probabilities, options.seed, options.delay_ms, options.hang_ms)
    server = await asyncio.start_server(proxy.serve, *options.listen, limit=MAX_HEAD_BYTES)
    host, port = server.sockets[0].getsockname()[:2]
    print(f"listening on http://{host}:{port}", flush=True)

    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    for ending in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(ending, over.set)
    commands = asyncio.create_task(obey_stdin(proxy, over)) if options.stdin else None
    await over.wait()
    server.close()
    if commands:
        commands.cancel()
    proxy.report()


async def obey_stdin(proxy, over):
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        proxy.obey(line.decode())
    over.set()


if __name__ == "__main__":
    asyncio.run(main())
