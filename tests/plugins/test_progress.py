"""Tones of the network, faxes and voicemails are found, and named for what they are."""

import numpy as np
import pytest
from pydantic import ValidationError

from bench.analysis_progress import (
    PROMPTS,
    Told,
    count_false,
    hear_tones,
    hops_of,
    is_named,
    listen,
    measure_beeps,
    measure_special,
    record,
)
from strep.emulator.speech import conversation
from strep.errors import ConfigError
from strep.plugins import conformance
from strep.plugins.base import Hops
from strep.plugins.progress import ProgressConfig, ProgressPlugin
from strep.plugins.tone_table import TONES, Tone, ToneKind
from tests.audio.signals import tone

SAID = conversation(8000)[0]
SPEECH = SAID[np.flatnonzero(SAID)[0] :][: 8000 * 6]
QUIET = np.zeros(8000, np.int16)


def row_of(kind, country):
    return next(row for row in TONES if row.kind == kind and country in row.countries)


def hear(*sounds, countries=None):
    [found] = listen([np.concatenate(sounds)], countries)
    return found


def beep(seconds, hz=1000.0):
    return tone(hz, seconds, 8000)


def pulses(row, on_ms, off_ms, count):
    sound = record(Tone(row.kind, row.countries, row.hz, (5000,)), 0.0, 1).samples[8000:]
    return np.concatenate([QUIET, *([sound[: on_ms * 8], np.zeros(off_ms * 8, np.int16)] * count)])


@pytest.mark.thorough
def test_every_row_is_found_a_little_off_and_under_noise():
    cases = [(row, deviation) for row in TONES for deviation in (-0.015, 0.0, 0.015)]
    found = listen([record(row, deviation, 3).samples for row, deviation in cases])
    missed = [
        case for case, heard in zip(cases, found, strict=True) if not heard or not is_named(heard[0].finding, case[0])
    ]
    assert not missed


@pytest.mark.parametrize("number", range(len(TONES)))
@pytest.mark.thorough
def test_a_rows_own_country_names_it_as_what_it_is(number):
    row = TONES[number]
    told = hear(record(row, 0.0, 5).samples, countries=row.countries[:1])
    assert {one.finding.tone for one in told} == {row.kind}
    assert [one.finding.is_over for one in told] == [False, True]


def test_special_information_tones_and_beeps_are_found():
    assert measure_special(1)["found"] == 1
    assert measure_beeps(12)["found"] == 1


def test_a_ringing_tone_says_when_it_began_and_how_often_it_rang():
    made = record(row_of(ToneKind.RINGBACK, "US"), 0.0, 2)
    first, last = (told.finding for told in hear(made.samples))
    assert (first.KIND, first.tone, first.countries) == ("call_progress", ToneKind.RINGBACK, ("CA", "US"))
    assert first.position == pytest.approx(made.begin, abs=160)
    assert first.frequencies_hz == pytest.approx((440, 480), abs=0.5)
    assert (first.cycles, first.is_over) == (1, False)
    assert first.duration_ms == pytest.approx(2000, abs=20)
    assert (last.position, last.cycles, last.is_over) == (first.position, 2, True)
    assert last.duration_ms == pytest.approx(8000, abs=20)
    assert last.length_samples == last.duration_ms * 8


def test_a_tone_of_several_countries_is_one_finding_that_names_them():
    told = hear(record(row_of(ToneKind.BUSY, "IT"), 0.0, 2).samples)
    assert {(one.finding.tone, one.finding.countries) for one in told} == {
        (ToneKind.BUSY, ("BE", "CH", "DE", "IT", "NL")),
    }


def test_a_tone_of_several_meanings_names_the_others_as_alternatives():
    sound = record(row_of(ToneKind.BUSY, "BR"), 0.0, 2).samples
    finding = hear(sound)[0].finding
    meanings = {(finding.tone, finding.countries), *finding.alternatives}
    assert meanings == {(ToneKind.BUSY, ("BR", "MX")), (ToneKind.CONGESTION, ("DE", "NL"))}
    chosen = hear(sound, countries=("NL",))[0].finding
    assert (chosen.tone, chosen.countries, chosen.alternatives) == (ToneKind.CONGESTION, ("NL",), ())


def test_cadences_of_50_ms_less_are_told_apart():
    spain, brazil = row_of(ToneKind.BUSY, "ES"), row_of(ToneKind.BUSY, "BR")
    found = [hear(record(row, 0.0, 4).samples)[0].finding for row in (spain, brazil)]
    assert not is_named(found[0], brazil)
    assert not is_named(found[1], spain)


@pytest.mark.parametrize(("on_ms", "off_ms"), [(700, 500), (500, 750), (120, 120), (1200, 300)])
def test_another_cadence_of_a_known_frequency_is_nothing(on_ms, off_ms):
    assert hear(pulses(row_of(ToneKind.BUSY, "US"), on_ms, off_ms, 8)) == []


def test_a_known_cadence_of_another_frequency_is_nothing():
    known = row_of(ToneKind.BUSY, "US")
    assert hear(pulses(Tone(known.kind, (), (480, 640), ()), 500, 500, 8)) == []


def test_one_tone_of_a_pair_is_not_the_pair():
    known = row_of(ToneKind.DIAL, "US")
    assert hear(record(Tone(known.kind, (), (350,), known.cadence_ms), 0.0, 1).samples) == []


def test_a_beep_behind_a_greeting_is_told_when_it_has_been_quiet_for_300_ms():
    sound = np.concatenate([SPEECH, QUIET[:4000], beep(0.5), QUIET, QUIET])
    [told] = hear(sound)
    end = len(SPEECH) + 8000
    assert (told.finding.tone, told.finding.countries, told.finding.is_over) == (ToneKind.BEEP, (), True)
    assert told.finding.position == pytest.approx(end - 4000, abs=80)
    assert told.finding.duration_ms == pytest.approx(500, abs=15)
    assert told.finding.frequencies_hz == pytest.approx((1000,), abs=0.5)
    assert 0.3 <= (told.at - end) / 8000 <= 0.45


@pytest.mark.parametrize(
    "sounds",
    [
        (QUIET, beep(0.5), QUIET, QUIET),
        (SPEECH, QUIET, *[QUIET] * 6, beep(0.5), QUIET, QUIET),
        (SPEECH, beep(0.5), SPEECH),
        (SPEECH, beep(0.08), QUIET, QUIET),
        (SPEECH, beep(2.0), QUIET, QUIET),
        (SPEECH, QUIET[:2000], beep(0.3), QUIET[:1600], beep(0.3), QUIET, QUIET),
    ],
    ids=["behind nothing", "long after speech", "before speech", "too short", "too long", "two"],
)
def test_what_is_no_beep_is_not_told_as_one(sounds):
    assert hear(*sounds) == []


def test_a_beep_that_a_cadence_may_begin_with_waits_until_none_can():
    busy = row_of(ToneKind.BUSY, "JP")
    [told] = hear(SPEECH, QUIET, beep(0.5, 400.0), QUIET, QUIET, countries=("JP",))
    assert told.finding.tone == ToneKind.BEEP
    assert (told.at - len(SPEECH) - 12000) / 8000 == pytest.approx(0.67, abs=0.06)
    told = hear(SPEECH, record(busy, 0.0, 1).samples, countries=("JP",))
    assert {one.finding.tone for one in told} == {ToneKind.BUSY}


def test_speech_after_ringing_ends_it():
    made = record(row_of(ToneKind.RINGBACK, "US"), 0.0, 2, None)
    first, last = hear(made.samples[: made.begin + 8 * 5500], SPEECH)
    assert not first.finding.is_over
    assert last.finding.is_over
    assert (last.at - made.begin) / 8000 == pytest.approx(6, abs=1)


def test_a_dial_tone_is_told_when_it_has_lasted_three_seconds():
    made = record(row_of(ToneKind.DIAL, "US"), 0.0, 2)
    first, last = hear(made.samples)
    assert (first.at - made.begin) / 8000 == pytest.approx(3.1, abs=0.1)
    assert last.finding.duration_ms == pytest.approx(5000, abs=20)


def test_a_lost_packet_does_not_end_a_tone():
    for row in (row_of(ToneKind.DIAL, "US"), row_of(ToneKind.RINGBACK, "US"), row_of(ToneKind.DIAL, "DE")):
        samples, begin = record(row, 0.0, 2)
        lost = samples.copy()
        for start in range(begin + 4000, begin + 40000, 4160):
            lost[start : start + 160] = 0
        whole, holed = ([told.finding for told in hear(sound)] for sound in (samples, lost))
        assert [one.tone for one in holed] == [one.tone for one in whole]
        assert [one.duration_ms for one in holed] == pytest.approx([one.duration_ms for one in whole], abs=45)


@pytest.mark.parametrize("seconds", [0.5, 2, 6])
def test_a_tone_may_fade_in_and_out(seconds):
    swell = np.interp(np.arange(8000 * 12) / 8000, [0, 1, 1 + seconds, 11 - seconds, 11], [0, 0, 1, 1, 0])
    faded = np.round(tone(425.0, 12, 8000) * swell**2).astype(np.int16)
    first, last = (told.finding for told in hear(faded, QUIET))
    assert (first.tone, last.tone, last.is_over) == (ToneKind.DIAL, ToneKind.DIAL, True)


def test_a_stutter_dial_tone_is_no_dial_tone():
    assert hear(pulses(row_of(ToneKind.DIAL, "US"), 100, 100, 30)) == []


def test_a_stream_that_ends_tells_what_goes_on():
    plugin, made = ProgressPlugin(), record(row_of(ToneKind.BUSY, "US"), 0.0, 1)
    plugin.start(1)
    told = [finding for hops in hops_of(made.samples[None, : 8000 * 4]) for finding in plugin.process(hops)]
    assert [finding.is_over for finding in told] == [False]
    assert [finding.is_over for finding in plugin.close(0)] == [True]
    assert list(plugin.finish()) == []


def test_an_unknown_country_and_an_unknown_setting_are_refused():
    with pytest.raises(ConfigError, match="found XX"):
        ProgressPlugin(ProgressConfig(countries=("XX",)))
    with pytest.raises(ValidationError):
        ProgressConfig(country="US")


def test_rows_may_come_in_any_order_and_not_all_at_once():
    sounds = [record(TONES[number], 0.0, number).samples[: 8000 * 6] for number in (0, 12, 23, 38)]
    sounds = np.stack([np.resize(sound, 8000 * 6) for sound in sounds])
    plugin, found = ProgressPlugin(), []
    plugin.start(4)
    for hops in hops_of(sounds):
        for some in ([2, 0], [3], [1]):
            columns = (column[some] for column in (hops.rows, hops.position, hops.time_ns, hops.samples, hops.state))
            found += plugin.process(Hops(8000, *columns))
    found += plugin.finish()
    alone = [told.finding for sound in sounds for told in listen([sound])[0]]
    keys = [
        [(f.row, f.position, f.tone, f.cycles, f.frequencies_hz) for f in found if f.row == row] for row in range(4)
    ]
    assert [key[1:] for row in keys for key in row] == [(f.position, f.tone, f.cycles, f.frequencies_hz) for f in alone]
    assert len(alone) >= 7


def test_the_plugin_conforms():
    made = [record(TONES[number], 0.01, number).samples for number in (2, 12, 17, 36)]
    made.append(np.concatenate([SPEECH, QUIET, beep(0.3), QUIET, QUIET]))
    cut = [sound[: len(sound) // 320 * 320].reshape(-1, 320) for sound in made]
    signals = [conformance.Signal(str(n), one, np.zeros(len(one), np.uint8)) for n, one in enumerate(cut)]
    conformance.check(ProgressPlugin, signals)


@pytest.mark.peer
@pytest.mark.thorough
def test_nothing_is_heard_in_prompts_but_in_those_that_beep(need):
    if not PROMPTS.is_dir():
        need("asterisk-core-sounds-en-wav")
    counted = count_false(PROMPTS)
    assert counted["prompts"] == 561
    assert counted["which"] == []
    heard = hear_tones(PROMPTS)
    assert heard.pop("beep: one tone of 0.4 s").startswith("beep of 700.0 Hz, 40")
    assert set(heard.values()) == {"nothing"}


def test_nothing_is_heard_in_a_conversation():
    assert listen(list(conversation(8000))) == [[], []]
    assert Told._fields == ("at", "finding")
