"""Take payloads of G.726 as they are: 2 to 5 bits a sample, packed in one of two orders.

RFC 3551 section 4.5.4 fills each byte from its least significant bit on (`G726-32`), and AAL2 (ITU-T I.366.2 annex E)
from the most significant one (`AAL2-G726-32`). One decoded as the other is noise, and some telephones that say the
first mean the second: a payload type then has to be given the other name.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from strep.audio.lavc import MOST_PACKET_SAMPLES, LavcCodec, Piece


def _codec(library_name: str, bits: int) -> LavcCodec:
    """Make a codec of so many bits a sample; what is taken of a payload are whole bytes that are whole samples.

    2,000 bytes would be up to a second: no more is taken than of codecs that have frames.
    """
    unit_bytes = bits if bits % 2 else 1
    unit_samples = 8 * unit_bytes // bits
    most_units = MOST_PACKET_SAMPLES // unit_samples
    options = (("bits_per_coded_sample", str(bits)),)

    def pieces(payload: bytes) -> list[Piece]:
        units = min(len(payload) // unit_bytes, most_units)
        whole, rest = payload[: units * unit_bytes], payload[units * unit_bytes :]
        found = [Piece(whole, units * unit_samples, options=options), Piece(rest, 0)]
        return [piece for piece in found if piece.data]

    def measure(_: NDArray[np.uint8], length: NDArray[np.int64]) -> NDArray[np.int64]:
        units: NDArray[np.int64] = np.minimum(length // unit_bytes, most_units)
        return units * unit_samples

    return LavcCodec(library_name, 8000, 8000, 1, pieces, measure)


#: By encoding name: RFC 3551's and AAL2's.
G726: Mapping[str, LavcCodec] = MappingProxyType(
    {f"G726-{8 * bits}": _codec("g726le", bits) for bits in range(2, 6)}
    | {f"AAL2-G726-{8 * bits}": _codec("g726", bits) for bits in range(2, 6)}
)
