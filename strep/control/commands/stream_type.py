"""Tell apart the two kinds of media that a fork copies."""

from __future__ import annotations

import enum


class StreamType(enum.StrEnum):
    """Which media a fork copies: as it is on the wire, or after the platform decrypted it."""

    RAW = "raw"
    DECRYPTED = "decrypted"
