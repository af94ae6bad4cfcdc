"""Runs a piece of Python in a process of its own, as a user's program."""

import os
import subprocess
import sys
import textwrap
from typing import Any

from real_server import REPOSITORY

TIMEOUT_S = 180


def environment(**more: str) -> "dict[str, str]":
    source = str(REPOSITORY / "sdk" / "python" / "src")
    return {**os.environ, "PYTHONPATH": source, "PYTHONWARNINGS": "ignore::DeprecationWarning", **more}


def run(source: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", textwrap.dedent(source)]
    return subprocess.run(command, env=environment(**variables), capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def lines(source: str, **variables: Any) -> "list[str]":
    """What it printed; it must end well."""
    done = run(source, **variables)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout.splitlines()
