"""The ends and the forks of a process: who is told of them, and in what order."""

import atexit
import os
import sys
from typing import Protocol
from weakref import WeakSet


class Mortal(Protocol):
    """What wants to be told."""

    def close_at_exit(self) -> None:
        """Begin to drain."""

    def end_at_exit(self) -> None:
        """Wait until that is done, or its time is over."""

    def reborn(self) -> None:
        """This is the child of a fork: begin anew, and leave what is the parent's alone."""


_alive: "WeakSet[Mortal]" = WeakSet()
_child_of = 0


def watch(mortal: Mortal) -> None:
    _alive.add(mortal)


def thread_starts() -> None:
    """To be called when a process begins to deliver.

    A process that `multiprocessing` (or Celery's `billiard`) forked ends without `atexit`, but runs finalisers of its own.
    """
    global _child_of
    if _child_of == os.getpid():
        return
    for package in ("multiprocessing", "billiard"):
        process, util = sys.modules.get(f"{package}.process"), sys.modules.get(f"{package}.util")
        if process is None or util is None or type(process.current_process()).__name__ == "_MainProcess":
            continue
        _child_of = os.getpid()
        util.Finalize(None, _end, exitpriority=0)


def _end() -> None:
    mortals = list(_alive)
    for mortal in mortals:
        mortal.close_at_exit()
    for mortal in mortals:
        mortal.end_at_exit()


def _reborn() -> None:
    for mortal in list(_alive):
        mortal.reborn()


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reborn)
