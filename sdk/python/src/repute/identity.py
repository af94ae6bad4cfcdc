"""Evaluation ids: what lets an event be sent twice and counted once."""

import os
from collections import deque
from typing import Deque

CHARS = 22  # of 62: 131 bits
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
# 248 is 4 · 62: the bytes from there on are left out, so that every character is as likely as every other.
_EVEN = len(_ALPHABET) * 4
_CHARACTER = bytes(_ALPHABET[byte % 62] if byte < _EVEN else 0 for byte in range(256))
_UNEVEN = bytes(range(_EVEN, 256))
_DRAW_BYTES = 4096

# Ids made in advance: one look at the system's random source costs as much as many ids. `deque` hands each out once, whatever
# threads do, and a child of a fork throws its copy away.
_made: Deque[str] = deque()


def new_evaluation_id() -> str:
    """22 characters of `[A-Za-z0-9]` from the system's cryptographic random source."""
    while True:
        try:
            return _made.popleft()
        except IndexError:
            characters = os.urandom(_DRAW_BYTES).translate(_CHARACTER, _UNEVEN).decode("ascii")
            _made.extend(characters[i : i + CHARS] for i in range(0, len(characters) - CHARS + 1, CHARS))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_made.clear)
