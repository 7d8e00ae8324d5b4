"""Walk the records of a classic pcap file (draft-ietf-opsawg-pcap)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from strep.net.capture.packets import CHUNK_PACKETS, PacketColumns, rows_at

FILE_HEADER_BYTES: Final = 24
RECORD_HEADER_BYTES: Final = 16
#: The magic as it lies in the file: its byte order, and the unit of the fraction of a second.
MAGICS: Final = {
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
}
#: libpcap's MAXIMUM_SNAPLEN: it writes no longer record, so one that claims more is damage, not a packet.
LONGEST_RECORD_BYTES: Final = 262_144


def walk_pcap(flat: NDArray[np.uint8]) -> Iterator[PacketColumns]:
    """Read the records in runs of up to CHUNK_PACKETS; stop at the first that is incomplete or damaged.

    flat: uint8[bytes], the file, at least its header. The last run's `consumed` tells where reading stopped.
    """
    order, fraction_ns = MAGICS[flat[:4].tobytes()]
    # The upper half of the field is about the frame check sequence (draft-ietf-opsawg-pcap section 4).
    link_type = struct.unpack_from(order + "I", flat.data, 20)[0] & 0xFFFF
    position = FILE_HEADER_BYTES
    while True:
        records, after = _find_records(flat.data, order, position)
        fields = rows_at(flat, records, RECORD_HEADER_BYTES).view(order + "u4").astype(np.int64)
        wild = np.flatnonzero(fields[:, 2] > LONGEST_RECORD_BYTES)
        if len(wild):
            after = int(records[wild[0]])
            records, fields = records[: wild[0]], fields[: wild[0]]
        start = records + RECORD_HEADER_BYTES
        yield PacketColumns(
            start=start,
            end=start + fields[:, 2],
            arrival_ns=fields[:, 0] * 1_000_000_000 + fields[:, 1] * fraction_ns,
            link_type=np.full(len(start), link_type, np.int64),
            consumed=after,
        )
        if after == position:
            return
        position = after


def _find_records(data: memoryview, order: str, position: int) -> tuple[NDArray[np.int64], int]:
    """Step from record to record: where complete ones begin, and where the one after them does.

    This loop is the only Python that runs once a packet, so it does nothing but add up lengths.
    """
    captured_bytes = struct.Struct(order + "I").unpack_from
    records: list[int] = []
    last = len(data) - RECORD_HEADER_BYTES
    for _ in range(CHUNK_PACKETS):
        if position > last:
            break
        records.append(position)
        position += RECORD_HEADER_BYTES + captured_bytes(data, position + 8)[0]
    if position > len(data):
        position = records.pop()
    return np.array(records, np.int64), position
