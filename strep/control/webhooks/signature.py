"""Check and make the signatures of webhooks: Ed25519 (RFC 8032) over `timestamp|body`, Base64 in a header.

The rules:

1. It fails closed: whatever is missing, there twice, or written in another way than the platform writes it, is refused.
2. The signature is checked before the time, so that `StaleWebhook` can be relied on: the platform did sign that.
3. No clock is read: the time is an argument.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from strep.control.webhooks.errors import ForgedWebhook, StaleWebhook, UnsignedWebhook
from strep.errors import ConfigError

SIGNATURE_HEADER = "telnyx-signature-ed25519"
TIMESTAMP_HEADER = "telnyx-timestamp"
#: What the platform's own client libraries allow, either way.
TOLERANCE_S = 300

_KEY_BYTES = 32
_PRIME = 2**255 - 19
#: The y of the points whose order is at most 8, and what else is read as them. Under such a key, which is none that
#: anybody generates, signatures can be made without the private half, and the library lets them pass: the key of 32
#: zero bytes takes about every fourth of them.
_WEAK_Y = frozenset(
    {
        0,
        1,
        _PRIME - 1,
        _PRIME,
        _PRIME + 1,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
    }
)


def read_public_key(public_key: str | Ed25519PublicKey) -> Ed25519PublicKey:
    """Read the platform's public key: 32 bytes in Base64, as its portal shows it.

    Raises ConfigError for anything else, and for keys under which anybody could sign.
    """
    if isinstance(public_key, str):
        public_key = Ed25519PublicKey.from_public_bytes(_key_bytes(public_key))
    if int.from_bytes(public_key.public_bytes_raw(), "little") & (2**255 - 1) in _WEAK_Y:
        raise ConfigError("public_key: expected the platform's key, found one under which anybody could sign")
    return public_key


def write_public_key(private_key: Ed25519PrivateKey) -> str:
    """Give the public half of a key as `verify` takes it."""
    return base64.b64encode(private_key.public_key().public_bytes_raw()).decode("ascii")


def verify(
    body: bytes,
    headers: Mapping[str, str],
    public_key: str | Ed25519PublicKey,
    now_s: float,
    tolerance_s: float = TOLERANCE_S,
) -> None:
    """Make sure that the platform signed these bytes, and did so just now.

    headers: of the request; upper and lower case are the same. now_s: since 1970. tolerance_s: how far the time of the
    signature may be from that, either way.

    Raises UnsignedWebhook, ForgedWebhook or StaleWebhook; ConfigError when the key is none.
    """
    key = read_public_key(public_key)
    signature, timestamp = _only(headers, SIGNATURE_HEADER), _only(headers, TIMESTAMP_HEADER)
    if not re.fullmatch(r"[0-9]{1,12}", timestamp, re.ASCII):
        raise ForgedWebhook
    try:
        key.verify(_signature_bytes(signature), _signed(timestamp, body))
    except InvalidSignature:
        raise ForgedWebhook from None
    if not abs(now_s - int(timestamp)) <= tolerance_s:  # so written, a time that is no number is refused too
        raise StaleWebhook


def sign(body: bytes, private_key: Ed25519PrivateKey, now_s: float) -> dict[str, str]:
    """Give the headers with which the platform would send these bytes. now_s: since 1970, at least 0."""
    timestamp = str(int(now_s))
    signature = private_key.sign(_signed(timestamp, body))
    return {SIGNATURE_HEADER: base64.b64encode(signature).decode("ascii"), TIMESTAMP_HEADER: timestamp}


def _signed(timestamp: str, body: bytes) -> bytes:
    return timestamp.encode("ascii") + b"|" + body


def _only(headers: Mapping[str, str], name: str) -> str:
    """Find a header. Where there are two, one of them is a stranger's, and nobody knows which."""
    found = [value for key, value in headers.items() if key.lower() == name]
    if len(found) != 1:
        raise UnsignedWebhook
    return found[0]


def _signature_bytes(text: str) -> bytes:
    """Decode 64 bytes. Base64 has four spare bits at their end; only the platform's way to write them is taken."""
    if not re.fullmatch(r"[A-Za-z0-9+/]{85}[AQgw]==", text, re.ASCII):
        raise ForgedWebhook
    return base64.b64decode(text)


def _key_bytes(text: str) -> bytes:
    try:
        decoded = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError("public_key: expected Base64 as the platform's portal shows it, found other text") from None
    if len(decoded) != _KEY_BYTES:
        raise ConfigError(f"public_key: expected {_KEY_BYTES} bytes in Base64, found {len(decoded)}")
    return decoded
