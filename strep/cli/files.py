"""Tell what kind of file it is."""

from __future__ import annotations

from pathlib import Path

from strep.errors import CaptureFileError

#: First bytes: pcap in both byte orders and both resolutions, pcapng.
_CAPTURES = (b"\xa1\xb2\xc3\xd4", b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x4d\x3c\xb2\xa1", b"\x0a\x0d\x0d\x0a")


def is_capture(file: Path) -> bool:
    """Tell whether a file begins as a capture does. Raises CaptureFileError when it cannot be read."""
    try:
        with file.open("rb") as opened:
            return opened.read(4) in _CAPTURES
    except OSError as error:
        raise CaptureFileError(f"cannot read {file}: {error.strerror or error}") from None
