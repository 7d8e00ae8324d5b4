"""Make of a recording's sidecar what the engine said when it was recorded: whose it is, when, and what was missing."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strep.audio.block import SampleState
from strep.sinks.sidecar_reading import listed, seconds, sidecar_of
from strep.stream.events import Direction, Gap, Leg, StreamIdentity, TelephoneEvent

_NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of a recording. events: in order; positions, and those of `states`, count its frames.

    states: (begin, end, state) of what did not come; the rest did.
    """

    identity: StreamIdentity
    ssrc: int = 0
    events: list[Gap | TelephoneEvent] = field(default_factory=list)
    states: list[tuple[int, int, SampleState]] = field(default_factory=list)

    def state(self, frames: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Give the SampleState at each of these frames, which ascend."""
        found = np.full(len(frames), SampleState.RECEIVED, np.uint8)
        for begin, end, state in self.states:
            if begin <= frames[-1] and end > frames[0]:
                found[(frames >= begin) & (frames < end)] = state
        return found


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is known of a recording besides its audio. start_ns: wall time of its first frame, 0 if nobody knows."""

    start_ns: int
    channels: list[Channel]


def recorded(path: Path, channels: int, sample_rate_hz: int) -> Recorded:
    """Read the sidecar beside an audio file, if there is one. Raises ConfigError for a broken one."""
    with sidecar_of(path) as document:
        streams = {int(stream["channel"]): stream for stream in document.get("streams", ())}
        start_ns = _time_ns(document["start"]) if document.get("start") else 0
        found = [
            _channel(path, document, streams.get(number, {}), number, start_ns, sample_rate_hz)
            for number in range(channels)
        ]
    return Recorded(start_ns, found)


def _channel(
    path: Path, document: dict[str, Any], stream: dict[str, Any], number: int, start_ns: int, rate_hz: int
) -> Channel:
    leg_id = uuid.UUID(document["call_leg_id"]) if document.get("call_leg_id") else None
    direction = Direction[stream["direction"].upper()] if stream else Direction(number)
    conversation = str(document.get("conversation") or path.stem)
    channel = Channel(
        StreamIdentity(leg_id, Leg[document.get("leg") or "A"], direction, "" if leg_id else conversation),
        int(stream.get("ssrc") or "0", 16),
    )
    for at_s, gap in listed(stream, "gaps"):
        begin, length_s = round(at_s * rate_hz), seconds(gap["length_samples"] / gap["sample_rate_hz"])
        length, state = round(length_s * rate_hz), SampleState[str(gap["state"]).upper()]
        time_ns = start_ns + round(at_s * _NS)
        channel.events.append(Gap(time_ns, number, begin, length, rate_hz, int(gap["lost_packets"]), state))
        channel.states.append((begin, begin + length, state))
    for at_s, told in listed(stream, "telephone_events"):
        channel.events.append(_telephone_event(told, start_ns + round(at_s * _NS), number, round(at_s * rate_hz)))
    channel.events.sort(key=lambda event: event.position)
    if stream:
        _mark_outside(channel, stream, rate_hz)
    return channel


def _telephone_event(told: dict[str, Any], time_ns: int, slot: int, position: int) -> TelephoneEvent:
    return TelephoneEvent(
        time_ns,
        slot,
        position,
        int(told["event"]),
        str(told["name"]),
        float(told["duration_ms"]),
        int(told["volume_dbm0"]),
        bool(told["complete"]),
    )


def _mark_outside(channel: Channel, stream: dict[str, Any], rate_hz: int) -> None:
    """What lies before a direction began, or behind its end, is silence of the file."""
    begin = round(seconds(stream.get("start_s") or 0) * rate_hz)
    channel.states.append((0, begin, SampleState.SILENCE))
    if stream.get("length_samples") and stream.get("sample_rate_hz"):
        end = begin + round(seconds(stream["length_samples"] / stream["sample_rate_hz"]) * rate_hz)
        channel.states.append((end, np.iinfo(np.int64).max, SampleState.SILENCE))


def _time_ns(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1) * 1000
