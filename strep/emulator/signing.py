"""Sign webhooks with the platform's own key, as the real platform does with its."""

from __future__ import annotations

import hashlib
import secrets

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strep.control.webhooks.signature import sign, write_public_key


class WebhookKey:
    """The Ed25519 key pair of a platform. Its private half is in no repr, and nothing gives it away.

    seed: makes the pair the same on each run; None makes a new one. public_key: in Base64, as the platform shows it.
    """

    def __init__(self, seed: int | None) -> None:
        drawn = secrets.token_bytes(32) if seed is None else hashlib.sha256(f"strep emulator {seed}".encode()).digest()
        self._private = Ed25519PrivateKey.from_private_bytes(drawn)
        self.public_key = write_public_key(self._private)

    def __repr__(self) -> str:
        return f"WebhookKey(public_key={self.public_key!r})"

    def headers(self, body: bytes, now_s: float) -> dict[str, str]:
        """Give the headers that go with a body: its signature with the time, and that time. now_s: since 1970."""
        return sign(body, self._private, now_s)
