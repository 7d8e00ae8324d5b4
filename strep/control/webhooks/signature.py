"""Sign and verify webhooks: Ed25519 (RFC 8032) over the time, a bar, and the body as it is on the wire.

Verifying fails closed: what is missing, malformed, too old or from the future is refused like a wrong signature.
"""

from __future__ import annotations

import base64
import binascii
import enum
import re
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from strep.errors import ConfigError, ControlError

SIGNATURE_HEADER, TIMESTAMP_HEADER = "telnyx-signature-ed25519", "telnyx-timestamp"
#: As the platform's own libraries have it: an older one may have been recorded and sent again.
TOLERANCE_S = 300.0
_KEY_BYTES, _SIGNATURE_BYTES = 32, 64


class Reason(enum.StrEnum):
    """Is why a webhook is not believed."""

    UNSIGNED = "unsigned"  #: a header is missing or cannot be read
    STALE = "stale"  #: signed too long ago, or in the future
    FORGED = "forged"  #: the signature is not that of this body and time


class UnverifiedWebhook(ControlError):  # noqa: N818 -- named by what happened, like the others of its tree
    """Says that a webhook is not to be believed, and why: `reason`."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"expected a webhook that the platform signed lately, found one that is {reason}")
        self.reason = reason


def read_public_key(text: str | bytes) -> Ed25519PublicKey:
    """Read a public key in Base64, as the platform's portal shows it, or its 32 bytes. Raises ConfigError."""
    try:
        raw = text if isinstance(text, bytes) else base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _KEY_BYTES:
        raise ConfigError(f"public_key: expected {_KEY_BYTES} bytes in Base64, found {len(raw)}")
    return Ed25519PublicKey.from_public_bytes(raw)


def verify(
    body: bytes,
    headers: Mapping[str, str],
    public_key: Ed25519PublicKey | str,
    now_s: float,
    tolerance_s: float = TOLERANCE_S,
) -> None:
    """Raise UnverifiedWebhook unless the platform signed this body within `tolerance_s` of now_s (Unix time).

    headers: with names in lower case, or a mapping that ignores case. Raises ConfigError for a key that is none.
    """
    key = read_public_key(public_key) if isinstance(public_key, str) else public_key
    timestamp = headers.get(TIMESTAMP_HEADER, "")
    signature = _signature(headers.get(SIGNATURE_HEADER, ""))
    if signature is None or not re.fullmatch("[0-9]{1,12}", timestamp, re.ASCII):
        raise UnverifiedWebhook(Reason.UNSIGNED)
    if not abs(now_s - int(timestamp)) <= tolerance_s:
        raise UnverifiedWebhook(Reason.STALE)
    try:
        key.verify(signature, _signed(timestamp, body))
    except InvalidSignature:
        raise UnverifiedWebhook(Reason.FORGED) from None


def sign(body: bytes, private_key: Ed25519PrivateKey, now_s: float) -> dict[str, str]:
    """Give the headers that make a body a signed webhook, as the platform sends it."""
    timestamp = str(int(now_s))
    signature = base64.b64encode(private_key.sign(_signed(timestamp, body))).decode("ascii")
    return {TIMESTAMP_HEADER: timestamp, SIGNATURE_HEADER: signature}


def _signed(timestamp: str, body: bytes) -> bytes:
    return timestamp.encode("ascii") + b"|" + body


def _signature(text: str) -> bytes | None:
    try:
        signature = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return signature if len(signature) == _SIGNATURE_BYTES else None
