"""The cases of `sdk/vectors`, with the values that JSON cannot hold."""

import json
from typing import Any, Dict, List

from real_server import REPOSITORY


def load(name: str) -> Dict[str, Any]:
    said: Dict[str, Any] = json.loads((REPOSITORY / "sdk" / "vectors" / name).read_text("utf-8"))
    return said


def value(written: Any) -> Any:
    """What a case writes, as the value that it means."""
    if isinstance(written, list):
        values: List[Any] = []
        for one in written:
            if isinstance(one, dict) and "$times" in one:
                what, count = one["$times"]
                values += [value(what) for _ in range(count)]
            else:
                values.append(value(one))
        return values
    if not isinstance(written, dict):
        return written
    if "$repeat" in written:
        text, count = written["$repeat"]
        return text * count
    if "$join" in written:
        return "".join(value(part) for part in written["$join"])
    if "$utf16" in written:
        return "".join(chr(int(unit, 16)) for unit in written["$utf16"])
    if "$number" in written:
        return float(written["$number"])
    return {name: value(part) for name, part in written.items()}


def settings(written: Dict[str, Any]) -> Dict[str, Any]:
    """Times are seconds in Python."""
    return {
        (name[:-3] if name.endswith("_ms") else name): (part / 1000 if name.endswith("_ms") else part) for name, part in written.items()
    }
