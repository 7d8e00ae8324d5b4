"""Tones are followed from their beginning to their end, in many rows at once as in each alone."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strep.plugins.tone_pairs import COLUMNS_HZ, KEYS, ROWS_HZ, Screen, find_end, find_start, fit, glance
from strep.plugins.tone_tracking import Limits, Tones, ToneTracker

LIMITS = Limits(-40.0, -11.0, 7.0, 0.024, 0.9)
MS = 8
HOP = 20 * MS


def sound_of(*parts, level=4000.0, noise=20.0, seed=1):
    """Make samples of (key or nothing, ms) parts, in whole hops with 100 ms of quiet behind."""
    generator = np.random.default_rng(seed)
    pieces = []
    for key, ms in (*parts, ("", 100)):
        time = np.arange(ms * MS) / 8000
        hz = (ROWS_HZ[KEYS.index(key) // 4], COLUMNS_HZ[KEYS.index(key) % 4]) if key else ()
        pieces.append(sum((level * np.sin(2 * np.pi * f * time + generator.uniform(0, 6)) for f in hz), 0 * time))
    whole = np.concatenate(pieces)
    whole = np.append(whole, np.zeros(-len(whole) % HOP))
    return np.round(whole + generator.normal(0, noise, len(whole))).astype(np.int16)


def track(samples, lost=None, rows=None):
    """Run streams int16[n, m] side by side; lost: bool[n, hops]."""
    rows = np.arange(len(samples)) if rows is None else rows
    tracker, found = ToneTracker(int(rows.max()) + 1, LIMITS), []
    for hop in range(samples.shape[1] // HOP):
        is_lost = np.zeros(len(rows), np.bool_) if lost is None else lost[:, hop]
        start = np.full(len(rows), hop * HOP)
        found += tracker.take(rows, start, samples[:, hop * HOP : (hop + 1) * HOP], is_lost)
    return found + [tones for row in rows.tolist() for tones in tracker.close(row)]


def names_and_ms(found):
    return [(KEYS[tones.key], round((tones.end - tones.begin) / MS)) for tones in found]


def scalar_track(samples, lost):
    """The twin: one stream, window after window, with all of its audio at hand."""
    screen, audio = Screen(LIMITS.least_share - 0.1, LIMITS.least_level_dbm0), samples.astype(float)
    audio = np.append(np.zeros(480), audio)  # what a row holds before its first hop
    found, key, sounds, run = [], None, False, 0
    begin = end = misses = missing = 0
    level = 0.0
    for start in range(0, len(samples), 80):
        passes = bool(screen.passes(samples[None, start : start + 80])[0, 0])
        run = run + 1 if passes else 0
        segment = audio[None, start + 80 + 480 - 400 : start + 80 + 480]
        if sounds and passes:
            end = start + 80
        elif sounds:
            fitted = fit(segment[:, 80:240], glance(segment[:, 80:240]).radians)
            same = fitted.key[0] == key and fitted.share[0] >= LIMITS.least_share - 0.1
            end = start + 80 - 400 + int(find_end(segment, fitted)[0]) if same else start
            sounds, misses, missing = False, 0, 0
        elif run >= 3 and (run <= 10 or run % 8 == 0):
            seen = glance(segment[:, 240:])
            if LIMITS.suggest(seen)[0]:
                fitted = fit(segment[:, 240:], seen.radians)
                if LIMITS.admit(fitted)[0]:
                    at = start + 80 - 400 + int(find_start(segment, fitted)[0])
                    if key is not None and (key != fitted.key[0] or at - end > 200 + missing * 80):
                        found.append((key, begin, end, level))
                        key = None
                    if key is None:
                        key, begin = int(fitted.key[0]), at
                        level = 10 * np.log10(10 ** (fitted.row_dbm0[0] / 10) + 10 ** (fitted.column_dbm0[0] / 10))
                    sounds, end = True, start + 80
        if key is not None and not sounds:
            misses, missing = misses + (not lost[start // HOP]), missing + lost[start // HOP]
            if misses >= 7 or missing >= 20:
                found.append((key, begin, end, level))
                key = None
    return found if key is None else [*found, (key, begin, end, level)]


PARTS = st.lists(st.tuples(st.sampled_from(["", "1", "5", "D", "D"]), st.integers(5, 90)), min_size=1, max_size=9)


@settings(max_examples=max(4, settings.default.max_examples // 8))  # a second each: the plain twin is slow
@given(st.lists(PARTS, min_size=1, max_size=5), st.integers(0, 10**6), st.floats(0, 0.2))
def test_many_rows_give_what_each_gives_alone_and_in_plain_python(scenes, seed, loss):
    sounds = [sound_of(*parts, noise=100, seed=seed + n) for n, parts in enumerate(scenes)]
    samples = np.zeros((len(sounds), max(map(len, sounds))), np.int16)
    for row, sound in zip(samples, sounds, strict=True):
        row[: len(sound)] = sound
    lost = np.random.default_rng(seed).uniform(size=(len(sounds), samples.shape[1] // HOP)) < loss
    samples.reshape(len(sounds), -1, HOP)[lost] = 0
    together = track(samples, lost)
    for n in range(len(sounds)):
        mine = [tones for tones in together if tones.row == n]
        alone = track(samples[n : n + 1], lost[n : n + 1], np.array([n]))
        plain = [Tones(n, *values) for values in scalar_track(samples[n], lost[n].tolist())]
        for other in (alone, plain):
            assert [tones[:4] for tones in mine] == [tones[:4] for tones in other]
            assert [tones.level_dbm0 for tones in mine] == pytest.approx([tones.level_dbm0 for tones in other])


@given(st.integers(0, 159), st.integers(40, 300), st.sampled_from(KEYS))
def test_tones_are_placed_to_a_millisecond_wherever_they_begin(offset, ms, key):
    samples = np.append(np.zeros(offset, np.int16), sound_of(("", 30), (key, ms)))
    samples = np.append(samples, np.zeros(-len(samples) % HOP, np.int16))
    [tones] = track(samples[None])
    assert KEYS[tones.key] == key
    assert abs(tones.begin - offset - 30 * MS) <= 8
    assert abs(tones.end - tones.begin - ms * MS) <= 8


@pytest.mark.parametrize("ms", [5, 10, 15, 20])
def test_a_short_interruption_does_not_part_a_key(ms):
    [(key, found_ms)] = names_and_ms(track(sound_of(("", 33), ("7", 60), ("", ms), ("7", 60))[None]))
    assert key == "7"
    assert abs(found_ms - 120 - ms) <= 1


@pytest.mark.parametrize("ms", [30, 35, 40, 60, 200])
def test_a_pause_parts_two_presses_of_a_key(ms):
    found = names_and_ms(track(sound_of(("", 33), ("7", 50), ("", ms), ("7", 60))[None]))
    assert found == [("7", 50), ("7", 60)]


@pytest.mark.parametrize("ms", [20, 25, 40])
def test_another_key_after_a_short_pause_is_another_key(ms):
    found = names_and_ms(track(sound_of(("", 33), ("7", 60), ("", ms), ("8", 60))[None]))
    assert found == [("7", 60), ("8", 60)]


def test_lost_audio_does_not_part_a_key():
    samples = sound_of(("", 40), ("3", 400))[None]
    lost = np.zeros((1, samples.shape[1] // HOP), np.bool_)
    lost[0, 8:12] = True
    samples[0, 8 * HOP : 12 * HOP] = 0
    assert names_and_ms(track(samples, lost)) == [("3", 400)]
    assert len(track(samples)) == 2, "silence that was meant does"


def test_lost_audio_is_bridged_for_200_ms():
    samples = sound_of(("", 40), ("3", 800))[None]
    lost = np.zeros((1, samples.shape[1] // HOP), np.bool_)
    lost[0, 8:24] = True
    samples[0, 8 * HOP : 24 * HOP] = 0
    assert len(track(samples, lost)) == 2


def test_the_end_of_a_stream_ends_a_key():
    samples = sound_of(("", 40), ("3", 400))[None, : 10 * HOP]
    assert names_and_ms(track(samples)) == [("3", 160)]


def test_a_row_forgets_the_stream_before():
    samples, tracker = sound_of(("", 40), ("3", 400))[None, : 10 * HOP], ToneTracker(1, LIMITS)
    row, heard = np.array([0]), np.zeros(1, np.bool_)
    for start in range(0, samples.shape[1], HOP):
        tracker.take(row, np.array([start]), samples[:, start : start + HOP], heard)
    tracker.open(0)
    quiet = np.zeros((1, HOP), np.int16)
    assert [tones for n in range(20) for tones in tracker.take(row, np.array([n * HOP]), quiet, heard)] == []
    assert tracker.close(0) == []


def test_digits_come_in_order_and_do_not_overlap():
    found = track(sound_of(*[part for key in KEYS for part in ((key, 45), ("", 42))])[None])
    assert "".join(KEYS[tones.key] for tones in found) == KEYS
    assert all(earlier.end < later.begin for earlier, later in pairwise(found))


def test_a_key_is_found_after_a_long_tone_at_one_of_its_frequencies():
    time = np.arange(4000) / 8000
    hum = np.round(5000 * np.sin(2 * np.pi * 1336 * time)).astype(np.int16)
    samples = np.concatenate([hum, sound_of(("", 40), ("5", 60))])
    samples = np.append(samples, np.zeros(-len(samples) % HOP, np.int16))
    assert names_and_ms(track(samples[None])) == [("5", 60)]


def test_a_tone_and_its_octave_are_no_key():
    time = np.arange(1600) / 8000
    voice = sum(4000 * np.sin(2 * np.pi * hz * time) for hz in (832, 1664))  # 2.3 % below 852, 1.9 % above 1633
    samples = np.append(voice, np.zeros(1600)).astype(np.int16)
    assert track(samples[None]) == []
    beside = sum(4000 * np.sin(2 * np.pi * hz * time) for hz in (835, 1647))
    assert names_and_ms(track(np.append(beside, np.zeros(1600)).astype(np.int16)[None])) == [("C", 200)]
