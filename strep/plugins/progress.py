"""Hear how a call goes on before anyone speaks, or after: ringing, busy, dial tone, a fax, the beep of a voicemail.

Sources: ITU-T E.180 Supplement 2, E.180, E.182 and T.30 (see strep.plugins.tone_table).

Accuracy, as bench/analysis_progress.py measures it (`python -m bench analysis`), after G.711 A-law, each of the 48 rows
of the table 30 times, with its frequencies 1.5 % too low, right and 1.5 % too high, white noise 20 dB below it:
- every row is found, all of 30 times; so are special information tones (E.180's and three of North America's) and 100
  beeps of 0.15 to 1.45 s behind a sentence. As much at 15 dB, and with 3 % of packets lost; at 10 dB, 7 of 10.
- Ringing is told 2.6 to 5.3 s after it began (a cycle, less a fifth of its last pause), busy and congestion tones after
  1.3 to 3 s, dial tones after 3.1 s, a fax after 2.4 (answering) or 3 s (calling), a beep 0.37 s after its end.
- Nothing is heard in 131 minutes of recorded speech: the asterisk-core-sounds in English (25 minutes, from which the
  limits of a beep were chosen), Spanish, French, Italian and Russian (106 minutes, looked at afterwards).

A cadence is told as soon as it is known, and once more when it is over, with all its cycles. Some tones are the same in
two countries and do not mean the same: 0.25 s of 425 Hz is busy in Brazil and congestion in the Netherlands. Then both
are named, in `tone` and in `alternatives`; `countries` chooses. A beep that could be the first ring of a cadence is
told when the second one is overdue; one of a ring's length and frequency is taken for ringing.

It costs 1.8 us of processor time per stream and 20 ms in conversation, and about 12 us of one in which there is a tone.

Not found: chords and buzzers as beeps, tones under speech or music, and answer tones with phase reversals (V.25, V.8).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from strep.plugins.base import BlockPlugin, Finding, Hops, PluginConfig, Wants
from strep.plugins.cadence import Follower, Heard, Meaning, table_of
from strep.plugins.tone_bursts import ToneFrame
from strep.plugins.tone_spectrum import HOP_SAMPLES, SAMPLE_RATE_HZ, WINDOW_SAMPLES, Frames, look
from strep.plugins.tone_table import ToneKind, tones_of
from strep.stream.events import StreamIdentity

#: Frames that are kept of every row, as a tone is known only from its second one on: three before it.
_KEPT = 3
_FIELDS = len(Frames._fields)
_TONES, _TOTAL, _FIRST_HZ, _SECOND_HZ, _MIDDLE_HZ = (
    Frames._fields.index(name) for name in ("tones", "total", "first_hz", "second_hz", "middle_hz")
)
#: Of a frequency from one frame to the next, in Hz: a tone of 120 ms that is wholly in neither window.
_STABLE_HZ = 6.0
#: A window of less than -46 dBm0 is not looked at: networks send about -10 dBm0 (E.180), lines take 25 dB at most.
_LEAST_MEAN_SQUARE = 32768.0**2 / 2 * 10 ** ((-46 - 3.17) / 10)
#: So many frames that are no tone are speech, or music; fewer may be a tone that begins.
_SOUND_FRAMES = 3
_NEVER = -1
#: Rows at a time: their windows and spectra, 1.5 MB, stay in a core's cache.
_AT_ONCE = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class CallProgress(Finding):
    """A tone of the network, or of who answered.

    tone: its likeliest meaning. countries: where it has that, as ISO 3166-1; empty where it is the same everywhere.
    alternatives: what else it means, elsewhere. frequencies_hz: as measured; of a tone that beats, the middle. cycles:
    of the cadence. duration_ms: from the first to the last sound of it so far. is_over: False when it was just
    recognised; True when it has ended, and for what is told once (beeps, special information tones).
    """

    KIND: ClassVar[str] = "call_progress"

    tone: ToneKind
    countries: tuple[str, ...]
    alternatives: tuple[Meaning, ...]
    frequencies_hz: tuple[float, ...]
    cycles: int
    duration_ms: float
    is_over: bool


class ProgressConfig(PluginConfig):
    """A progress config that says whose tones are looked for. countries: ISO 3166-1 codes, None for all."""

    countries: tuple[str, ...] | None = None


class ProgressPlugin(BlockPlugin):
    """A progress plugin that finds call progress tones. Raises ConfigError for a country that is not in the table."""

    NAME: ClassVar[str] = "progress"
    CONFIG: ClassVar[type[PluginConfig]] = ProgressConfig
    wants = Wants(sample_rate_hz=SAMPLE_RATE_HZ, hop_samples=HOP_SAMPLES)

    def __init__(self, config: PluginConfig | None = None) -> None:
        super().__init__(config)
        self._table = table_of(tones_of(self.config.countries))

    def start(self, rows: int) -> None:
        """Make the state."""
        self._earlier = np.zeros((rows, WINDOW_SAMPLES - HOP_SAMPLES), np.int16)
        self._frames = np.zeros((rows, _KEPT, _FIELDS), np.float32)
        self._sound_frames = np.zeros(rows, np.int64)
        self._sound_position = np.full(rows, _NEVER)
        self._is_followed = np.zeros(rows, np.bool_)
        self._followers: dict[int, Follower] = {}

    def open(self, row: int, identity: StreamIdentity) -> None:
        """Begin a stream."""
        self._earlier[row] = 0
        self._frames[row] = 0
        self._sound_frames[row] = 0
        self._sound_position[row] = _NEVER
        self._is_followed[row] = False
        self._followers.pop(row, None)

    def process(self, hops: Hops) -> Iterable[Finding]:
        """Listen to a hop of each stream."""
        rows, middle = hops.rows, hops.position + HOP_SAMPLES - WINDOW_SAMPLES // 2
        frames = self._look(rows, hops.samples)
        before = self._frames[rows]
        is_stable = _is_same(frames, before[:, -1])
        self._note_sound(rows, middle, frames)
        found = list[Finding]()
        for n in np.flatnonzero(is_stable | self._is_followed[rows]).tolist():
            row, position = int(rows[n]), int(middle[n])
            frame = _frame(frames[n], position, is_stable=bool(is_stable[n]))
            found += self._follow(row, frame, before[n])
        self._frames[rows, :-1] = before[:, 1:]
        self._frames[rows, -1] = frames
        return found

    def close(self, row: int) -> Iterable[Finding]:
        """Tell what still goes on."""
        self._is_followed[row] = False
        follower = self._followers.pop(row, None)
        return [] if follower is None else [_finding(row, heard) for heard in follower.close()]

    def finish(self) -> Iterable[Finding]:
        """Tell of every stream what still goes on."""
        return [finding for row in sorted(self._followers) for finding in self.close(row)]

    def _look(self, rows: NDArray[np.int64], samples: NDArray[np.int16]) -> NDArray[np.float32]:
        """Analyse the windows that are not quiet: float32[n, _FIELDS], as in Frames; the quiet ones' are all 0."""
        frames = np.zeros((len(rows), _FIELDS), np.float32)
        for start in range(0, len(rows), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            windows = np.concatenate([self._earlier[rows[part]], samples[part]], axis=1)
            self._earlier[rows[part]] = windows[:, HOP_SAMPLES:]
            energy = np.square(windows, dtype=np.float32).sum(axis=1)
            heard = np.flatnonzero(energy >= _LEAST_MEAN_SQUARE * WINDOW_SAMPLES)
            if len(heard):
                frames[start + heard] = np.stack(look(windows[heard]), axis=1)
        return frames

    def _note_sound(self, rows: NDArray[np.int64], middle: NDArray[np.int64], frames: NDArray[np.float32]) -> None:
        is_sound = (frames[:, _TONES] == 0) & (frames[:, _TOTAL] > 0)
        count = (self._sound_frames[rows] + 1) * is_sound
        self._sound_frames[rows] = count
        is_long = count >= _SOUND_FRAMES
        self._sound_position[rows[is_long]] = middle[is_long]

    def _follow(self, row: int, frame: ToneFrame, before: NDArray[np.float32]) -> list[CallProgress]:
        follower = self._followers.get(row)
        if follower is None:
            first = frame.middle - _KEPT * HOP_SAMPLES
            earlier = [_frame(values, first + n * HOP_SAMPLES) for n, values in enumerate(before)]
            sound = int(self._sound_position[row])
            follower = Follower(self._table, earlier, None if sound == _NEVER else sound)
            self._followers[row] = follower
        found = [_finding(row, heard) for heard in follower.take(frame)]
        if follower.is_idle:
            del self._followers[row]
        self._is_followed[row] = not follower.is_idle
        return found


def _is_same(frames: NDArray[np.float32], before: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell where a frame has the tones of the one before: bool[n]."""
    tones = frames[:, _TONES]
    lower, upper = _range(frames)
    lower_before, upper_before = _range(before)
    is_near = (np.abs(lower - lower_before) <= _STABLE_HZ) & (np.abs(upper - upper_before) <= _STABLE_HZ)
    same: NDArray[np.bool_] = (tones > 0) & (tones == before[:, _TONES]) & is_near
    return same


def _range(frames: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give the lower and the upper frequency of each: twice the same where there is one."""
    first, second, middle = frames[:, _FIRST_HZ], frames[:, _SECOND_HZ], frames[:, _MIDDLE_HZ]
    is_pair = frames[:, _TONES] == 2
    return np.where(is_pair, np.minimum(first, second), middle), np.where(is_pair, np.maximum(first, second), middle)


def _frame(values: NDArray[np.float32], middle: int, *, is_stable: bool = False) -> ToneFrame:
    tones, *rest = values.tolist()
    return ToneFrame(middle, is_stable, int(tones), *rest)


def _finding(row: int, heard: Heard) -> CallProgress:
    meaning, *others = heard.meanings
    return CallProgress(
        row=row,
        position=heard.begin,
        length_samples=heard.end - heard.begin,
        tone=meaning.tone,
        countries=meaning.countries,
        alternatives=tuple(others),
        frequencies_hz=tuple(round(hz, 1) for hz in heard.hz),
        cycles=heard.cycles,
        duration_ms=(heard.end - heard.begin) * 1000 / SAMPLE_RATE_HZ,
        is_over=heard.is_over,
    )
