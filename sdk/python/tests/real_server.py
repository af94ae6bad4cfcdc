"""The real server in a process of its own, which a test may kill and start again on the same data and port."""

import os
import queue
import signal
import subprocess
import threading
from pathlib import Path
from typing import Optional

PUBLISHABLE = "pk_live_AbCdEfGhIjKlMnOpQrStUvWxYz012345"
SECRET = "sk_live_AbCdEfGhIjKlMnOpQrStUvWxYz012345"
REPOSITORY = Path(__file__).resolve().parents[3]
START_TIMEOUT_S = 30


def program() -> Path:
    """`REPUTE_BINARY`, or what cargo built last."""
    given = os.environ.get("REPUTE_BINARY")
    built = [REPOSITORY / "target" / profile / "repute" for profile in ("debug", "release")]
    found = [Path(given)] if given else sorted((path for path in built if path.exists()), key=lambda path: -path.stat().st_mtime)
    if not found or not found[0].exists():
        raise FileNotFoundError(f"these tests need the server: `cargo build -p repute`, or REPUTE_BINARY (now: {given})")
    return found[0]


class RealServer:
    def __init__(self, data_dir: Path, *flags: str) -> None:
        self.data_dir = data_dir
        self._flags = flags
        self._process: Optional[subprocess.Popen[str]] = None
        self.address = "127.0.0.1:0"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def start(self) -> "RealServer":
        environment = {
            **os.environ,
            "REPUTE_BOOTSTRAP_PUBLISHABLE_KEY": PUBLISHABLE,
            "REPUTE_BOOTSTRAP_SECRET_KEY": SECRET,
            "REPUTE_MASTER_KEY": "42" * 32,
        }
        command = [str(program()), "serve", "--data-dir", str(self.data_dir), "--listen", self.address, *self._flags]
        with open(self.data_dir.with_suffix(".log"), "ab") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment, text=True)
        line = first_line(self._process)
        assert line.startswith("listening on http://"), f"the server said {line!r}: see {log.name}"
        self.address = line.strip().rpartition("//")[2]
        return self

    def kill(self) -> None:
        """SIGKILL: nothing is said, nothing is flushed."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(20)
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()


def first_line(process: "subprocess.Popen[str]") -> str:
    lines: "queue.Queue[str]" = queue.Queue()
    out = process.stdout
    assert out is not None
    threading.Thread(target=lambda: lines.put(out.readline()), daemon=True).start()
    return lines.get(timeout=START_TIMEOUT_S)
