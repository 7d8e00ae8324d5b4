import json
from pathlib import Path

import numpy as np
import pytest

from strep.audio.block import silence
from strep.audio.formats import AudioFormat
from strep.audio.resample import Resampler, resample
from strep.sinks.recordings import Container, Encoding, RecordingSink
from strep.sinks.recordings.adapter import RateAdapter
from tests.sinks.recordings.calls import PCMU, T0, block, closed, format_changed, load, name, opened, tone

MS = 1_000_000
G722, GSM = AudioFormat("G722", 8000, 16_000), AudioFormat("GSM", 8000, 8000)


def sine(rate_hz: int, seconds: float, at_s: float = 0, hz: float = 440) -> np.ndarray:
    time_s = at_s + np.arange(round(rate_hz * seconds)) / rate_hz
    return np.rint(12_000 * np.sin(2 * np.pi * hz * time_s)).astype(np.int16)


def speak(sink: RecordingSink, slot: int, rate_hz: int, voice: np.ndarray, begin_ms: int = 0) -> None:
    step = rate_hz // 50
    for packet in range(len(voice) // step):
        at_ms = begin_ms + packet * 20
        row = (slot, at_ms * rate_hz // 1000, voice[packet * step : (packet + 1) * step])
        sink.block(block([row], rate_hz, at_ns=at_ms * MS))
        sink.flush(T0 + (at_ms + 20) * MS)


def same_sound(one: np.ndarray, other: np.ndarray, margin: int = 200) -> bool:
    """Compare but for the edges, where a filter rings."""
    difference = np.abs(one.astype(int) - other.astype(int))[margin:-margin]
    return len(one) == len(other) and int(difference.max()) < 150


@pytest.mark.parametrize("wide", [0, 1])
def test_the_file_has_the_higher_rate_of_the_two_directions(tmp_path: Path, wide: int) -> None:
    sink = RecordingSink(tmp_path)
    sink.event(opened(0, wide))
    sink.event(opened(1, 1 - wide))
    for second in range(0, 3000, 500):  # taking turns, so that both are heard before the file begins
        speak(sink, 1, 8000, sine(8000, 0.5, second / 1000), second)
        speak(sink, 0, 16_000, sine(16_000, 0.5, second / 1000), second)
    sink.event(closed(0, wide, length=48_000, rate_hz=16_000))
    sink.event(closed(1, 1 - wide, length=24_000))
    frames, rate_hz = load(tmp_path / f"{name()}.wav")
    assert rate_hz == 16_000
    assert np.array_equal(frames[:, wide], sine(16_000, 3))
    assert same_sound(frames[:, 1 - wide], sine(16_000, 3))


def test_a_stream_whose_rate_rises_later_keeps_the_rate_of_the_file(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path)
    sink.event(opened(0))
    sink.event(format_changed(0))
    speak(sink, 0, 8000, sine(8000, 2))
    sink.event(format_changed(0, G722, 9))
    speak(sink, 0, 16_000, sine(16_000, 2, 2), 2000)
    sink.event(format_changed(0))
    speak(sink, 0, 8000, sine(8000, 2, 4), 4000)
    sink.event(closed(0, length=48_000))
    frames, rate_hz = load(tmp_path / f"{name()}.wav")
    assert rate_hz == 8000
    assert np.array_equal(frames[:16_000, 0], sine(8000, 2))
    assert np.array_equal(frames[32_000:, 0], sine(8000, 2, 4))
    assert same_sound(frames[16_000:32_000, 0], sine(8000, 2, 2))


def test_a_rate_that_rises_before_the_file_begins_is_the_files(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path)
    sink.event(opened(0))
    speak(sink, 0, 8000, sine(8000, 0.4))
    speak(sink, 0, 16_000, sine(16_000, 1.6, 0.4), 400)
    sink.close()
    frames, rate_hz = load(tmp_path / f"{name()}.wav")
    assert rate_hz == 16_000
    assert len(frames) == 32_000
    assert np.array_equal(frames[6400:, 0], sine(16_000, 1.6, 0.4))
    assert same_sound(frames[:6400, 0], sine(16_000, 0.4))


def test_a_second_direction_of_another_rate_that_opens_late_is_resampled_in_its_place(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path)
    sink.event(opened(0, 0))
    speak(sink, 0, 8000, sine(8000, 4))
    sink.event(opened(1, 1, at_ns=3000 * MS))
    for at_ms in range(0, 2000, 20):
        row = (1, at_ms * 48, sine(48_000, 0.02, at_ms / 1000))
        sink.block(block([row], 48_000, at_ns=(4000 + at_ms) * MS))
        sink.flush(T0 + (4000 + at_ms) * MS)
    sink.close()
    frames, rate_hz = load(tmp_path / f"{name()}.wav")
    assert (len(frames), rate_hz) == (40_000, 8000)
    assert not frames[:23_900, 1].any()
    assert same_sound(frames[24_000:, 1], sine(8000, 2))


def test_opus_files_get_a_rate_that_opus_has(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path, container=Container.OGG_OPUS)
    sink.event(opened(0))
    speak(sink, 0, 44_100, sine(44_100, 2))
    sink.close()
    frames, rate_hz = load(tmp_path / f"{name()}.opus")
    assert (len(frames), rate_hz) == (96_000, 48_000)


@pytest.mark.parametrize(
    ("formats", "encoding"),
    [
        ([AudioFormat("PCMU", 8000, 8000)], "alaw"),
        ([AudioFormat("PCMA", 8000, 8000), AudioFormat("TELEPHONE-EVENT", 8000, 8000)], "alaw"),
        ([AudioFormat("GSM", 8000, 8000)], "pcm16"),
        ([AudioFormat("PCMU", 8000, 8000), None], "pcm16"),
        ([], "pcm16"),
    ],
)
def test_g711_is_kept_as_g711_only_where_all_that_was_heard_is(
    tmp_path: Path, formats: list[AudioFormat | None], encoding: str
) -> None:
    sink = RecordingSink(tmp_path, encoding=Encoding.ALAW)
    sink.event(opened(0))
    for audio_format in formats:
        sink.event(format_changed(0, audio_format))
    speak(sink, 0, 8000, sine(8000, 2))
    sink.close()
    document = json.loads((tmp_path / f"{name()}.json").read_text())
    assert (document["encoding"], document["requested_encoding"]) == (encoding, "alaw")
    frames, _ = load(tmp_path / f"{name()}.wav")
    loss = 512 if encoding == "alaw" else 0  # half of A-law's largest step is 256, and encoders round differently
    assert np.abs(frames[:, 0].astype(int) - sine(8000, 2)).max() <= loss
    assert np.abs(frames[:, 1].astype(int)).max() == (8 if loss else 0), "A-law has no zero"


def test_an_adapter_begins_anew_after_a_gap_and_keeps_both_sides_in_place() -> None:
    adapter = RateAdapter(8000, 16_000)
    out = np.zeros(64_000, np.int16)
    for position in [*range(0, 8000, 160), *range(16_000, 24_000, 160)]:
        for at, samples in adapter.feed(position, sine(8000, 0.02, position / 8000)):
            out[at : at + len(samples)] = samples
    for at, samples in adapter.finish():
        out[at : at + len(samples)] = samples
    assert same_sound(out[:16_000], sine(16_000, 1))
    assert not out[16_000:32_000].any()
    assert same_sound(out[32_000:48_000], sine(16_000, 1, 2))
    assert not out[48_000:].any()
    assert adapter.finish() == []


def test_resampling_does_not_depend_on_noise(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path)
    sink.event(opened(0, 0))
    sink.event(opened(1, 1))
    speak(sink, 1, 16_000, tone(1600))
    speak(sink, 0, 8000, np.zeros(8000, np.int16))
    sink.close()
    frames, rate_hz = load(tmp_path / f"{name()}.wav")
    assert rate_hz == 16_000
    assert not frames[:, 0].any()


def test_another_format_of_the_same_rate_leaves_no_seam(tmp_path: Path) -> None:
    sink, voice = RecordingSink(tmp_path), sine(8000, 1)
    sink.event(opened(0, 0))
    sink.event(opened(1, 1))
    speak(sink, 1, 16_000, tone(1600))
    for number, at in enumerate(range(0, 8000, 1000)):
        sink.event(format_changed(0, GSM if number % 2 else PCMU))
        sink.block(block([(0, at, voice[at : at + 1000])]))
    sink.close()
    frames, _ = load(tmp_path / f"{name()}.wav")
    assert frames[:16_000, 0].tolist() == resample(voice, 8000, 16_000).tolist()


def test_a_call_too_short_for_a_file_before_it_ends_is_resampled_to_its_end(tmp_path: Path) -> None:
    sink, voice = RecordingSink(tmp_path), sine(8000, 0.5)
    sink.event(opened(0, 0))
    sink.event(opened(1, 1))
    sink.block(block([(1, 0, tone(1600))], 16_000))
    sink.block(block([(0, 0, voice)]))
    sink.close()
    frames, _ = load(tmp_path / f"{name()}.wav")
    assert frames[:, 0].tolist() == resample(voice, 8000, 16_000).tolist()


def test_no_resampler_is_made_for_a_stream_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[int, int]] = []
    make = "strep.sinks.recordings.adapter.Resampler"
    monkeypatch.setattr(make, lambda *rates: made.append(rates) or Resampler(*rates))
    adapter = RateAdapter(8000, 44_100)
    pieces = adapter.feed(0, silence(10**9)) + adapter.feed(10**9, np.zeros(8000, np.int16))
    assert (made, sum(len(samples) for _, samples in pieces)) == ([], (10**9 + 7680) * 441 // 80)
    adapter.feed(10**9 + 8000, sine(8000, 0.1))
    assert made == [(8000, 44_100)]
