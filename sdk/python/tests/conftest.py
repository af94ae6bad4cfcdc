"""What every test may ask for."""

from pathlib import Path
from typing import Iterator

import pytest
from real_server import RealServer

KEY = "pk_live_" + "0" * 32


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REPUTE_URL", "REPUTE_API_KEY", "REPUTE_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RealServer]:
    running = RealServer(tmp_path / "data").start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    running = RealServer(tmp_path_factory.mktemp("shared") / "data").start()
    yield running
    running.stop()
