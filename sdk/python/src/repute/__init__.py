"""Sends the verdicts of your agents' gates to Repute, and asks it for reputations.

    import repute

    client = repute.Client()  # REPUTE_URL, REPUTE_API_KEY
    client.track("bid-agent", passed=True, gates=[{"name": "price", "passed": True, "latency_ms": 0.4}], total_latency_ms=0.4)

`Client` is for threads, `AsyncClient` for asyncio. Both deliver in the background, once, through bad networks and restarts.
"""

from .aio import AsyncClient
from .books import Books
from .client import Client
from .errors import ApiError, AuthError, InvalidRequest, NetworkError, NotFound, RateLimited, ReputeError, ServerError
from .evaluation import Evaluation
from .event import Gate
from .model import Agent, Evaluated, GateResult, Ingested, Limits, RecordedEvent, Reputation, ReputationUpdate, Standing, Whoami
from .settings import SettingError
from .version import VERSION as __version__

__all__ = [
    "Agent",
    "ApiError",
    "AsyncClient",
    "AuthError",
    "Books",
    "Client",
    "Evaluated",
    "Evaluation",
    "Gate",
    "GateResult",
    "Ingested",
    "InvalidRequest",
    "Limits",
    "NetworkError",
    "NotFound",
    "RateLimited",
    "RecordedEvent",
    "Reputation",
    "ReputationUpdate",
    "ReputeError",
    "ServerError",
    "SettingError",
    "Standing",
    "Whoami",
    "__version__",
]
