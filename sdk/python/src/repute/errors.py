"""What the typed calls raise. `track` and what follows from it raise none of these."""

from typing import Any, Dict, List, Optional, Type


class ReputeError(Exception):
    """All of them."""


class NetworkError(ReputeError):
    """No answer, or only a part of one. What was asked may have been done."""


class ApiError(ReputeError):
    """The server answered with an error."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: Optional[List[Dict[str, Any]]] = None,
        request_id: Optional[str] = None,
        retry_after: Optional[float] = None,
    ) -> None:
        super().__init__(f"{message} ({status} {code})")
        self.status = status
        self.code = code
        """For programs: docs/api.md lists them. `http_<status>` where something else than Repute answered."""
        self.message = message
        """The server's sentence for a person."""
        self.details = details
        """One entry per bad event: `event`, `field`, `rule`."""
        self.request_id = request_id
        """By which the server's log knows the request."""
        self.retry_after = retry_after
        """Seconds."""


class InvalidRequest(ApiError):
    """400, 413 and any other 4xx without a class of its own: the same request will never be taken."""


class AuthError(ApiError):
    """401, 403: the key is wrong, revoked, or may not do this."""


class NotFound(ApiError):
    """404."""


class RateLimited(ApiError):
    """429: try again after `retry_after`."""


class ServerError(ApiError):
    """408, 5xx, and what is no answer of Repute: try again later."""


def class_of(status: int) -> Type[ApiError]:
    if status in (401, 403):
        return AuthError
    if status == 404:
        return NotFound
    if status == 429:
        return RateLimited
    if 400 <= status < 500 and status != 408:
        return InvalidRequest
    return ServerError
