from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.emulator.dtmf import COLUMN_DBM0, KEYS_HZ, ROW_DBM0, Digits, KeyEvent, tone
from strep.errors import ConfigError
from strep.wire.telephone_event import TelephoneEventPayload, event_name

FULL_SCALE_DBM0 = 3.17


def levels_dbm0(samples, sample_rate_hz, frequencies_hz):
    """Measure the level of single frequencies in a sound (Goertzel's sum, written out)."""
    turns = 2j * np.pi * np.arange(len(samples)) / sample_rate_hz
    window = np.hanning(len(samples))
    peaks = [abs(np.sum(samples * window * np.exp(-hz * turns))) * 2 / window.sum() / 32768 for hz in frequencies_hz]
    return [20 * np.log10(max(peak, 1e-9)) + FULL_SCALE_DBM0 for peak in peaks]


def test_the_keys_are_those_of_q23():
    assert len(KEYS_HZ) == 16 and {event_name(number) for number in range(16)} == set(KEYS_HZ)
    assert KEYS_HZ["1"] == (697, 1209) and KEYS_HZ["5"] == (770, 1336)
    assert KEYS_HZ["0"] == (941, 1336) and KEYS_HZ["#"] == (941, 1477) and KEYS_HZ["D"] == (941, 1633)


@pytest.mark.parametrize("sample_rate_hz", [8000, 16000, 48000])
@pytest.mark.parametrize("key", KEYS_HZ)
def test_a_key_sounds_as_its_two_tones_and_no_other(key, sample_rate_hz):
    sound = tone(key, sample_rate_hz // 10, sample_rate_hz)
    every = sorted({hz for pair in KEYS_HZ.values() for hz in pair})
    measured = dict(zip(every, levels_dbm0(sound, sample_rate_hz, every), strict=True))
    row_hz, column_hz = KEYS_HZ[key]
    assert measured.pop(row_hz) == pytest.approx(ROW_DBM0, abs=0.1)
    assert measured.pop(column_hz) == pytest.approx(COLUMN_DBM0, abs=0.1)
    assert max(measured.values()) < -40


@given(st.text("0123456789*#ABCDwW", min_size=1, max_size=20), st.integers(40, 100), st.integers(40, 100))
def test_the_sound_has_each_tone_in_its_time_and_silence_between(text, tone_ms, pause_ms):
    digits = Digits(text, tone_ms, pause_ms, in_band=True)
    sound = digits.tones(8000)
    assert len(sound) == digits.length_packets * 160
    expected, at_ms = np.zeros(len(sound), bool), 0
    for digit in text:
        if digit in KEYS_HZ:
            expected[at_ms * 8 : (at_ms + tone_ms) * 8] = True
        at_ms += {"w": 500, "W": 1000}.get(digit, tone_ms + pause_ms)
    assert len(sound) - at_ms * 8 < 160
    heard = np.convolve(np.abs(sound.astype(int)), np.ones(41), "same") > 0  # a sine is zero now and then
    assert not heard[~np.convolve(expected, np.ones(81), "same").astype(bool)].any()
    assert heard[expected].all()


def test_an_event_tells_its_beginning_and_its_end_three_times_and_grows_in_between():
    event = KeyEvent.of(10, "#", Digits("#", tone_ms=90), 8000)
    told = [(packet, report) for packet in range(10, 15) for report in event.reports(packet, 160)]
    assert [packet for packet, _ in told] == [10, 10, 10, 11, 12, 13, 14, 14, 14]
    assert [marker for _, (marker, _) in told] == [True] + [False] * 8
    payloads = [TelephoneEventPayload.parse(payload) for _, (_, payload) in told]
    assert [payload.duration for payload in payloads] == [160] * 3 + [320, 480, 640] + [720] * 3
    assert [payload.end for payload in payloads] == [False] * 6 + [True] * 3
    assert {(payload.event, payload.volume_dbm0) for payload in payloads} == {(11, -7)}
    assert [event.rtp_packets_before(packet) for packet in range(10, 16)] == [0, 3, 4, 5, 6, 9]


@given(st.text("0123456789*#ABCDwW", min_size=1, max_size=20), st.integers(40, 500), st.integers(40, 500))
def test_events_of_20_ms_steps_never_meet(text, tone_ms, pause_ms):
    digits = Digits(text, tone_ms, pause_ms)
    events = [KeyEvent.of(-(-press.start_ms // 20), press.digit, digits, 8000) for press in digits.presses()]
    assert all(one.end < other.start for one, other in pairwise(events))
    assert not events or events[-1].end <= digits.length_packets


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"digits": ""}, "digits: expected 1 to 100 of"),
        ({"digits": "1" * 101}, "digits: expected 1 to 100 of"),
        ({"digits": "12x"}, "digits: .* found '12x'"),
        ({"tone_ms": 39}, "tone_ms: expected 40 to 1000, found 39"),
        ({"pause_ms": 10_001}, "pause_ms: expected 40 to 10000, found 10001"),
        ({"payload_type": 128}, "payload_type: expected 0 to 127, found 128"),
    ],
)
def test_digits_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        Digits(**{"digits": "1"} | wrong)
