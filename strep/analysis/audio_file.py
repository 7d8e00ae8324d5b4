"""Have plugins listen to an audio file, as if its channels were the directions of a call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from strep.analysis.analysis import Analysis, Consumer
from strep.analysis.options import PluginCounts, PluginRun
from strep.audio.block import AudioBlock, SampleState
from strep.audio.formats import AudioFormat
from strep.errors import ConfigError
from strep.plugins.registry import PluginSource
from strep.stream.events import (
    CloseReason,
    Direction,
    FormatChanged,
    Leg,
    StreamClosed,
    StreamIdentity,
    StreamOpened,
    StreamReport,
)

_PACKET_S = 0.02
_NS = 1_000_000_000
#: So many packets are read at a time.
_PORTION = 50


def analyse_audio_file(
    path: Path,
    plugins: Sequence[PluginSource | PluginRun],
    consumers: Sequence[Consumer] = (),
    done: Callable[[int, int], None] | None = None,
) -> dict[str, PluginCounts]:
    """Run plugins over a file; its time begins at the epoch. One channel is inbound, the second one outbound.

    done(frames done, all): progress. Raises ConfigError when it is no audio, or has more than two channels.
    """
    try:
        file = soundfile.SoundFile(path)
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"{path}: expected a capture or an audio file, found neither: {error}") from None
    with file:
        if file.channels > len(Direction):
            raise ConfigError(f"{path}: expected one or two channels, found {file.channels}")
        analysis = Analysis(plugins, consumers=consumers, live=False)
        try:
            _feed(file, path.stem, analysis, done)
        finally:
            analysis.close()
    return analysis.counts()


def _feed(file: soundfile.SoundFile, name: str, analysis: Analysis, done: Callable[[int, int], None] | None) -> None:
    rate, position = int(file.samplerate), 0
    identities = [StreamIdentity(None, Leg.A, Direction(slot), name) for slot in range(file.channels)]
    for slot, identity in enumerate(identities):
        analysis.event(StreamOpened(0, slot, identity, slot, str(file.name), ""))
        analysis.event(FormatChanged(0, slot, 0, 0, AudioFormat("L16", rate, rate)))
    packet = round(rate * _PACKET_S)
    while len(frames := file.read(packet * _PORTION, dtype="int16", always_2d=True)):
        for start in range(0, len(frames), packet):
            samples = np.ascontiguousarray(frames[start : start + packet].T)
            analysis.block(_block(samples, position, rate))
            position += samples.shape[1]
        analysis.flush(position * _NS // rate)
        if done is not None:
            done(position, int(file.frames))
    for slot, identity in enumerate(identities):
        analysis.event(_closed(slot, identity, position, rate))


def _block(samples: np.ndarray[tuple[int, int], np.dtype[np.int16]], position: int, rate: int) -> AudioBlock:
    slots = np.arange(len(samples))
    at = np.full(len(samples), position)
    states = np.full(len(samples), SampleState.RECEIVED, np.uint8)
    return AudioBlock(rate, slots, at, samples, states, np.zeros_like(at))  # no packet brought it


def _closed(slot: int, identity: StreamIdentity, length: int, rate: int) -> StreamClosed:
    end_ns = length * _NS // rate
    by_state = {state.name.lower(): 0 for state in SampleState} | {"received": length}
    report = StreamReport(identity, 0, 0, end_ns, length, rate, 0.0, by_state, {}, 0)
    return StreamClosed(end_ns, slot, CloseReason.STOPPED, report)
