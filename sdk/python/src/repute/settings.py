"""The settings of a client: their defaults, where they come from, and what is wrong with a wrong one."""

import os
import ssl
import sys
from dataclasses import dataclass
from typing import Mapping, Optional
from urllib.parse import urlsplit

DEFAULT_URL = "http://127.0.0.1:8080"
WHEN_FULL = ("drop_newest", "drop_oldest", "block")
MAX_AGENT_CHARS = 200


class SettingError(ValueError):
    """A setting is wrong; `setting` is its name. Raised only while a client is made, or its key changed."""

    def __init__(self, setting: str, rule: str) -> None:
        super().__init__(f"{setting}: {rule}")
        self.setting = setting


@dataclass(frozen=True)
class Settings:
    """Every setting, checked. `sdk/README.md` says what each does; times are seconds."""

    url: str
    api_key: str
    secret_key: Optional[str]
    sign_time: bool
    agent_id: Optional[str]
    sample_rate: float
    flush_interval: float
    flush_at: int
    max_buffer: int
    when_full: str
    gzip_above: Optional[int]
    request_timeout: float
    retry_base: float
    retry_max: float
    max_age: float
    spool_dir: Optional[str]
    max_spool_bytes: int
    shutdown_timeout: float
    ssl_context: Optional[ssl.SSLContext]

    def __post_init__(self) -> None:
        checked_url(self.url)
        checked_api_key(self.api_key)
        checked_secret_key(self.secret_key)
        if not isinstance(self.sign_time, bool):
            raise SettingError("sign_time", "must be True or False")
        if self.sign_time and self.secret_key is None:
            raise SettingError("sign_time", "needs a secret_key to sign with")
        if self.agent_id is not None and not (isinstance(self.agent_id, str) and 0 < len(self.agent_id) <= MAX_AGENT_CHARS):
            raise SettingError("agent_id", f"must be a text of 1 to {MAX_AGENT_CHARS} characters")
        _number("sample_rate", self.sample_rate, 0, 1)
        _number("flush_interval", self.flush_interval, 0.001, 86_400)
        _whole("flush_at", self.flush_at, 1)
        _whole("max_buffer", self.max_buffer, 1)
        if self.when_full not in WHEN_FULL:
            raise SettingError("when_full", f"must be one of {', '.join(WHEN_FULL)}")
        if self.gzip_above is not None:
            _whole("gzip_above", self.gzip_above, 0)
        _number("request_timeout", self.request_timeout, 0.001, 3_600)
        _number("retry_base", self.retry_base, 0, 3_600)
        _number("retry_max", self.retry_max, 0, 86_400)
        _number("max_age", self.max_age, 0.001, 366 * 86_400)
        _whole("max_spool_bytes", self.max_spool_bytes, 1)
        _number("shutdown_timeout", self.shutdown_timeout, 0, 3_600)
        if self.spool_dir is not None and sys.platform == "win32":
            raise SettingError("spool_dir", "needs file locks that this platform does not have")


def from_environment(given: Optional[str], name: str, environment: Mapping[str, str] = os.environ) -> Optional[str]:
    """What was given, else what the environment says; an empty text there is none."""
    return given if given is not None else environment.get(name) or None


def checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except (ValueError, AttributeError, TypeError):
        good = False
    if not good:
        raise SettingError("url", "must be http:// or https:// with a host")
    if parts.username is not None or parts.query or parts.fragment:
        raise SettingError("url", "must be no more than scheme, host, port and path")
    if parts.path.rstrip("/").endswith("/v1"):
        raise SettingError("url", "must be without /v1")
    return url


def checked_api_key(key: Optional[str]) -> str:
    if not key:
        raise SettingError("api_key", "is needed: give it or set REPUTE_API_KEY")
    if not _is_key(key, ("pk_live_", "sk_live_")):
        raise SettingError("api_key", "must begin with pk_live_ or sk_live_")
    return key


def checked_secret_key(key: Optional[str]) -> Optional[str]:
    if key is not None and not _is_key(key, ("sk_live_",)):
        raise SettingError("secret_key", "must begin with sk_live_")
    return key


def _is_key(key: object, prefixes: "tuple[str, ...]") -> bool:
    """The prefix and printable characters after it: anything else could not be sent in a header."""
    return isinstance(key, str) and key.startswith(prefixes) and len(key) > 8 and all("!" <= c <= "~" for c in key)


def _number(setting: str, value: object, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise SettingError(setting, f"must be a number from {low} to {high}")


def _whole(setting: str, value: object, low: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise SettingError(setting, f"must be a whole number, at least {low}")
