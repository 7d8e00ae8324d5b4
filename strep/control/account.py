"""Hold where the platform is and what opens it, and keep that out of everything that is shown.

Two kinds of account: an API key alone goes as a Bearer token (version 2 of the API); a key and its secret go by HTTP
Basic (the older API, which has no /v2 in its paths). They are wrapped from the first line that holds them, so that not
even a traceback that shows local variables shows them, and struck out of whatever the platform sends back.
"""

from __future__ import annotations

import base64
import html
import json
import os
from dataclasses import dataclass
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from strep.errors import ConfigError
from strep.net.address import UdpAddress

DEFAULT_BASE_URL = "https://api.telnyx.com/v2"
#: Where the older API is, that a key and a secret open.
BASIC_BASE_URL = "https://api.telnyx.com"
#: The names that the platform's own client libraries read; they know no secret, so that one is named alike.
KEY_VARIABLE, SECRET_VARIABLE, BASE_URL_VARIABLE = "TELNYX_API_KEY", "TELNYX_API_SECRET", "TELNYX_BASE_URL"
#: Shorter ones are not struck out of answers: a made-up key like "test" would take the word out of every text, and the
#: platform's own have more than 30 characters.
_SHORTEST_TO_REDACT = 8


@dataclass(frozen=True, slots=True)
class Account:
    """A platform's base URL and what opens it: an API key, or a key and its secret. Neither is in any repr."""

    base_url: str
    _key: SecretStr
    _secret: SecretStr | None = None

    @classmethod
    def resolve(
        cls,
        api_key: str | SecretStr | None,
        base_url: str | None,
        api_secret: str | SecretStr | None = None,
    ) -> Account:
        """Take what is given, else the environment's, else the public platform.

        The environment's names are TELNYX_API_KEY, TELNYX_API_SECRET and TELNYX_BASE_URL. Its secret goes with its own
        key only, never with a key that is given: that would turn a Bearer key into half of a pair.

        Raises ConfigError when there is no key, or any of them cannot be what it should be.
        """
        api_key, api_secret = as_secret(api_key), as_secret(api_secret)
        if api_key is None:
            api_key = as_secret(os.environ.get(KEY_VARIABLE))
            api_secret = api_secret or as_secret(os.environ.get(SECRET_VARIABLE))
        if api_key is None:
            raise ConfigError(f"expected an API key, as an argument or in {KEY_VARIABLE}, found none")
        _check_fits_a_header("key", api_key)
        if api_secret is not None:
            _check_fits_a_header("secret", api_secret)
            if ":" in api_key.get_secret_value():
                raise ConfigError("expected an API key without ':' beside a secret (RFC 7617), found one in it")
        default = DEFAULT_BASE_URL if api_secret is None else BASIC_BASE_URL
        return cls(_checked(base_url or os.environ.get(BASE_URL_VARIABLE) or default), api_key, api_secret)

    def authorize(self, request: httpx.Request) -> httpx.Request:
        """Put the authorisation into a request, which is the only thing that ever has it in the clear."""
        request.headers["Authorization"] = self._authorization
        return request

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
        """Strike out key and secret where an answer repeats them: plain, or as JSON, HTML, a URL or Basic has them."""
        credentials = SecretStr(self._authorization.partition(" ")[2])
        for name, secret in (("API key", self._key), ("API secret", self._secret), ("credentials", credentials)):
            for form in _forms(secret):
                body = body.replace(form, f"[{name}]".encode())
        return body

    @property
    def _authorization(self) -> str:
        if self._secret is None:
            return f"Bearer {self._key.get_secret_value()}"
        pair = f"{self._key.get_secret_value()}:{self._secret.get_secret_value()}"
        return f"Basic {base64.b64encode(pair.encode('ascii')).decode('ascii')}"


def as_secret(value: str | SecretStr | None) -> SecretStr | None:
    """Wrap a key, without the white space around it; None when nothing is left."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value or ""
    return SecretStr(text.strip()) if text.strip() else None


def _forms(secret: SecretStr | None) -> list[bytes]:
    text = secret.get_secret_value() if secret else ""
    if len(text) < _SHORTEST_TO_REDACT:
        return []
    in_json = json.dumps(text)[1:-1]
    forms = {text, in_json, in_json.replace("/", r"\/"), html.escape(text), quote(text, safe="")}
    return [form.encode("ascii") for form in forms]


def _check_fits_a_header(what: str, secret: SecretStr) -> None:
    text = secret.get_secret_value()
    fits = text.isascii() and text.isprintable() and " " not in text
    del text  # what raises keeps its local variables
    if not fits:
        raise ConfigError(f"expected an API {what} of printable ASCII without spaces, found other characters in it")


def _checked(base_url: str) -> str:
    if "@" in base_url:
        raise ConfigError("expected a base URL without a user name or password, found one")
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        raise ConfigError(f"expected a base URL like {DEFAULT_BASE_URL}, found {base_url!r}") from None
    if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment:
        raise ConfigError(f"expected a base URL like {DEFAULT_BASE_URL}, found {base_url!r}")
    return base_url.rstrip("/")
