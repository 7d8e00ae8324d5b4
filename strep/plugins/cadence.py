"""Follow the tones of one stream, and tell from their frequencies and from how long they sound what they mean.

What decides:

- Lengths may be off by a tenth and 60 ms. A cadence is known after two cycles, after more where they are short (1.5 s
  in all), after one where a cycle is 1.6 s or longer; of the last pause LEAST_PAUSE must have passed in quiet.
- It is every row that is as near as the nearest one, to within 25 ms. Pauses that may still go on count as right.
- As long as a row is nearer that is not certain yet, we wait.
- A beep is one steady tone, after something that is no tone, with 0.3 s of quiet behind it, of which no row of the
  table is a continuation. As long as one may be, we wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import ceil, inf
from typing import NamedTuple

from strep.plugins.tone_bursts import EDGE, MOST_OFF, SAMPLES_PER_MS, Burst, ToneFrame, is_near
from strep.plugins.tone_table import (
    SPECIAL_INFORMATION_HZ,
    SPECIAL_INFORMATION_OFF_HZ,
    Tone,
    ToneKind,
)

#: Of the last pause, before a cadence is told.
LEAST_PAUSE = 0.8
#: Of one tone: less is a click, or a syllable. Of two: less is a tone that follows another one, both in one window.
LEAST_BURST_MS = (60.0, 150.0)
#: Half of what lies between cadences that have to be told apart (0.2 and 0.25 s).
_NEAR_MS = 25.0
#: What is no tone and louder than a tenth of the tone, for so many frames, ends the cadence.
_LOUD, _LOUD_FRAMES = 0.1, 3
#: A tone goes on behind an interruption that is shorter: between two frames 40 ms each; pulses of 100 ms stay pulses.
_DIP_MS = 90.0
#: The most that a row asks for are four, and one before them; more says nothing new.
_BURSTS_KEPT = 12
_BEEP_MS, _BEEP_QUIET_MS, _BEEP_AFTER_MS = (120.0, 1500.0), 300.0, 5000.0
#: How far the frequency moves, as a fraction, and how wide the tone is at its narrowest; a vowel moves, and is wider.
#: A beep of 120 ms, not quite as long as the window, has 0.39.
_BEEP_DRIFT, _BEEP_WIDTH = 0.003, 0.40
_SPECIAL_MS, _SPECIAL_GAP_MS = (200.0, 460.0), 90.0


class Meaning(NamedTuple):
    """What a tone may mean, and where it does; `countries` is empty where it is the same everywhere."""

    tone: ToneKind
    countries: tuple[str, ...]


class Heard(NamedTuple):
    """What was recognised: its likeliest meaning first. begin, end: positions; `end` is of the last burst so far."""

    meanings: tuple[Meaning, ...]
    hz: tuple[float, ...]
    begin: int
    end: int
    cycles: int
    is_over: bool


class Table(NamedTuple):
    """The table of tones as it is looked up: those with a cadence, and those without."""

    cadences: tuple[Tone, ...]
    steady: tuple[Tone, ...]
    shortest_steady_ms: float


def table_of(tones: Sequence[Tone]) -> Table:
    """Arrange rows."""
    cadences, steady = (tuple(row for row in tones if (len(row.cadence_ms) == 1) == is_steady) for is_steady in (0, 1))
    return Table(cadences, steady, min((row.cadence_ms[0] for row in steady), default=inf))


class Fit(NamedTuple):
    """What says how a row of the table fits: off_ms by its worst length, and whether that is certain yet."""

    row: Tone
    off_ms: float
    is_certain: bool


def fit(row: Tone, bursts: Sequence[Burst], pause_ms: float) -> Fit | None:
    """Compare the last bursts of one tone, and the pause since, with a row's cadence; None if they are not of it."""
    steps = len(row.cadence_ms) // 2
    last = bursts[-_needed(row) :]
    cycles = len(last) / steps
    on_off, pause_off = [0.0] * steps, [0.0] * steps
    for n, burst in enumerate(last):
        step = n % steps
        on_ms, off_ms = row.cadence_ms[2 * step : 2 * step + 2]
        was_off_ms = _gap_ms(burst, last[n + 1]) if n + 1 < len(last) else max(pause_ms, off_ms)  # this may go on
        if not (_fits(burst.length_ms, on_ms) and _fits(was_off_ms, off_ms)):
            return None
        on_off[step] += (burst.length_ms - on_ms) / cycles
        pause_off[step] += (was_off_ms - off_ms) / cycles
    before = bursts[-len(last) - 1 : -len(last)]  # a cycle of several bursts has to begin behind its last pause
    if steps > 1 and before and not _fits(_gap_ms(before[0], last[0]), row.cadence_ms[-1]):
        return None
    is_certain = len(last) == _needed(row) and pause_ms >= LEAST_PAUSE * row.cadence_ms[-1]
    return Fit(row, max(map(abs, on_off + pause_off)), is_certain)


def meanings_of(tones: Sequence[Tone]) -> tuple[Meaning, ...]:
    """Join rows to one meaning a kind: first the one of most countries, then the earlier in ToneKind."""
    kinds = dict[ToneKind, set[str]]()
    for tone in tones:
        kinds.setdefault(tone.kind, set()).update(tone.countries)
    order = list(ToneKind)
    ranked = sorted(kinds, key=lambda kind: (-len(kinds[kind]), order.index(kind)))
    return tuple(Meaning(kind, tuple(sorted(kinds[kind]))) for kind in ranked)


class Follower:
    """A follower that follows the tones of one stream from the first on until nothing more can come of them.

    before: the frames before the first that it takes. sound_position: where something last sounded
    that was no tone; None where nothing did.
    """

    def __init__(self, table: Table, before: Sequence[ToneFrame], sound_position: int | None) -> None:
        self._table = table
        self._recent = deque(before, maxlen=3)
        self._sound_position = sound_position
        self._burst: Burst | None = None
        self._bursts: list[Burst] = []
        self._all = 0  # bursts of the tone so far, also those no longer kept
        self._begin = 0.0
        self._possible: list[Tone] = []  # rows that have the last burst's frequencies
        self._due_ms, self._longest_ms = inf, 0.0
        self._heard: Heard | None = None
        self._rows: tuple[Tone, ...] = ()  # of the table, that were heard
        self._loud_frames = 0
        self.is_idle = False

    def take(self, frame: ToneFrame) -> list[Heard]:
        """Take the next frame."""
        found = list[Heard]()
        if self._burst is not None:
            energy = frame.energy_of(self._burst.first_hz)
            if energy >= EDGE * self._burst.full:
                self._burst.add(frame, energy)
                found += self._judge_steady(self._burst)
            else:
                before = self._recent[-1].energy_of(self._burst.first_hz) if self._recent else self._burst.full
                self._burst.stop(frame, before, energy)
                found += self._end(self._burst)
        if self._burst is None and not self._resume(frame):
            if frame.is_stable and self._is_new(frame):
                found += self._start(frame)
            elif self._bursts:
                found += self._judge_pause(frame, self._bursts[-1])
            else:
                self.is_idle = True
        self._recent.append(frame)
        return found

    def close(self) -> list[Heard]:
        """End what was heard and goes on."""
        if self._burst is not None and self._heard is not None:
            self._heard = self._heard._replace(end=round(self._burst.end))
        return self._over()

    def _is_new(self, frame: ToneFrame) -> bool:
        """Tell a tone that begins from one that fades out of the window."""
        if not self._bursts:
            return True
        last = self._bursts[-1]
        energy = frame.energy_of(last.first_hz)
        if energy >= frame.total / 2:
            return energy >= EDGE * last.full
        return frame.total >= _LOUD * last.full

    def _resume(self, frame: ToneFrame) -> bool:
        """Go on with a burst that a lost packet or a click interrupted."""
        if not self._all or frame.middle - self._bursts[-1].end > _DIP_MS * SAMPLES_PER_MS:
            return False
        last = self._bursts[-1]
        energy = frame.energy_of(last.first_hz)
        if energy < EDGE * last.full:
            return False
        self._burst = self._bursts.pop()
        self._all -= 1
        self._burst.add(frame, energy)
        return True

    def _start(self, frame: ToneFrame) -> list[Heard]:
        found = self._over() if self._is_steady else []
        burst = Burst(frame.hz)
        for earlier in (*self._recent, frame):
            burst.add(earlier, earlier.energy_of(frame.hz))
        self._burst, self._loud_frames = burst, 0
        return found

    def _end(self, burst: Burst) -> list[Heard]:
        """End a burst: it goes on with a cadence, or is another tone's first."""
        self._burst = None
        if burst.length_ms < LEAST_BURST_MS[len(burst.first_hz) - 1]:
            return []
        found = list[Heard]()
        if self._heard is not None and not self._goes_on(burst):
            found += self._over()
        if self._bursts and not is_near(burst.hz, self._bursts[-1].hz, MOST_OFF):
            self._all = 0
        if self._all == 0:
            self._begin = burst.begin
        self._all += 1
        self._bursts = [*self._bursts[1 - _BURSTS_KEPT :], burst]
        self._note_possible(burst)
        if self._heard is not None:
            self._heard = self._heard._replace(end=round(burst.end), cycles=self._cycles(self._rows))
        return found + self._judge_special()

    def _note_possible(self, burst: Burst) -> None:
        """Note which rows it may be of, from which pause on one of them is certain, and up to which one goes on."""
        self._possible = [row for row in self._table.cadences if burst.is_of(row)]
        enough = (row for row in self._possible if self._all >= _needed(row))
        self._due_ms = min((LEAST_PAUSE * row.cadence_ms[-1] for row in enough), default=inf)
        pauses_ms = (_most(off_ms) for row in self._possible for off_ms in row.cadence_ms[1::2])
        self._longest_ms = max(pauses_ms, default=_BEEP_QUIET_MS + 100)

    def _goes_on(self, burst: Burst) -> bool:
        """Tell whether a burst is one more of the cadence that was heard."""
        return self._is_steady or any(
            burst.is_of(row) and any(_fits(burst.length_ms, on) for on in row.cadence_ms[::2]) for row in self._rows
        )

    @property
    def _is_steady(self) -> bool:
        """Tell whether it is a tone without cadence that was heard."""
        return bool(self._rows) and len(self._rows[0].cadence_ms) == 1

    def _judge_steady(self, burst: Burst) -> list[Heard]:
        if self._is_steady or burst.most_ms < self._table.shortest_steady_ms:
            return []
        length_ms = burst.length_ms
        rows = [row for row in self._table.steady if length_ms >= row.cadence_ms[0] and burst.is_of(row)]
        if not rows:
            return []
        found = self._over()
        self._begin, self._all = burst.begin, 0
        return found + self._tell(rows, burst.hz, burst.end)

    def _judge_special(self) -> list[Heard]:
        """Look for three tones one after the other (E.180)."""
        last = self._bursts[-3:]
        if len(last) < 3 or not all(_SPECIAL_MS[0] <= burst.length_ms <= _SPECIAL_MS[1] for burst in last):
            return []
        if max(_gap_ms(last[0], last[1]), _gap_ms(last[1], last[2])) > _SPECIAL_GAP_MS:
            return []
        hz = tuple(burst.hz[0] for burst in last)
        most = [SPECIAL_INFORMATION_OFF_HZ + 0.015 * nominal for nominal in SPECIAL_INFORMATION_HZ]
        if not all(abs(a - b) <= off for a, b, off in zip(hz, SPECIAL_INFORMATION_HZ, most, strict=True)):
            return []
        meaning = Meaning(ToneKind.SPECIAL_INFORMATION, ())
        self._bursts, self._all, self.is_idle = [], 0, True
        return [Heard((meaning,), hz, round(last[0].begin), round(last[-1].end), 1, is_over=True)]

    def _judge_pause(self, frame: ToneFrame, last: Burst) -> list[Heard]:
        pause_ms = (frame.middle - last.end) / SAMPLES_PER_MS
        is_loud = pause_ms > 60 and frame.total > _LOUD * last.full
        self._loud_frames = self._loud_frames + 1 if is_loud and not frame.is_stable else 0
        found = list[Heard]()
        if self._loud_frames >= _LOUD_FRAMES:
            self.is_idle = True
        elif self._heard is None:
            found += self._judge_cadence(pause_ms) or self._judge_beep(last, pause_ms, is_loud)
        elif pause_ms > max((_most(off) for row in self._rows for off in row.cadence_ms[1::2]), default=_DIP_MS):
            found += self._over()
        self.is_idle |= pause_ms > self._longest_ms
        return found + (self._over() if self.is_idle else [])

    def _judge_cadence(self, pause_ms: float) -> list[Heard]:
        if pause_ms < self._due_ms:
            return []
        bursts = self._bursts[-self._all :]
        fits = [found for row in self._possible if (found := fit(row, bursts, pause_ms)) is not None]
        nearest = min((found.off_ms for found in fits), default=0.0)
        chosen = [found for found in fits if found.off_ms <= nearest + _NEAR_MS]
        if not any(found.is_certain for found in chosen):
            return []
        rows = [found.row for found in chosen if found.is_certain or len(found.row.cadence_ms) == 2]
        return self._tell(rows, bursts[-1].hz, bursts[-1].end)

    def _judge_beep(self, last: Burst, pause_ms: float, is_loud: bool) -> list[Heard]:
        if pause_ms < _BEEP_QUIET_MS or is_loud or len(self._bursts) > 1 or len(last.hz) > 1:
            return []
        if not (_BEEP_MS[0] <= last.length_ms <= _BEEP_MS[1] and last.width <= _BEEP_WIDTH):
            return []
        if last.highest_hz - last.lowest_hz > _BEEP_DRIFT * last.hz[0]:
            return []
        if self._sound_position is None or last.begin - self._sound_position > _BEEP_AFTER_MS * SAMPLES_PER_MS:
            return []
        for row in self._possible:
            for on_ms, off_ms in zip(row.cadence_ms[::2], row.cadence_ms[1::2], strict=True):
                if _fits(last.length_ms, on_ms) and pause_ms <= _most(off_ms):
                    return []  # a cadence may begin with it
        self.is_idle = True
        meaning = Meaning(ToneKind.BEEP, ())
        return [Heard((meaning,), last.hz, round(last.begin), round(last.end), 1, is_over=True)]

    def _tell(self, rows: Sequence[Tone], hz: tuple[float, ...], end: float) -> list[Heard]:
        self._rows = tuple(rows)
        self._heard = Heard(meanings_of(rows), hz, round(self._begin), round(end), self._cycles(rows), is_over=False)
        return [self._heard]

    def _cycles(self, rows: Sequence[Tone]) -> int:
        return max(1, self._all // max(1, len(rows[0].cadence_ms) // 2))

    def _over(self) -> list[Heard]:
        """End what was heard; what comes is something else."""
        if self._heard is None:
            return []
        heard, self._heard, self._rows = self._heard._replace(is_over=True), None, ()
        self._bursts, self._all = [], 0
        return [heard]


def _needed(row: Tone) -> int:
    """Tell how many bursts make a cadence certain."""
    cycles = 1 if row.cycle_ms >= 1600 else max(2, ceil(1500 / row.cycle_ms))
    return cycles * len(row.cadence_ms) // 2


def _gap_ms(burst: Burst, after: Burst) -> float:
    return (after.begin - burst.end) / SAMPLES_PER_MS


def _fits(length_ms: float, nominal_ms: float) -> bool:
    return abs(length_ms - nominal_ms) <= 0.1 * nominal_ms + 60


def _most(nominal_ms: float) -> float:
    return 1.1 * nominal_ms + 60
