"""Decode any payloads of every codec: each as long as it measures, bounded, and the same by columns."""

from __future__ import annotations

import numpy as np

from strep.audio.conceal import conceal
from strep.audio.decoders import (
    is_decodable,
    measure_payloads,
    new_decoder,
    packet_samples,
)
from strep.audio.formats import STATIC_PAYLOAD_TYPES, AudioFormat, parse_format
from strep.stream.records import MOST_HISTORY
from strep.wire.red import find_primary
from strep.wire.telephone_event import EVENT_BYTES, TelephoneEventPayload, event_name
from tests.red import blocks_of

_NAMED = ("opus/48000/2", "ilbc", "amr", "amr;octet-align=1", "amr;octet-align=1;crc=1", "amr;octet-align=0", "amr-wb")
_NAMED += (
    "amr-wb;octet-align=1",
    "speex",
    "speex/16000",
    "speex/32000",
    "g726-16",
    "g726-24",
    "g726-40",
    "aal2-g726-32",
)
_NAMED += ("l16/16000/2", "pcmu/16000")
FORMATS: tuple[AudioFormat, ...] = tuple(
    format for format in (*STATIC_PAYLOAD_TYPES.values(), *map(parse_format, _NAMED)) if is_decodable(format)
)
#: What one datagram may become, in bytes of sound.
_MOST_BYTES = 64 << 10
_MOST_PAYLOAD_BYTES = 2048


def run(data: bytes) -> None:
    """Decode payloads of one stream: the format, then each by its length in two bytes."""
    if not data:
        return
    format, data = FORMATS[data[0] % len(FORMATS)], data[1:]
    decoder = new_decoder(format)
    while data:
        length = int.from_bytes(data[:2]) % (_MOST_PAYLOAD_BYTES + 1)
        payload, data = data[2 : 2 + length], data[2 + length :]
        _decode(format, decoder, payload)
        _unpack(payload)


def _decode(format: AudioFormat, decoder, payload: bytes) -> None:
    samples = decoder.decode(payload)
    assert samples.dtype == np.int16
    assert samples.nbytes <= _MOST_BYTES, f"{len(payload)} bytes of {format} became {samples.nbytes}"
    assert len(samples) == packet_samples(format, payload)
    width = len(payload) + 3
    row = np.frombuffer(payload.ljust(width, b"\xff"), np.uint8)[None, :]
    assert measure_payloads(format, row, np.array([len(payload)])).tolist() == [len(samples)]
    lost = 2 * len(samples)
    made_up = np.ones(lost, np.int16)
    conceal(samples[-MOST_HISTORY:], format.sample_rate_hz, made_up)
    assert np.abs(made_up.astype(int)).max(initial=0) <= np.abs(samples.astype(int)).max(initial=0)


def _unpack(payload: bytes) -> None:
    payload_type, start = find_primary(np.frombuffer(payload, np.uint8), 0, len(payload))
    blocks = blocks_of(payload)
    assert (payload_type >= 0) == bool(blocks)
    if blocks:
        assert (payload_type, payload[start:]) == blocks[-1][:2]
    if len(payload) >= EVENT_BYTES:
        assert event_name(TelephoneEventPayload.parse(payload).event)


def seeds() -> list[bytes]:
    """Give payloads of usual lengths of each format."""
    lengths = (0, 1, 2, 4, 10, 20, 24, 33, 38, 50, 60, 80, 160, 320)
    bodies = [bytes(7 * n + length & 0xFF for n in range(length)) for length in lengths]
    rows = b"".join(len(body).to_bytes(2) + body for body in bodies)
    zeros = b"".join(length.to_bytes(2) + bytes(length) for length in lengths)
    return [bytes((number,)) + body for number in range(len(FORMATS)) for body in (rows, zeros)]
