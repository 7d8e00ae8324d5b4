"""Hold where the platform is and the key to it, and keep the key out of everything that is shown."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import httpx

from strep.errors import ConfigError
from strep.net.address import UdpAddress

DEFAULT_BASE_URL = "https://api.telnyx.com/v2"
#: The names that the platform's own client libraries read.
KEY_VARIABLE, BASE_URL_VARIABLE = "TELNYX_API_KEY", "TELNYX_BASE_URL"


@dataclass(frozen=True, slots=True)
class Account:
    """Is a platform's base URL and an API key for it. The key is in no repr, and in no message."""

    base_url: str
    _key: str = field(repr=False)

    @classmethod
    def resolve(cls, api_key: str | None, base_url: str | None) -> Account:
        """Take what is given, else the environment's (TELNYX_API_KEY, TELNYX_BASE_URL), else the public platform.

        Raises ConfigError when there is no key, or either cannot be what it should be.
        """
        key = (api_key or os.environ.get(KEY_VARIABLE, "")).strip()
        if not key:
            raise ConfigError(f"expected an API key, as an argument or in {KEY_VARIABLE}, found none")
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise ConfigError("expected an API key of printable ASCII without spaces, found other characters in it")
        return cls(_checked(base_url or os.environ.get(BASE_URL_VARIABLE) or DEFAULT_BASE_URL), key)

    @property
    def headers(self) -> dict[str, str]:
        """Give the headers that every request needs."""
        return {
            "Authorization": f"Bearer {self._key}",
            "Accept": "application/json",
            "Content-Type": "application/json",
        }

    @property
    def is_local(self) -> bool:
        """Tell whether the platform runs on this machine, as an emulator does, and so reaches private addresses."""
        host = httpx.URL(self.base_url).host
        if host == "localhost":
            return True
        try:
            return UdpAddress(host, 0).is_loopback
        except ConfigError:  # a name
            return False

    def redact(self, body: bytes) -> bytes:
        """Strike out the key where an answer repeats it."""
        return body.replace(self._key.encode(), b"[API key]")


def _checked(base_url: str) -> str:
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        raise ConfigError(f"expected a base URL like {DEFAULT_BASE_URL}, found {base_url!r}") from None
    if url.userinfo:
        raise ConfigError("expected a base URL without a user name or password, found one")
    if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment:
        raise ConfigError(f"expected a base URL like {DEFAULT_BASE_URL}, found {base_url!r}")
    return base_url.rstrip("/")
