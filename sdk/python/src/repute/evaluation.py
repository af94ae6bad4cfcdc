"""One evaluation as it happens: its checks are timed, and its verdict is tracked at the end."""

import functools
import inspect
import time
from types import TracebackType
from typing import Any, Callable, Dict, List, Optional, Type, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])


class Evaluation:
    """As a context manager:

        with client.evaluation("bid-agent", tool="submit_bid") as evaluation:
            evaluation.check("price", bid.price < 50, reason="price above 50")

    As a decorator it makes the function a gate of that name, passed unless it returns `False` or raises:

        @client.evaluation("bid-agent", tool="submit_bid")
        def bid_sanity(bid): ...

    It passes when all its checks do. An exception fails it, goes on as it came, and only its class is told.
    """

    def __init__(self, track: Callable[..., None], agent_id: Optional[str], tool: Optional[str], evaluation_id: Optional[str]) -> None:
        self._track = track
        self._agent_id = agent_id
        self._tool = tool
        self._evaluation_id = evaluation_id
        self._exception_gate = "exception"
        self._gates: List[Dict[str, object]] = []
        self._began = self._last = time.perf_counter()

    def check(self, name: str, passed: bool, reason: Optional[str] = None, *, skipped: bool = False) -> bool:
        """A gate's verdict; its latency is the time since the check before. `reason` is sent only for a failed one. Returns `passed`."""
        now = time.perf_counter()
        gate: Dict[str, object] = {"name": name, "passed": passed, "latency_ms": _ms(now - self._last), "skipped": skipped}
        if not passed:
            gate["reason"] = reason
        self._gates.append(gate)
        self._last = now
        return passed

    def __enter__(self) -> "Evaluation":
        self._gates = []
        self._began = self._last = time.perf_counter()
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        if kind is None:
            self._finish()
        elif issubclass(kind, Exception):
            self.check(self._exception_gate, False, kind.__name__)
            self._finish()
        # Else it was cancelled or interrupted: nobody knows the verdict.

    def __call__(self, function: Function) -> Function:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def gated_async(*args: Any, **kwargs: Any) -> Any:
                with self._of(function.__name__) as evaluation:
                    result = await function(*args, **kwargs)
                    evaluation.check(function.__name__, result is not False)
                    return result

            return cast(Function, gated_async)

        @functools.wraps(function)
        def gated(*args: Any, **kwargs: Any) -> Any:
            with self._of(function.__name__) as evaluation:
                result = function(*args, **kwargs)
                evaluation.check(function.__name__, result is not False)
                return result

        return cast(Function, gated)

    def _of(self, function: str) -> "Evaluation":
        """A new one for each call. An `evaluation_id` given to the decorator is that of all of them, told apart by their times."""
        evaluation = Evaluation(self._track, self._agent_id, self._tool, self._evaluation_id)
        evaluation._exception_gate = function
        return evaluation

    def _finish(self) -> None:
        self._track(
            agent_id=self._agent_id,
            passed=all(gate["passed"] or gate["skipped"] for gate in self._gates),
            gates=self._gates,
            total_latency_ms=_ms(self._last - self._began),
            tool=self._tool,
            evaluation_id=self._evaluation_id,
        )


def _ms(seconds: float) -> float:
    """To the microsecond, as the server keeps it."""
    return round(seconds * 1000, 3)
