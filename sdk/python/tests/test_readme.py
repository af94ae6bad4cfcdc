"""The README's examples do what it says."""

import os
import re
from pathlib import Path
from typing import Any, Dict

import pytest
from real_server import PUBLISHABLE, REPOSITORY, RealServer


def test_the_examples_run(server: RealServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (REPOSITORY / "sdk" / "python" / "README.md").read_text("utf-8")
    examples = re.findall(r"^```python\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    assert len(examples) >= 6
    monkeypatch.setenv("REPUTE_URL", server.url)
    monkeypatch.setenv("REPUTE_API_KEY", PUBLISHABLE)
    monkeypatch.chdir(tmp_path)
    names: Dict[str, Any] = {}
    for example in examples:
        exec(compile(example, "README.md", "exec"), names)
    assert names["standing"].evaluations == 1
    names["client"].shutdown()
    assert os.listdir(tmp_path / "spool") == []
