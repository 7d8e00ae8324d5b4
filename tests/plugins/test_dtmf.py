"""Digits are found within the limits of ITU-T Q.24 and not beyond, however they come."""

import uuid
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from bench.analysis_dtmf import BEYOND, WITHIN, Dialling, count_false, count_found, hops_of, listen
from bench.speech_material import PROMPTS
from strep.audio.block import SampleState
from strep.audio.formats import AudioFormat
from strep.plugins.base import Hops
from strep.plugins.digit_pairing import WAIT_SAMPLES
from strep.plugins.dtmf import DtmfConfig, DtmfPlugin
from strep.plugins.tone_pairs import KEYS
from strep.stream.events import Direction, FormatChanged, Leg, StreamIdentity, TelephoneEvent
from tests.plugins.events import placed

IDENTITY = StreamIdentity(uuid.UUID(int=1), Leg.A, Direction.INBOUND)
PCMU, G722 = AudioFormat("PCMU", 8000, 8000), AudioFormat("G722", 8000, 16000)
HOP = 160


def started(rows=4, config=None, audio=PCMU):
    plugin = DtmfPlugin(config)
    plugin.start(rows)
    for row in range(rows):
        plugin.open(row, IDENTITY)
        if audio:
            plugin.event(row, placed(FormatChanged(0, row, 0, 0, audio)))
    return plugin


def hear(plugin, row, samples, start=0, state=SampleState.RECEIVED):
    """Give a row one stretch of audio, in whole hops from `start` on."""
    found = []
    for at in range(0, len(samples), HOP):
        columns = (np.array([row]), np.array([start + at]), np.zeros(1, np.int64), samples[None, at : at + HOP])
        found += plugin.process(Hops(8000, *columns, np.array([state], np.uint8)))
    return found


def one_digit(on_ms=80):
    """A digit 100 to 120 ms from the beginning: its samples, key and position."""
    dialled = Dialling(-10, (2,), (0,), (0,), on_ms, 1000, None).dial(1)
    start = int(dialled.starts[0, 0])
    return dialled.samples[0, : 4 * 1600], KEYS[dialled.keys[0, 0]], start


def event(name, position, duration_ms=80.0, *, complete=True):
    number = "0123456789*#ABCD".index(name)
    return placed(TelephoneEvent(0, 0, position, number, name, duration_ms, -12, complete))


@pytest.mark.parametrize("name", WITHIN)
def test_what_is_within_the_limits_is_found(name):
    assert count_found(WITHIN[name], 1000) == (1000, 0)


@pytest.mark.parametrize("name", BEYOND)
def test_what_is_beyond_the_limits_is_not_found(name):
    assert count_found(BEYOND[name], 400) == (0, 0)


@pytest.mark.peer
def test_no_digit_is_heard_in_prompts(need):
    if not PROMPTS.is_dir():
        need("asterisk-core-sounds-en-wav")
    counted = count_false(PROMPTS)
    assert counted["prompts"] == 568
    assert counted["minutes"] > 25
    assert counted["wrong"] == 0


def test_a_digit_says_where_how_long_and_how_loud_it_is():
    samples, key, start = one_digit()
    [digit] = listen(samples[None])
    assert (digit.KIND, digit.digit, digit.source) == ("digit", key, "inband")
    assert digit.position == pytest.approx(start, abs=8)
    assert digit.length_samples == pytest.approx(640, abs=8)
    assert digit.duration_ms == digit.length_samples / 8
    assert digit.level_dbm0 == pytest.approx(10 * np.log10(10**-1 + 10**-0.8), abs=0.2)


def test_streams_do_not_depend_on_each_other():
    dialled = Dialling().dial(12)
    together = listen(dialled.samples)
    for row in range(12):
        alone = listen(dialled.samples[row : row + 1])
        assert [(d.position, d.length_samples, d.digit, d.level_dbm0) for d in alone] == [
            (d.position, d.length_samples, d.digit, d.level_dbm0) for d in together if d.row == row
        ]


def test_rows_may_come_in_any_order_and_not_all_at_once():
    dialled, plugin, found = Dialling().dial(4), started(), []
    for hops in hops_of(dialled.samples):
        for some in ([2, 0], [3], [1]):
            columns = (column[some] for column in (hops.rows, hops.position, hops.time_ns, hops.samples, hops.state))
            found += plugin.process(Hops(8000, *columns))
    found += plugin.finish()
    key = lambda digit: (digit.row, digit.position)  # noqa: E731 - twice the same
    assert sorted(found, key=key) == sorted(listen(dialled.samples), key=key)


@pytest.mark.parametrize("is_event_first", [True, False])
def test_a_tone_and_its_event_are_one_digit(is_event_first):
    samples, key, start = one_digit()
    plugin, told = started(), event(key, start + 100, 90.0)
    cut = 5 * HOP if is_event_first else 15 * HOP
    found = hear(plugin, 1, samples[:cut])
    found += plugin.event(1, told)
    found += hear(plugin, 1, samples[cut:], cut)
    [digit] = found
    assert (digit.digit, digit.source, digit.row) == (key, "both", 1)
    assert digit.level_dbm0 > -7
    assert digit.end == start + 100 + 720


def test_what_a_gateway_lets_through_of_a_tone_does_not_double_the_event():
    samples, key, start = one_digit(on_ms=40)
    plugin = started()
    found = hear(plugin, 0, samples[: 10 * HOP])
    found += plugin.event(0, event(key, start + 320, 500.0))
    found += hear(plugin, 0, np.zeros(60 * HOP, np.int16), 10 * HOP, SampleState.SILENCE)
    assert [digit.source for digit in found] == ["both"]


def test_a_digit_is_reported_when_its_like_would_have_come():
    samples, key, start = one_digit()
    plugin, quiet = started(), np.zeros(HOP, np.int16)
    found = hear(plugin, 0, samples[: 16 * HOP])
    for hop in range(16, 40):
        found += hear(plugin, 0, quiet, hop * HOP)
        if found:
            break
    assert [digit.digit for digit in found] == [key]
    assert start + 640 + WAIT_SAMPLES <= (hop + 1) * HOP <= start + 640 + WAIT_SAMPLES + 2 * HOP


def test_an_event_is_where_it_is_among_the_hops_whatever_the_rate_of_its_stream():
    plugin, told = started(audio=G722), event("7", 16_000)
    assert plugin.event(0, replace(told, position=8000)) == []
    [digit] = plugin.close(0)
    assert (digit.position, digit.length_samples, digit.source, digit.level_dbm0) == (8000, 640, "rfc4733", -12.0)


def test_an_event_in_a_stream_without_audio_is_reported_at_once():
    plugin = started(audio=None)
    assert [digit.digit for digit in plugin.event(2, event("#", 0))] == ["#"]
    assert plugin.close(2) == []


def test_an_event_is_reported_at_once_where_tones_are_not_heard():
    plugin = started(config=DtmfConfig(hears_tones=False))
    assert hear(plugin, 0, one_digit()[0]) == []
    assert [digit.digit for digit in plugin.event(0, event("D", 0, complete=False))] == ["D"]
    assert plugin.finish() == []


def test_events_that_are_no_keys_are_no_digits():
    plugin = started(audio=None)
    assert plugin.event(0, placed(TelephoneEvent(0, 0, 0, 16, "flash", 80.0, -10, True))) == []
    assert plugin.close(0) == []


def test_the_end_of_a_stream_tells_what_was_held_back():
    samples, key, _ = one_digit(on_ms=400)
    plugin = started()
    assert hear(plugin, 0, samples[: 12 * HOP]) == []
    [digit] = plugin.close(0)
    assert (digit.digit, digit.end) == (key, 12 * HOP)
    assert plugin.finish() == []


def test_a_new_stream_on_a_row_knows_nothing_of_the_one_before():
    samples, _, _ = one_digit()
    plugin = started()
    hear(plugin, 0, samples[: 14 * HOP])
    plugin.event(0, event("9", 100))
    plugin.open(0, IDENTITY)
    assert hear(plugin, 0, np.zeros(50 * HOP, np.int16)) == []
    assert plugin.close(0) == []


def test_concealed_audio_in_a_key_does_not_make_it_two():
    samples, key, _ = one_digit(on_ms=300)
    plugin, lost = started(), slice(10 * HOP, 12 * HOP)
    found = hear(plugin, 0, samples[: lost.start])
    found += hear(plugin, 0, np.zeros(2 * HOP, np.int16), lost.start, SampleState.CONCEALED)
    found += hear(plugin, 0, samples[lost.stop :], lost.stop)
    found += plugin.finish()
    assert [digit.digit for digit in found] == [key]
    assert found[0].duration_ms == pytest.approx(300, abs=1)


def test_limits_can_be_configured():
    for config, expected in ((None, 1), (DtmfConfig(least_duration_ms=120), 0), (DtmfConfig(least_level_dbm0=-9), 0)):
        plugin = started(config=config)
        assert len([*hear(plugin, 0, one_digit()[0]), *plugin.finish()]) == expected


@pytest.mark.parametrize("wrong", [{"least_twist_db": 3}, {"least_level_dbm0": -80}, {"unknown": 1}])
def test_a_configuration_that_cannot_work_is_refused(wrong):
    with pytest.raises(ValidationError):
        DtmfConfig(**wrong)
