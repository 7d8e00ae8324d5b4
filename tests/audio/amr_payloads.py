"""AMR payloads written by hand as RFC 4867 draws them, as strings of bits: the reader in strep shifts numbers."""

from strep.audio.amr import FRAME_BITS

#: A frame as its type, whether it is good, and its bits in a string.
Frame = tuple[int, int, str]


def packed(bits: str) -> bytes:
    """Make bytes of a string of bits; zeros fill up the last one."""
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[n : n + 8], 2) for n in range(0, len(bits), 8))


def bits_of(data: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in data)


def frame(encoding: str, stored: bytes) -> Frame:
    """Read a frame as files have it (section 5.3)."""
    frame_type = stored[0] >> 3 & 15
    return frame_type, stored[0] >> 2 & 1, bits_of(stored[1:])[: FRAME_BITS[encoding][frame_type]]


def stored(frame: Frame) -> bytes:
    """Write a frame as files have it."""
    frame_type, good, data = frame
    return bytes([frame_type << 3 | good << 2]) + packed(data)


def split_file(encoding: str, data: bytes) -> list[bytes]:
    """Split what follows the head of a file into frames."""
    frames = list[bytes]()
    while data:
        size = 1 + -(-FRAME_BITS[encoding][data[0] >> 3 & 15] // 8)
        frames.append(data[:size])
        data = data[size:]
    return frames


def efficient(frames: list[Frame], mode_request: int = 15) -> bytes:
    """Write the bandwidth-efficient way (section 4.3)."""
    entries = [f"{n < len(frames) - 1:b}{kind:04b}{good}" for n, (kind, good, _) in enumerate(frames)]
    return packed(f"{mode_request:04b}" + "".join(entries) + "".join(data for _, _, data in frames))


def aligned(frames: list[Frame], mode_request: int = 15, crc: bool = False) -> bytes:
    """Write the octet-aligned way (section 4.4), if wished with some checksums."""
    table = b"".join(packed(f"{n < len(frames) - 1:b}{kind:04b}{good}") for n, (kind, good, _) in enumerate(frames))
    checksums = bytes(0x5A for _, _, data in frames if data) if crc else b""
    return packed(f"{mode_request:04b}") + table + checksums + b"".join(packed(data) for _, _, data in frames)
