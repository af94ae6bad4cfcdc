"""The keys of a client, and what goes into a request because of them."""

import hashlib
import hmac
import time
from typing import Dict, Optional

from . import settings


class Credentials:
    """The API key, and the secret key that signs, where there is one. Either may be changed while the client works."""

    def __init__(self, api_key: str, secret_key: Optional[str], sign_time: bool) -> None:
        self._api_key = settings.checked_api_key(api_key)
        self._secret_key = settings.checked_secret_key(secret_key)
        self._sign_time = sign_time

    def change(self, api_key: str, secret_key: Optional[str] = None) -> None:
        """A `secret_key` of `None` leaves that one as it is. Raises `SettingError`, and then changes nothing."""
        settings.checked_api_key(api_key)
        settings.checked_secret_key(secret_key)
        self._api_key = api_key
        self._secret_key = secret_key or self._secret_key

    def headers(self, body: Optional[bytes] = None) -> Dict[str, str]:
        headers = {"Authorization": f"Bearer {self._api_key}"}
        if body is not None and self._secret_key is not None:
            headers.update(signature_headers(self._secret_key, body, int(time.time()) if self._sign_time else None))
        return headers


def signature_headers(secret_key: str, body: bytes, unix_s: Optional[int]) -> Dict[str, str]:
    """Of the bytes as they are sent, so after compression, and of the time, if one is given: each try has its own."""
    mac = hmac.new(secret_key.encode("ascii"), b"" if unix_s is None else b"%d." % unix_s, hashlib.sha256)
    mac.update(body)
    headers = {"X-Pecta-Signature": "sha256=" + mac.hexdigest()}
    if unix_s is not None:
        headers["X-Repute-Timestamp"] = str(unix_s)
    return headers
