"""The keys of a client, and what goes into a request because of them."""

import hashlib
import hmac
from typing import Dict, Optional

from . import settings


class Credentials:
    """The API key, and the secret key that signs, where there is one. Either may be changed while the client works."""

    def __init__(self, api_key: str, secret_key: Optional[str]) -> None:
        self._api_key = settings.checked_api_key(api_key)
        self._secret_key = settings.checked_secret_key(secret_key)

    def change(self, api_key: str, secret_key: Optional[str] = None) -> None:
        """A `secret_key` of `None` leaves that one as it is. Raises `SettingError`, and then changes nothing."""
        settings.checked_api_key(api_key)
        settings.checked_secret_key(secret_key)
        self._api_key = api_key
        self._secret_key = secret_key or self._secret_key

    def headers(self, body: Optional[bytes] = None) -> Dict[str, str]:
        headers = {"Authorization": f"Bearer {self._api_key}"}
        if body is not None and self._secret_key is not None:
            headers["X-Pecta-Signature"] = signature(self._secret_key, body)
        return headers


def signature(secret_key: str, body: bytes) -> str:
    """Of the bytes as they are sent, so after compression."""
    return "sha256=" + hmac.new(secret_key.encode("ascii"), body, hashlib.sha256).hexdigest()
