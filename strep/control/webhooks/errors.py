"""Say by kind why something that was sent to a webhook's address is not taken for one.

    ControlError              (strep.errors)
    └── WebhookError          reason
        ├── UnsignedWebhook   it has not both headers, or one of them twice
        ├── ForgedWebhook     the signature is not the platform's for these bytes and this time
        ├── StaleWebhook      the platform signed it, but too long ago, or in the future
        └── MalformedWebhook  it is no webhook: not JSON, or without an event type

Their messages are constant: nothing that a stranger sent is repeated in a log.
"""

# ruff: noqa: N818 -- named by what it is, as `except StaleWebhook:` reads; the tree above says that they are errors
from __future__ import annotations

import enum
from typing import ClassVar

from strep.errors import ControlError


class RefusalReason(enum.StrEnum):
    """Why a request was refused; counted, and not told to whoever sent it."""

    UNSIGNED = "unsigned"
    FORGED = "forged"
    STALE = "stale"
    MALFORMED = "malformed"
    WRONG_METHOD = "wrong_method"
    WRONG_PATH = "wrong_path"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    BROKEN_OFF = "broken_off"  #: whoever sent it went away before its end
    CLOSED = "closed"  #: we are about to end


class WebhookError(ControlError):
    """An error that says that something is not to be taken for a webhook of the platform's."""

    reason: RefusalReason
    message: ClassVar[str]

    def __init__(self) -> None:
        super().__init__(self.message)


class UnsignedWebhook(WebhookError):
    """An error that says that it is not signed at all."""

    reason = RefusalReason.UNSIGNED
    message = "expected one telnyx-signature-ed25519 and one telnyx-timestamp header, found none or several"


class ForgedWebhook(WebhookError):
    """An error that says that the platform did not sign these bytes at this time."""

    reason = RefusalReason.FORGED
    message = "expected the platform's signature of timestamp and body, found another"


class StaleWebhook(WebhookError):
    """An error that says that it was signed too long ago, or in the future: it is replayed, or a clock is wrong."""

    reason = RefusalReason.STALE
    message = "expected a webhook signed just now, found one from too long ago or from the future: is the clock right?"


class MalformedWebhook(WebhookError):
    """An error that says that the bytes are no webhook."""

    reason = RefusalReason.MALFORMED
    message = "expected a JSON object with an event type, found something else"
