"""Have plugins listen to an audio file, as if its channels were the directions of a call.

Of a recording, the sidecar tells whose it is, when it was, what did not come, and which keys were pressed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from strep.analysis.analysis import Analysis, Consumer
from strep.analysis.options import PluginCounts, PluginRun
from strep.analysis.recorded import Channel, Recorded, recorded
from strep.audio.block import AudioBlock
from strep.audio.formats import AudioFormat
from strep.audio.sound_file import CallAudio, open_call_audio
from strep.errors import AudioFileError
from strep.plugins.registry import PluginSource
from strep.stream.events import CloseReason, FormatChanged, StreamClosed, StreamOpened, StreamReport

_PACKETS_A_SECOND = 50
_NS = 1_000_000_000
#: So many packets are read at a time.
_PORTION = 50


def analyse_audio_file(
    path: Path,
    plugins: Sequence[PluginSource | PluginRun],
    consumers: Sequence[Consumer] = (),
    done: Callable[[int, int], None] | None = None,
) -> dict[str, PluginCounts]:
    """Run plugins over a file; its time begins at the epoch where no sidecar says otherwise.

    One channel is inbound, the second one outbound. done(frames done, all): progress. Raises AudioFileError when it is
    no audio, or not that of a call, or when its sidecar is broken.
    """
    with open_call_audio(path) as audio:
        about = recorded(path, audio.channels, audio.sample_rate_hz)
        if not audio.frames and not any(channel.events for channel in about.channels):
            raise AudioFileError(f"{path}: expected audio, found no samples")
        analysis = Analysis(plugins, consumers=consumers, live=False)
        try:
            _feed(path, audio, about, analysis, done)
        finally:
            analysis.close()
    return analysis.counts()


def _feed(
    path: Path, audio: CallAudio, about: Recorded, analysis: Analysis, done: Callable[[int, int], None] | None
) -> None:
    rate_hz, start_ns, position = audio.sample_rate_hz, about.start_ns, 0
    for slot, channel in enumerate(about.channels):
        analysis.event(StreamOpened(start_ns, slot, channel.identity, channel.ssrc, str(path), ""))
        analysis.event(FormatChanged(start_ns, slot, 0, 0, AudioFormat("L16", rate_hz, rate_hz)))
    packet = rate_hz // _PACKETS_A_SECOND
    waiting = deque(sorted(chain(*(channel.events for channel in about.channels)), key=lambda event: event.position))
    while len(frames := audio.read(packet * _PORTION)):
        middles = np.arange(position, position + len(frames), packet) + packet // 2
        states = np.stack([channel.state(middles) for channel in about.channels], axis=1)  # by packet
        for number, begin in enumerate(range(0, len(frames), packet)):
            samples = np.ascontiguousarray(frames[begin : begin + packet].T)
            while waiting and waiting[0].position < position + packet:
                analysis.event(waiting.popleft())
            analysis.block(_block(samples, states[number], position, rate_hz))
            position += samples.shape[1]
        analysis.flush(start_ns + position * _NS // rate_hz)
        if done is not None:
            done(position, audio.frames)
    for event in waiting:
        analysis.event(event)
    for slot, channel in enumerate(about.channels):
        analysis.event(_closed(slot, channel, start_ns, position, rate_hz))


def _block(samples: NDArray[np.int16], states: NDArray[np.uint8], position: int, rate_hz: int) -> AudioBlock:
    count = len(samples)
    nobody = np.zeros(count, np.int64)  # no packet brought it
    return AudioBlock(rate_hz, np.arange(count), np.full(count, position), samples, states, nobody)


def _closed(slot: int, channel: Channel, start_ns: int, length: int, rate_hz: int) -> StreamClosed:
    end_ns = start_ns + length * _NS // rate_hz
    report = StreamReport(channel.identity, start_ns, start_ns, end_ns, length, rate_hz, 0.0, {}, {}, 0)
    return StreamClosed(end_ns, slot, CloseReason.STOPPED, report)
