"""Write times as people and programs read them."""

from __future__ import annotations

from datetime import datetime, timedelta

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 UTC throughout; a zone would only cost time


def utc_text(time_ns: int) -> str:
    """Write nanoseconds since the Unix epoch as ISO 8601 UTC with microseconds."""
    try:
        time = _EPOCH + timedelta(microseconds=time_ns // 1000)
    except OverflowError:  # a capture file can claim any year
        seconds, rest_ns = divmod(time_ns, 10**9)
        return f"{seconds}.{rest_ns // 1000:06d} s since 1970-01-01T00:00:00Z"
    return time.isoformat(timespec="microseconds") + "Z"
