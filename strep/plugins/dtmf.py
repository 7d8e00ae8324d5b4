"""Find the keys that are pressed in a call: as tones in the audio, as RFC 4733 telephone events, or as both.

Sources: ITU-T Q.23 (the tones), ITU-T Q.24 annex A (what has to be found and what may not be), RFC 4733 (events).

Accuracy, as bench/analysis_dtmf.py measures it (`python -m bench analysis`), after G.711 mu-law, in 10,000 digits each:
- all are found, and nothing else, at all of Q.24's limits at once: 40 ms on and 40 ms off, twist of -8, 0 or +4 dB,
  each tone 1.5 % too high or too low, the weaker one at -25 dBm0, white noise 15 dB below both together;
- none is found, in digits of 23 ms, at -55 dBm0, of -14 or +10 dB twist, or with one tone 3.5 % off;
- none is found in the 2,831 prompts of asterisk-core-sounds in English, Spanish, French, Italian and Russian, 131
  minutes of speech.
A digit's beginning and end are found to a millisecond (tests/plugins/test_tone_tracking.py).
A hop of 20 ms costs 0.7 us a stream, with 2,000 of them on one core; 9 us, were all of them dialling at once.

A digit is reported when its stream has gone on for 250 ms from its end, by when an event or a tone that belongs to it
has come (see strep.plugins.digit_pairing). After an event that no audio follows, that is when some does, or when the
stream ends. Not found: tones under speech or music less than 10 dB weaker, and the second of two digits with less than
20 ms between them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np
from pydantic import Field

from strep.audio.block import SampleState
from strep.plugins.base import BlockPlugin, Finding, Hops, PlacedEvent, PluginConfig, Wants
from strep.plugins.digit_pairing import Digit, DigitPairing
from strep.plugins.tone_pairs import KEYS, SAMPLE_RATE_HZ
from strep.plugins.tone_tracking import HOP_SAMPLES, Limits, Tones, ToneTracker
from strep.stream.events import FormatChanged, StreamIdentity, TelephoneEvent

_NEVER = np.iinfo(np.int64).max


class DtmfConfig(PluginConfig):
    """A DTMF config that says what is a key. The defaults lie between what ITU-T Q.24 has found and what it has
    rejected.

    hears_tones: whether tones are looked for at all; if not, telephone events are reported without waiting for any.
    least_level_dbm0: of each of the two tones. least_twist_db, most_twist_db: by how much the higher tone is the
    stronger one. most_deviation: of a frequency from the key's, as a fraction. least_share: of the energy that the two
    tones have; 0.9 is a noise of -10 dB.
    """

    hears_tones: bool = True
    least_level_dbm0: float = Field(default=-40.0, ge=-55, le=0)
    least_twist_db: float = Field(default=-11.0, ge=-20, le=0)
    most_twist_db: float = Field(default=7.0, ge=0, le=20)
    most_deviation: float = Field(default=0.024, gt=0, le=0.04)
    least_duration_ms: float = Field(default=31.0, ge=25, le=1000)
    least_share: float = Field(default=0.9, ge=0.5, lt=1)


class DtmfPlugin(BlockPlugin):
    """A DTMF plugin that finds digits."""

    NAME: ClassVar[str] = "dtmf"
    CONFIG: ClassVar[type[PluginConfig]] = DtmfConfig
    wants = Wants(sample_rate_hz=SAMPLE_RATE_HZ, hop_samples=HOP_SAMPLES)

    def start(self, rows: int) -> None:
        """Make the state."""
        limits = Limits._make(getattr(self.config, name) for name in Limits._fields)
        self._tracker = ToneTracker(rows, limits)
        self._due = np.full(rows, _NEVER)  # position at which a digit has waited long enough
        self._pairing: dict[int, DigitPairing] = {}  # of rows that had a digit
        self._has_audio: set[int] = set()  # rows

    def open(self, row: int, identity: StreamIdentity) -> None:
        """Begin a stream."""
        self._tracker.open(row)
        self._due[row] = _NEVER
        self._pairing.pop(row, None)
        self._has_audio.discard(row)

    def process(self, hops: Hops) -> Iterable[Finding]:
        """Listen to a hop of each stream."""
        if not self.config.hears_tones:
            return []
        is_lost = (hops.state == SampleState.LOST) | (hops.state == SampleState.CONCEALED)
        found = list[Digit]()
        for tones in self._tracker.take(hops.rows, hops.position, hops.samples, is_lost):
            found += self._add_tones(tones)
        reached = hops.position + HOP_SAMPLES
        for n in np.flatnonzero(self._due[hops.rows] <= reached).tolist():
            row = int(hops.rows[n])
            found += self._pairing[row].reach(int(reached[n]))
            self._note_due(row)
        return found

    def event(self, row: int, placed: PlacedEvent) -> Iterable[Finding]:
        """Take telephone events, and note whether there is audio beside them."""
        event = placed.event
        if isinstance(event, FormatChanged) and event.format is not None:
            self._has_audio.add(row)
        if not isinstance(event, TelephoneEvent) or event.event >= len(KEYS):
            return []
        found = self._add(row, _digit_of_event(row, event, placed.position))
        if self.config.hears_tones and row in self._has_audio:
            return found
        return found + self._report_all(row)  # no tone can come, nor anything that tells how time goes on

    def close(self, row: int) -> Iterable[Finding]:
        """Tell what still sounds or waits."""
        found = [digit for tones in self._tracker.close(row) for digit in self._add_tones(tones)]
        found += self._report_all(row)
        self._pairing.pop(row, None)
        return found

    def finish(self) -> Iterable[Finding]:
        """Tell of every stream what still sounds or waits."""
        return [finding for row in range(len(self._due)) for finding in self.close(row)]

    def _add_tones(self, tones: Tones) -> list[Digit]:
        duration_ms = (tones.end - tones.begin) * 1000 / SAMPLE_RATE_HZ
        if duration_ms < self.config.least_duration_ms:
            return []
        digit = Digit(
            row=tones.row,
            position=tones.begin,
            length_samples=tones.end - tones.begin,
            digit=KEYS[tones.key],
            source="inband",
            duration_ms=duration_ms,
            level_dbm0=round(tones.level_dbm0, 1),
        )
        return self._add(tones.row, digit)

    def _add(self, row: int, digit: Digit) -> list[Digit]:
        found = self._pairing.setdefault(row, DigitPairing()).add(digit)
        self._note_due(row)
        return found

    def _report_all(self, row: int) -> list[Digit]:
        found = self._pairing[row].finish() if row in self._pairing else []
        self._due[row] = _NEVER
        return found

    def _note_due(self, row: int) -> None:
        due = self._pairing[row].due
        self._due[row] = _NEVER if due is None else due


def _digit_of_event(row: int, event: TelephoneEvent, position: int) -> Digit:
    """Take over an event's claims."""
    return Digit(
        row=row,
        position=position,
        length_samples=round(event.duration_ms * SAMPLE_RATE_HZ / 1000),
        digit=event.name,
        source="rfc4733",
        duration_ms=event.duration_ms,
        level_dbm0=float(event.volume_dbm0),
    )
