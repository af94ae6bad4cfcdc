"""A stdio server that does what it is told: the parameters of each message say what it writes, or how it ends.

Usage: server.py [FILE]; every line that reaches it is appended to FILE.
"""

import json
import os
import sys

RECEIVED = open(sys.argv[1], "ab", 0) if len(sys.argv) > 1 else None
OUT = sys.stdout.buffer


def obey(message):
    orders = (message.get("params") or {}) if isinstance(message, dict) else {}
    if isinstance(orders.get("arguments"), dict):
        orders = orders["arguments"]
    if "stderr" in orders:
        sys.stderr.write(orders["stderr"])
        sys.stderr.flush()
    if "write" in orders:  # bytes, as a string of code points below 256
        OUT.write(orders["write"].encode("latin-1"))
        OUT.flush()
    if "bytes" in orders:  # a result of that size, its id before or behind
        call = json.dumps(message["id"])
        before, behind = (b'"id":%s,' % call.encode(), b"") if orders.get("id_first") else (b"", b',"id":%s' % call.encode())
        OUT.write(b'{%s"result":{"content":[{"type":"text","text":"' % before)
        for _ in range(orders["bytes"] // 65536):
            OUT.write(b"x" * 65536)
        OUT.write(b'"}]}%s}\n' % behind)
        OUT.flush()
    if "environment" in orders:
        OUT.write(json.dumps(os.environ.get(orders["environment"])).encode() + b"\n")
        OUT.flush()
    if "kill" in orders:
        os.kill(os.getpid(), orders["kill"])
    if "exit" in orders:
        sys.exit(orders["exit"])


for line in sys.stdin.buffer:
    if RECEIVED:
        RECEIVED.write(line)
    try:
        messages = json.loads(line)
    except ValueError:
        continue
    for each in messages if isinstance(messages, list) else [messages]:
        obey(each)
