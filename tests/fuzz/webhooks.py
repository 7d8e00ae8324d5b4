"""Send any request to the webhook server's application: answered, counted once, and its event read if it is one."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strep.control.webhooks import (
    EVENT_TYPES,
    CallStage,
    MalformedWebhook,
    in_order,
    parse_event,
    sign,
    stage_after,
    webhook_app,
    write_public_key,
)

_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_NOW_S = 1_700_000_000
_STATUSES = {200, 400, 403, 404, 405, 413, 503}
#: What the first byte says of a request.
_UNSIGNED, _ODD_HEADERS, _ELSEWHERE, _TWICE, _IN_PIECES, _BROKEN_OFF = (1 << n for n in range(6))


def run(data: bytes) -> None:
    """Send one request, or the same twice; then read its body as an event."""
    if not data:
        return
    kind, body = data[0], data[1:]
    asyncio.run(_send(kind, body))
    try:
        event = parse_event(body)
    except MalformedWebhook:
        return
    assert in_order([event, event]) == [event, event]
    stage_after(CallStage(0), event)


async def _send(kind: int, body: bytes) -> None:
    inbox = webhook_app(write_public_key(_KEY), clock_s=lambda: _NOW_S, queue_size=1)
    headers = {} if kind & _UNSIGNED else sign(body, _KEY, _NOW_S)
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    if kind & _ODD_HEADERS:
        raw += [tuple(line.partition(b":")[::2]) for line in body.split(b"\n")[:5]]
        raw = [(name.lower(), value) for name, value in raw]
    requests = 1 + (kind & _TWICE != 0)
    for _ in range(requests):
        status = await _request(inbox.app, kind, raw, body)
        assert status in _STATUSES, status
    counts: dict[str, Any] = inbox.counters()
    refused = counts.pop("refused")
    counted = counts["accepted"] + counts["duplicates"] + counts["overflowed"] + sum(refused.values())
    assert counts["received"] == counted == requests, counts
    inbox.close()
    assert len([event async for event in inbox]) == counts["accepted"]


async def _request(app, kind: int, headers: list[tuple[bytes, bytes]], body: bytes) -> int:
    half = len(body) // 2 if kind & _IN_PIECES else len(body)
    parts: list[dict[str, Any]] = [{"type": "http.request", "body": body[:half], "more_body": half < len(body)}]
    parts.append({"type": "http.request", "body": body[half:]})
    if kind & _BROKEN_OFF:
        parts[-1] = parts[0 if half == len(body) else 1] = {"type": "http.disconnect"}
    received, sent = iter([*parts, {"type": "http.disconnect"}]), list[dict[str, Any]]()

    async def receive() -> dict[str, Any]:
        return next(received)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    path = "/elsewhere" if kind & _ELSEWHERE else "/webhooks"
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http"}
    scope |= {"path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers}
    await app({**scope, "client": ("192.0.2.1", 1), "server": ("192.0.2.2", 80)}, receive, send)
    return next(message["status"] for message in sent if message["type"] == "http.response.start")


def seeds() -> list[bytes]:
    """Give an event of each type, and some that are none."""
    payload = {
        "call_control_id": "v3:a",
        "call_leg_id": "428c31b6-7af4-4bcb-b7f5-5013ef9657c1",
        "from": "+1",
        "to": "+2",
    }
    payload |= {"custom_headers": [{"name": "X-A", "value": "b"}], "start_time": "2024-01-01T00:00:00.1Z", "digit": "1"}
    payload |= {"client_state": "YQ==", "hangup_cause": "x", "duration_secs": 3, "stream_params": {}, "tags": ["a"]}
    meta = {"attempt": 1, "delivered_to": "https://example.com"}
    events = [
        {"event_type": name, "id": "1", "occurred_at": "2024-01-01T00:00:00Z", "payload": payload}
        for name in EVENT_TYPES
    ]
    bodies = [json.dumps({"data": event, "meta": meta}).encode() for event in events]
    odd = [b"", b"[]", b"{}", b'{"data":[]}', b'{"data":{"event_type":1}}', b"\xff", b"[" * 2000, b"1" * 5000]
    odd += [
        b"content-length: 9999999999\ntelnyx-timestamp: 1\n",
        b"content-length: x",
        b'{"data":{"event_type":"a","id":"\\ud800"}}',
    ]
    return [bytes((kind,)) + body for kind, body in zip([0, 4, 8, 16, 24, 32] * len(bodies), bodies, strict=False)] + [
        bytes((kind,)) + body for body in odd for kind in (0, 1, 2, 3)
    ]
