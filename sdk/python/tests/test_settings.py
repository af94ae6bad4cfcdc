"""Wrong settings are told when the client is made, by name."""

from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from conftest import KEY

import repute

WRONG: List[Tuple[str, Dict[str, Any]]] = [
    ("url", {"url": "127.0.0.1:8080"}),
    ("url", {"url": "ftp://host"}),
    ("url", {"url": "http://"}),
    ("url", {"url": "http://host:99999"}),
    ("url", {"url": "http://user:word@host"}),
    ("url", {"url": "http://host/?a=b"}),
    ("url", {"url": "http://host/v1"}),
    ("api_key", {"api_key": "pk_test_" + "0" * 32}),
    ("api_key", {"api_key": "pk_live_\nX-Other: 1"}),
    ("api_key", {"api_key": ""}),
    ("secret_key", {"secret_key": KEY}),
    ("sign_time", {"sign_time": True}),
    ("sign_time", {"sign_time": 1}),
    ("agent_id", {"agent_id": ""}),
    ("agent_id", {"agent_id": "a" * 201}),
    ("sample_rate", {"sample_rate": 1.1}),
    ("sample_rate", {"sample_rate": float("nan")}),
    ("flush_interval", {"flush_interval": 0}),
    ("flush_interval", {"flush_interval": "5"}),
    ("flush_at", {"flush_at": 0}),
    ("flush_at", {"flush_at": True}),
    ("max_buffer", {"max_buffer": 0}),
    ("when_full", {"when_full": "wait"}),
    ("gzip_above", {"gzip_above": -1}),
    ("request_timeout", {"request_timeout": 0}),
    ("retry_base", {"retry_base": -1}),
    ("retry_max", {"retry_max": float("inf")}),
    ("max_age", {"max_age": 0}),
    ("max_spool_bytes", {"max_spool_bytes": 0}),
    ("shutdown_timeout", {"shutdown_timeout": -1}),
    ("spool_dir", {"spool_dir": "/dev/null/spool"}),
]


@pytest.mark.parametrize(("setting", "given"), WRONG, ids=[f"{name}={next(iter(given.values()))!r}" for name, given in WRONG])
def test_a_wrong_setting_is_named(setting: str, given: Dict[str, Any]) -> None:
    with pytest.raises(repute.SettingError, match=setting) as told:
        repute.Client(**{"api_key": KEY, **given})
    assert told.value.setting == setting


def test_without_a_key_the_error_says_where_one_comes_from() -> None:
    with pytest.raises(repute.SettingError, match="REPUTE_API_KEY"):
        repute.Client()


def test_the_environment_sets_what_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPUTE_API_KEY", KEY)
    monkeypatch.setenv("REPUTE_URL", "http://127.0.0.1:9/base")
    monkeypatch.setenv("REPUTE_SECRET_KEY", "")
    assert repute.Client()._settings.url == "http://127.0.0.1:9/base"
    assert repute.Client("http://127.0.0.1:8")._settings.url == "http://127.0.0.1:8"
    monkeypatch.setenv("REPUTE_API_KEY", "nonsense")
    with pytest.raises(repute.SettingError, match="api_key"):
        repute.Client()


def test_asyncio_cannot_block() -> None:
    with pytest.raises(repute.SettingError, match="when_full"):
        repute.AsyncClient(api_key=KEY, when_full="block")


def test_a_wrong_new_key_is_an_error_and_changes_nothing(tmp_path: Path) -> None:
    client = repute.Client("http://127.0.0.1:9", KEY)
    with pytest.raises(repute.SettingError, match="api_key"):
        client.set_api_key("nonsense")
    assert client._credentials.headers() == {"Authorization": f"Bearer {KEY}"}
