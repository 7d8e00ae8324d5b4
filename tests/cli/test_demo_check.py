from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.audio import g711
from strep.audio.decoders import new_decoder
from strep.cli.demo_check import check_datagrams, check_recordings, check_samples
from strep.emulator import SentStream
from strep.emulator.codec import CODECS, encoded_conversation
from strep.emulator.media import RtpStream
from strep.stream.events import Direction, Leg

LEFT, RIGHT = "left is the caller", "right is the agent"
TOGETHER, LENGTH = "left and right begin together", "as long as the call"


def sent_streams(encoding="PCMU", first=150, count=120):
    """Give the account of a fork from 3.0 to 5.4 s: the agent ends at 3.9 s, the caller begins at 4.1 s."""
    accounts = {}
    for direction in Direction:
        stream = RtpStream(Leg.A, direction, CODECS[encoding], encoded_conversation(encoding)[direction], 1, 2, 3)
        accounts[direction] = SentStream(stream, range(first, 1000))
        accounts[direction].copies[:count] = 1
    return accounts


def recorded(sent, lead=(0, 0), tail=0):
    """Give what a faultless recorder makes of it; `lead` samples of silence before each channel."""
    channels = []
    for direction in Direction:
        decoder = new_decoder(sent[direction].stream.codec.format)
        decoded = np.concatenate([decoder.decode(payload) for payload in sent[direction].payloads()])
        channels.append(np.concatenate((np.zeros(lead[direction], np.int16), decoded)))
    samples = np.zeros((max(map(len, channels)) + tail, 2), np.int16)
    for direction, channel in enumerate(channels):
        samples[: len(channel), direction] = channel
    return samples


def rate_hz(sent):
    return sent[Direction.INBOUND].stream.codec.format.sample_rate_hz


def failures(samples, sent):
    """Give the names of the checks that failed, cut at their known beginnings, and what they say."""
    findings = check_samples(samples, rate_hz(sent), sent)
    return {finding.name: finding.detail for finding in findings if not finding.passed}


PCMU = sent_streams()
GOOD = recorded(PCMU)


@pytest.mark.parametrize("encoding", CODECS)
def test_a_faultless_recording_passes_with_every_codec(encoding):
    sent = sent_streams(encoding, first=0, count=260)
    findings = check_samples(recorded(sent), rate_hz(sent), sent)
    assert [finding.passed for finding in findings] == [True] * 4
    assert "0.000 ms apart" in findings[2].detail


def test_what_is_expected_is_speech_after_companding():
    for direction in Direction:
        companded = g711.decode(g711.encode(PCMU[direction].samples(), g711.Law.MU), g711.Law.MU)
        assert np.array_equal(GOOD[:, direction], companded)


def test_swapped_channels_fail_and_are_called_that():
    found = failures(GOOD[:, ::-1], PCMU)
    assert "the channels are swapped" in found[LEFT]
    assert "expected the agent, found the caller" in found[RIGHT]


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 1), st.integers(1, 65535))
def test_any_damaged_sample_fails(position, channel, change):
    damaged = GOOD.copy()
    damaged[position, channel] = np.array(int(damaged[position, channel]) + change).astype(np.int16)
    found = failures(damaged, PCMU)
    assert set(found) == {(LEFT, RIGHT)[channel]}
    assert f"{len(GOOD) - 1} of {len(GOOD)} samples as sent" in found[(LEFT, RIGHT)[channel]]
    assert f"{position / 8000:.3f} s" in found[(LEFT, RIGHT)[channel]]


@pytest.mark.parametrize(("apart_samples", "passes"), [(0, True), (40, True), (41, False), (800, False)])
@pytest.mark.parametrize("first", [0, 1])
def test_channels_may_be_five_milliseconds_apart(apart_samples, passes, first):
    lead = (apart_samples, 0) if first else (0, apart_samples)
    found = failures(recorded(PCMU, lead)[: len(GOOD) + 100], PCMU)
    assert (TOGETHER not in found) == passes


def test_both_channels_may_begin_a_little_into_the_file():
    assert failures(recorded(PCMU, lead=(159, 159)), PCMU) == {}


def test_a_beginning_that_is_cut_off_fails():
    assert set(failures(GOOD[4000:], PCMU)) == {RIGHT, LENGTH}  # the caller was silent there


@pytest.mark.parametrize(("tail", "passes"), [(160, True), (161, False)])
def test_a_recording_longer_than_the_call_by_more_than_a_packet_fails(tail, passes):
    assert failures(recorded(PCMU, tail=tail), PCMU) == (
        {} if passes else {LENGTH: f"{(len(GOOD) + tail) / 8000:.3f} s of 2.400 s"}
    )


def test_a_recording_that_ends_early_fails():
    assert set(failures(GOOD[:-161], PCMU)) == {LEFT, LENGTH}  # the agent was silent there


def test_sound_after_the_call_fails():
    longer = recorded(PCMU, tail=100)
    longer[-1, 0] = 5
    found = failures(longer, PCMU)
    assert found == {LEFT: "expected silence before and after the call, found 1 sample of sound"}


def test_silence_fails():
    assert set(failures(np.zeros_like(GOOD), PCMU)) >= {LEFT, RIGHT}


def test_an_empty_recording_fails():
    assert set(failures(GOOD[:0], PCMU)) >= {LEFT, RIGHT, LENGTH}


@pytest.mark.parametrize("encoding", ["G722", "OPUS"])
def test_a_lossy_codec_is_checked_as_strictly(encoding):
    sent = sent_streams(encoding)
    damaged = recorded(sent)
    damaged[len(damaged) // 2, 1] += 1
    assert set(failures(damaged, sent)) == {RIGHT}


def test_samples_as_sent_that_are_not_the_speech_fail(monkeypatch):
    """Let decoder and recorder agree on nonsense: only the comparison with what was spoken can tell."""
    monkeypatch.setattr(SentStream, "samples", lambda self: np.roll(PCMU_SPEECH[self.stream.direction], 1))
    found = failures(GOOD, PCMU)
    assert set(found) == {LEFT, RIGHT}
    assert "dB signal to noise, expected 30 dB" in found[LEFT]


PCMU_SPEECH = {direction: PCMU[direction].samples() for direction in Direction}


def test_a_party_that_says_nothing_is_held_against_silence():
    sent = sent_streams(first=0, count=100)  # the caller listens for four seconds
    samples = recorded(sent)
    findings = check_samples(samples, 8000, sent)
    assert [finding.passed for finding in findings] == [True] * 4
    assert "nothing was said" in findings[0].detail
    assert "not measured" in findings[2].detail
    samples[5000, 0] = 1
    assert set(failures(samples, sent)) == {LEFT}


@pytest.mark.parametrize("encoding", CODECS)
@pytest.mark.parametrize("lead", [(0, 1), (1, 0), (3, 0)])
def test_what_a_codec_makes_of_silence_is_found_where_it_is(encoding, lead):
    sent = sent_streams(encoding, first=0, count=50)
    assert failures(recorded(sent, lead), sent) == {}


@pytest.mark.parametrize(("samples", "rate"), [(GOOD[:, :1], 8000), (GOOD, 16000)])
def test_a_file_of_another_form_fails(samples, rate):
    (finding,) = check_samples(samples, rate, PCMU)
    assert not finding.passed
    assert finding.detail.startswith("expected 2 channels at 8000 Hz, found")


@pytest.mark.parametrize("count", [0, 2])
def test_another_number_of_recordings_fails(count):
    (finding,) = check_recordings([SimpleNamespace()] * count, PCMU)
    assert (finding.passed, finding.detail) == (False, f"expected 1 recording of the call, found {count}")


@pytest.mark.parametrize(
    ("datagrams", "kernel_drops", "passes"),
    [
        ({"accepted": 240, "late": 0}, 0, True),
        ({"accepted": 239, "late": 0}, 0, False),
        ({"accepted": 240, "late": 1}, 0, False),
        ({"accepted": 240, "late": 0}, 1, False),
    ],
)
def test_every_datagram_has_to_arrive(datagrams, kernel_drops, passes):
    assert check_datagrams(PCMU, datagrams, kernel_drops).passed is passes
