"""The spool: files of events that could not be delivered, in a directory that several processes may share.

A process owns the files that carry its random owner name, and holds `<owner>.lock` locked while it lives. Whoever gets that lock knows
that the owner is dead and takes its files over by renaming them. A file appears whole (written under another name, synced, renamed) and
is deleted after its last event was delivered or refused; a crash before that sends events again, which count once because of their ids.
"""

import json
import os
import re
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

from .identity import new_evaluation_id

if sys.platform != "win32":
    import fcntl

MAX_FILE_EVENTS = 1_000
MAX_FILE_BYTES = 1024 * 1024
_NAME = re.compile(r"(\d{13})-([A-Za-z0-9]+)-(\d+)\.jsonl")
_LEFT_OVER = re.compile(r"(\d{13})-([A-Za-z0-9]+)-(\d+)\.tmp")
_LOCK = re.compile(r"([A-Za-z0-9]+)\.lock")


class _File:
    """A file of our own. `offset` and `left` say what of it was not recalled yet."""

    def __init__(self, path: Path, left: int) -> None:
        self.path = path
        self.left = left
        self.offset = 0


@dataclass(frozen=True)
class Recalled:
    """Events read back. The file goes when the last of them are settled."""

    lines: List[bytes]
    file: _File
    offset: int


class Found(NamedTuple):
    """What a look around brought."""

    events: int
    bad: List[str]


class Written(NamedTuple):
    kept: int
    """So many of the events, the first ones, are in the spool now."""
    evicted: List[bytes]
    """Older events that went to make room, as far as they could be read."""
    evicted_count: int
    error: Optional[str]


class Spool:
    """Our part of the directory. A lock keeps the sender and the end of the process apart."""

    def __init__(self, directory: str, max_bytes: int) -> None:
        """Makes the directory and takes a name in it. Raises `OSError`."""
        self._directory = Path(directory)
        self._max_bytes = max_bytes
        self._owner = new_evaluation_id()
        self._lock = threading.Lock()
        self._number = 0
        self._files: List[_File] = []
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Locked before it has its name, so that nobody takes it for one of a dead process.
        unnamed = self._directory / f"{self._owner}.lock.tmp"
        self._lock_fd = os.open(unnamed, os.O_RDWR | os.O_CREAT, 0o600)
        _lock(self._lock_fd)
        os.rename(unnamed, self._lock_path(self._owner))

    def recallable(self) -> bool:
        """Whether there are events to recall. Cheap, and no I/O."""
        return any(file.left for file in self._files)

    def look_around(self) -> Found:
        """Takes over the files of dead processes."""
        with self._lock:
            return self._look_around()

    def _look_around(self) -> Found:
        names = sorted(os.listdir(self._directory))
        owners = {match[2] for match in map(_NAME.fullmatch, names) if match}
        owners |= {match[2] for match in map(_LEFT_OVER.fullmatch, names) if match}
        owners |= {match[1] for match in map(_LOCK.fullmatch, names) if match}
        owners.discard(self._owner)
        events, bad = 0, []
        for owner in sorted(owners):
            lock_fd = self._lock_of_the_dead(owner)
            if lock_fd is None:
                continue
            try:
                for name in sorted(os.listdir(self._directory)):
                    match = _NAME.fullmatch(name)
                    if match and match[2] == owner:
                        file = self._take_over(name, match[1])
                        if file is None:
                            bad.append(name)
                        else:
                            self._files.append(file)
                            events += file.left
                    elif (torn := _LEFT_OVER.fullmatch(name)) and torn[2] == owner:
                        # Its owner died while it wrote: nobody was told that these events are safe.
                        _delete(self._directory / name)
                _delete(self._lock_path(owner))
            finally:
                os.close(lock_fd)
        self._files.sort(key=lambda file: file.path.name)
        return Found(events, bad)

    def write(self, lines: List[bytes]) -> Written:
        """Puts events into new files, and deletes the oldest of our own while the directory would hold too much."""
        with self._lock:
            return self._write(lines)

    def _write(self, lines: List[bytes]) -> Written:
        kept = evicted_count = 0
        evicted: List[bytes] = []
        error: Optional[str] = None
        for chunk in _chunks(lines):
            data = b"\n".join(chunk) + b"\n"
            try:
                room = self._max_bytes - len(data) - self._bytes()
                while room < 0 and self._files:
                    oldest = self._files.pop(0)
                    room += oldest.path.stat().st_size if oldest.path.exists() else 0
                    evicted += self._read(oldest)
                    evicted_count += oldest.left
                    _delete(oldest.path)
                if room < 0:
                    break
                self._files.append(self._new_file(data, len(chunk)))
            except OSError as failure:
                error = f"{type(failure).__name__}: {failure}"
                break
            kept += len(chunk)
        return Written(kept, evicted, evicted_count, error)

    def recall(self, count: int) -> Tuple[Optional[Recalled], int]:
        """The next events of the oldest file, and how many events of files that could not be read are lost."""
        with self._lock:
            return self._recall(count)

    def _recall(self, count: int) -> Tuple[Optional[Recalled], int]:
        lost = 0
        for file in list(self._files):
            if not file.left:
                continue
            lines = self._read(file)[:count]
            if lines:
                file.offset += sum(len(line) + 1 for line in lines)
                file.left -= len(lines)
                return Recalled(lines, file, file.offset), lost
            lost += file.left
            self._files.remove(file)
            self._set_aside(file.path)
        return None, lost

    def settle(self, recalled: Recalled) -> None:
        """These events need the file no longer."""
        file = recalled.file
        with self._lock:
            if not file.left and recalled.offset == file.offset and file in self._files:
                self._files.remove(file)
                _delete(file.path)

    def close(self) -> None:
        """What is left stays for another process."""
        with self._lock:
            if not self._files:
                _delete(self._lock_path(self._owner))
            self.forget()

    def forget(self) -> None:
        """In the child of a fork: the lock stays the parent's, who alone holds it from here on."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def _lock_path(self, owner: str) -> Path:
        return self._directory / f"{owner}.lock"

    def _lock_of_the_dead(self, owner: str) -> Optional[int]:
        path = self._lock_path(owner)
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(fd)
            # Another process may have taken over and deleted the lock since it was opened.
            if path.exists() and path.stat().st_ino == os.fstat(fd).st_ino:
                return fd
        except OSError:
            pass
        os.close(fd)
        return None

    def _take_over(self, name: str, written_ms: str) -> Optional[_File]:
        path = self._directory / name
        count = _events_in(path)
        if count is None:
            self._set_aside(path)
            return None
        ours = self._next_path(written_ms)
        os.rename(path, ours)
        return _File(ours, count)

    def _set_aside(self, path: Path) -> None:
        try:
            os.rename(path, path.with_name(path.name + ".bad"))
        except OSError:
            pass  # it is gone, or cannot be touched; either way it is not looked at again

    def _next_path(self, written_ms: str) -> Path:
        self._number += 1
        return self._directory / f"{written_ms}-{self._owner}-{self._number}.jsonl"

    def _new_file(self, data: bytes, events: int) -> _File:
        path = self._next_path(f"{time.time_ns() // 1_000_000:013d}")
        unnamed = path.with_suffix(".tmp")
        try:
            fd = os.open(unnamed, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(fd, "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(fd)
            os.rename(unnamed, path)
        except OSError:
            _delete(unnamed)
            raise
        directory_fd = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory_fd)
        finally:
            os.close(directory_fd)
        return _File(path, events)

    def _read(self, file: _File) -> List[bytes]:
        """What of the file was not recalled yet; nothing where it cannot be read."""
        try:
            with open(file.path, "rb") as source:
                source.seek(file.offset)
                return source.read().splitlines()
        except OSError:
            return []

    def _bytes(self) -> int:
        with os.scandir(self._directory) as entries:
            sizes: Dict[str, int] = {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
        return sum(size for name, size in sizes.items() if not name.endswith(".bad"))


def _chunks(lines: List[bytes]) -> List[List[bytes]]:
    """In order, each no more than a file may hold."""
    chunks: List[List[bytes]] = []
    size = 0
    for line in lines:
        if not chunks or len(chunks[-1]) == MAX_FILE_EVENTS or size > MAX_FILE_BYTES:
            chunks.append([])
            size = 0
        chunks[-1].append(line)
        size += len(line) + 1
    return chunks


def _events_in(path: Path) -> Optional[int]:
    """How many events the file holds; `None` if it is not a file of events."""
    try:
        lines = path.read_bytes().splitlines()
        if lines and all(isinstance(json.loads(line), dict) for line in lines):
            return len(lines)
    except (OSError, ValueError, RecursionError):
        pass
    return None


def _delete(path: Path) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _lock(fd: int) -> None:
    """Raises `OSError` if another process holds it. Not for Windows, where `spool_dir` is refused as a setting."""
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
