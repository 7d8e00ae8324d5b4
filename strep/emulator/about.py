"""Keep who takes part in a call, and what was said of it: what its webhooks tell besides what happened."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


class CallDirection(enum.StrEnum):
    """Who called: somebody the platform, or the platform somebody."""

    INCOMING = "incoming"
    OUTGOING = "outgoing"


@dataclass(slots=True)
class CallAbout:
    """Who takes part in a call, and what was said of it. client_state and webhook URLs change with commands.

    custom_headers, sip_headers: {"name", "value"} each. webhook_url: instead of the platform's. webhook_urls, retries:
    by event type, the same for single events, and the delays of their retries in ms.
    """

    from_: str
    to: str
    direction: CallDirection
    connection_id: str
    call_session_id: str
    from_display_name: str = ""
    client_state: str = ""
    custom_headers: tuple[Mapping[str, object], ...] = ()
    sip_headers: tuple[Mapping[str, object], ...] = ()
    webhook_url: str = ""
    webhook_urls: Mapping[str, str] = field(default_factory=dict)
    retries: Mapping[str, Sequence[int]] = field(default_factory=dict)
