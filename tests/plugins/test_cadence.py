"""Bursts begin and end where they do, and their lengths say which row of the table they are."""

import pytest

from strep.plugins.cadence import fit, meanings_of
from strep.plugins.tone_bursts import Burst, ToneFrame
from strep.plugins.tone_table import TONES, Tone, ToneKind

FULL = 1000.0


def frame(middle, energy, hz=425.0, width=0.33):
    return ToneFrame(middle, True, 1, max(energy, 1.0), hz, energy, 900.0, 0.0, hz, energy, width)


def burst(begin_ms, end_ms, hz=425.0):
    """Make one of which the frames tell these times: 192 and 128 samples behind edges of 40 %, 36 inside."""
    made, first, past = Burst((hz,)), begin_ms * 8 + 156, end_ms * 8 + 164
    made.add(frame(first - 320, 0.0, hz), 0.0)
    for middle in range(first, past, 320):
        made.add(frame(middle, FULL, hz), FULL)
    made.stop(frame(past, 0.0, hz), FULL, 0.0)
    assert (made.begin, made.end) == pytest.approx((begin_ms * 8, end_ms * 8))
    return made


def bursts(*lengths_ms):
    found, now = [], 1000
    for on_ms, off_ms in zip(lengths_ms[::2], (*lengths_ms[1::2], 0), strict=False):
        found.append(burst(now, now + on_ms))
        now += on_ms + off_ms
    return found


def row_of(kind, country):
    return next(row for row in TONES if row.kind == kind and country in row.countries)


BUSY_IT, BUSY_ES = row_of(ToneKind.BUSY, "IT"), row_of(ToneKind.BUSY, "ES")
CONGESTION_ES, DIAL_IT = row_of(ToneKind.CONGESTION, "ES"), row_of(ToneKind.DIAL, "IT")


def test_an_edge_lies_where_the_energy_passes_its_part():
    made = Burst((425.0,))
    for middle, energy in ((0, 0.0), (320, 0.2 * FULL), (640, 0.9 * FULL), (960, FULL)):
        made.add(frame(middle, energy), energy)
    assert made.begin == pytest.approx(320 + 320 * 0.2 / 0.7 + 36)
    made.stop(frame(1280, 0.3 * FULL), FULL, 0.3 * FULL)
    assert made.end == pytest.approx(1280 - 320 * 0.1 / 0.7 - 36)


def test_a_frame_that_is_part_full_counts_little_for_the_frequency():
    made = Burst((425.0,))
    for hz, energy in ((430.0, 0.5 * FULL), (425.0, FULL), (425.0, FULL)):
        made.add(frame(0, energy, hz), energy)
    assert made.hz[0] == pytest.approx(425.6, abs=0.1)


def test_it_beats_where_it_is_wide_even_at_its_narrowest():
    made = Burst((425.0,))
    made.add(frame(0, FULL, width=1.3), FULL)
    assert made.is_beating
    made.add(frame(320, FULL, width=0.34), FULL)
    assert not made.is_beating


def test_two_cycles_are_certain_when_most_of_the_last_pause_has_passed():
    assert not fit(BUSY_IT, bursts(500, 500, 500), 300).is_certain
    assert fit(BUSY_IT, bursts(500, 500, 500), 400).is_certain
    assert not fit(BUSY_IT, bursts(500), 400).is_certain


def test_short_cycles_need_more_of_them():
    assert not fit(BUSY_ES, bursts(200, 200, 200, 200, 200), 160).is_certain
    assert fit(BUSY_ES, bursts(200, 200, 200, 200, 200, 200, 200), 160).is_certain


@pytest.mark.parametrize("lengths", [(700, 500, 500), (500, 700, 500), (500, 500, 300)])
def test_a_length_that_is_off_is_not_of_the_row(lengths):
    assert fit(BUSY_IT, bursts(*lengths), 400) is None


def test_a_pause_that_is_too_long_is_not_of_the_row():
    assert fit(BUSY_IT, bursts(500, 500, 500), 600) is not None
    assert fit(BUSY_IT, bursts(500, 500, 500), 620) is None


def test_it_is_told_how_far_off_the_worst_length_is():
    assert fit(BUSY_IT, bursts(480, 470, 480), 480).off_ms == pytest.approx(20)
    assert fit(BUSY_IT, bursts(490, 460, 510), 480).off_ms == pytest.approx(20)


def test_a_cycle_of_several_bursts_begins_behind_its_long_pause():
    assert fit(CONGESTION_ES, bursts(200, 200, 200, 200, 200), 500).is_certain
    assert fit(CONGESTION_ES, bursts(200, 600, 200, 200, 200, 200, 200), 500).is_certain
    assert fit(CONGESTION_ES, bursts(200, 200, 200, 200, 200, 200, 200), 500) is None
    assert fit(DIAL_IT, bursts(200, 200, 600), 800).is_certain


def test_the_meaning_of_most_countries_comes_first_and_then_the_commoner_one():
    dial, ring = Tone(ToneKind.DIAL, ("FR",), (440,), (3000,)), Tone(ToneKind.RINGBACK, ("GB",), (440,), (1000, 4000))
    both = Tone(ToneKind.DIAL, ("AT", "FR"), (440,), (3000,))
    assert meanings_of([dial, ring]) == ((ToneKind.RINGBACK, ("GB",)), (ToneKind.DIAL, ("FR",)))
    assert meanings_of([ring, dial, both]) == ((ToneKind.DIAL, ("AT", "FR")), (ToneKind.RINGBACK, ("GB",)))
