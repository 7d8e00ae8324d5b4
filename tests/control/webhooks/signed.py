"""Webhooks as the platform would send them, signed with a key of our own, at a time of our choice."""

from __future__ import annotations

import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strep.control.webhooks import write_public_key

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PUBLIC_KEY = write_public_key(KEY)
NOW_S = 1_700_000_000

#: The platform's own description of its API, where it lies beside the checkout.
API_DESCRIPTION = Path(__file__).resolve().parents[4] / "shared" / "api" / "call_control.openapi.json"


def webhook(event_type: object = "call.answered", id: object = "1", payload: object = None, **data: object) -> bytes:
    """Give a webhook's body in today's form."""
    return json.dumps({"data": {"event_type": event_type, "id": id, "payload": payload or {}} | data}).encode()
