"""`sdk/testing/unkind_proxy.py` in a process of its own, in front of a server."""

import json
import subprocess
import sys
from typing import Any, Dict

from real_server import REPOSITORY, first_line


class BadNetwork:
    def __init__(self, upstream: str, *flags: str) -> None:
        proxy = REPOSITORY / "sdk" / "testing" / "unkind_proxy.py"
        command = [sys.executable, str(proxy), "--stdin", "--upstream", upstream, *flags]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = first_line(self._process).strip().rpartition("listening on ")[2]

    def end(self) -> Dict[str, Any]:
        """How many requests met which fault."""
        out, _ = self._process.communicate(timeout=20)
        counts: Dict[str, Any] = json.loads(out.strip().splitlines()[-1])
        return counts
