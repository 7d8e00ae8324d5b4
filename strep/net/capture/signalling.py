"""Learn from the call signalling in a capture what its payload types mean."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strep.audio.formats import AudioFormat
from strep.net.capture.reader import CaptureReader
from strep.net.capture.sdp import parse_sdp_audio
from strep.wire.batch import DatagramBatch

_AUDIO_LINE = b"m=audio"
#: A SIP message begins with a method or with "SIP/2.0" (RFC 3261 section 7): no RTP, STREP or STUN does.
_FIRST_LETTER, _LAST_LETTER = ord("A"), ord("Z")


@dataclass(frozen=True, slots=True)
class _Announcement:
    arrival_ns: int
    formats: Mapping[int, AudioFormat]


def sdp_formats(reader: CaptureReader) -> dict[str, dict[int, AudioFormat]]:
    """Tell for each media address `ip:port` that SIP messages speak of what its payload types mean, by the latest one.

    A machine that uses one port for call after call has only its last call here: see conversation_formats.
    """
    announced, _, _ = _listen(reader)
    return {address: dict(announcements[-1].formats) for address, announcements in announced.items()}


def conversation_formats(reader: CaptureReader) -> dict[str, dict[int, AudioFormat]]:
    """Tell for each conversation (Endpoint.conversation) what its payload types mean, where SIP messages say so.

    An address keeps its latest description until the next, and who receives decides over who sends (RFC 3264 section
    5.1). What comes while the conversation runs only adds to that: a session may not give a payload type another
    meaning (RFC 3264 section 8.3.2), so one that does belongs to the next call on the same port.
    """
    announced, first_ns, last_ns = _listen(reader)
    meanings: defaultdict[str, dict[int, AudioFormat]] = defaultdict(dict)
    for flow, endpoint in enumerate(reader.endpoints):
        for address in (endpoint.destination, endpoint.source):
            for announcement in _in_force(announced.get(address, []), int(first_ns[flow]), int(last_ns[flow])):
                for payload_type, meaning in announcement.formats.items():
                    meanings[endpoint.conversation].setdefault(payload_type, meaning)
    return dict(meanings)


def _in_force(announcements: list[_Announcement], first_ns: int, last_ns: int) -> list[_Announcement]:
    """Select the last announcement before a flow, and all during it."""
    times = [announcement.arrival_ns for announcement in announcements]
    return announcements[max(0, bisect_right(times, first_ns) - 1) : bisect_right(times, last_ns)]


def _listen(
    reader: CaptureReader,
) -> tuple[dict[str, list[_Announcement]], NDArray[np.int64], NDArray[np.int64]]:
    """Collect every address's announcements in order of arrival, and each flow's first and last arrival: int64[flows].

    What is collected is bounded by the file: an audio section takes some 20 bytes of it.
    """
    announced: defaultdict[str, list[_Announcement]] = defaultdict(list)
    first_ns = np.full(len(reader.endpoints), np.iinfo(np.int64).max)
    last_ns = np.zeros(len(reader.endpoints), np.int64)
    for batch in reader.batches(max_span_ns=reader.duration_ns, max_datagrams=4096):
        np.minimum.at(first_ns, batch.source, batch.arrival_ns)
        last_ns[batch.source] = batch.arrival_ns
        for arrival_ns, message in _messages(batch):
            for audio in parse_sdp_audio(message):
                announced[audio.address].append(_Announcement(arrival_ns, audio.formats))
    return announced, first_ns, last_ns


def _messages(batch: DatagramBatch) -> Iterator[tuple[int, bytes]]:
    """Pick the few datagrams that may hold a description of audio, without touching the others' bytes but the first."""
    letter = batch.flat[batch.offset]
    for row in np.flatnonzero((letter >= _FIRST_LETTER) & (letter <= _LAST_LETTER)).tolist():
        message = batch.datagram(row)
        if _AUDIO_LINE in message:
            yield int(batch.arrival_ns[row]), message
