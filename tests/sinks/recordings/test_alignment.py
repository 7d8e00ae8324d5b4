import json
from pathlib import Path

import numpy as np
import pytest

from strep.sinks.recordings import Layout, RecordingSink
from strep.stream.events import AnchorMoved, Direction
from tests.sinks.recordings.calls import SECOND, T0, block, closed, load, name, opened, tone

MS = 1_000_000


def anchor(slot: int, anchor_ns: int) -> AnchorMoved:
    return AnchorMoved(T0 + anchor_ns, slot, T0 + anchor_ns)


def sidecar(folder: Path, call: int = 1) -> dict:
    return json.loads((folder / f"{name(call)}.json").read_text())


def stream(folder: Path, direction: str) -> dict:
    return next(entry for entry in sidecar(folder)["streams"] if entry["direction"] == direction)


def run(sink: RecordingSink, begin_ms: int, end_ms: int, voices: dict[int, tuple[int, np.ndarray]]) -> None:
    """Let each slot speak from its own begin (ms) on, in packets of 20 ms; flush after each."""
    for at_ms in range(begin_ms, end_ms, 20):
        rows = []
        for slot, (from_ms, voice) in voices.items():
            position = (at_ms - from_ms) * 8
            if 0 <= position < len(voice):
                rows.append((slot, position, voice[position : position + 160]))
        if rows:
            sink.block(block(rows, at_ns=at_ms * MS))
        sink.flush(T0 + (at_ms + 20) * MS)


def test_directions_lie_where_their_anchors_say(tmp_path: Path) -> None:
    left, right = tone(16_000, 1), tone(8_000, 2)
    sink = RecordingSink(tmp_path)
    sink.event(opened(0, 0))
    sink.event(opened(1, 1, at_ns=500 * MS))
    run(sink, 0, 2000, {0: (0, left), 1: (500, right)})
    sink.event(closed(0, 0, length=16_000))
    sink.event(closed(1, 1, length=8_000, anchor_ns=500 * MS))
    frames, _ = load(tmp_path / f"{name()}.wav")
    assert np.array_equal(frames[:, 0], left)
    assert np.array_equal(frames[:, 1], np.concatenate([np.zeros(4000), right, np.zeros(4000)]))
    assert sidecar(tmp_path)["alignment_error_ms"] == 0
    assert (stream(tmp_path, "inbound")["start_s"], stream(tmp_path, "outbound")["start_s"]) == (0, 0.5)


def test_an_anchor_that_improves_in_the_first_second_decides(tmp_path: Path) -> None:
    left, right = tone(16_000, 1), tone(16_000, 2)
    sink = RecordingSink(tmp_path)
    sink.event(opened(0, 0, at_ns=100 * MS))
    sink.event(opened(1, 1, at_ns=140 * MS))
    run(sink, 0, 500, {0: (0, left), 1: (0, right)})
    sink.event(anchor(1, 50 * MS))
    run(sink, 500, 2000, {0: (0, left), 1: (0, right)})
    sink.close()
    frames, _ = load(tmp_path / f"{name()}.wav")
    assert np.array_equal(frames[:400, 0], np.zeros(400)), "inbound begins 50 ms after outbound"
    assert np.array_equal(frames[400:, 0], left)
    assert np.array_equal(frames[:16_000, 1], right)
    assert sidecar(tmp_path)["start"] == "2023-11-14T22:13:20.050000Z"


def test_what_an_anchor_learns_later_is_told_as_an_error(tmp_path: Path) -> None:
    voice = tone(24_000)
    sink = RecordingSink(tmp_path)
    sink.event(opened(0, 0))
    sink.event(opened(1, 1))
    run(sink, 0, 2000, {0: (0, voice), 1: (0, voice)})
    sink.event(anchor(1, -30 * MS))
    run(sink, 2000, 3000, {0: (0, voice), 1: (0, voice)})
    sink.event(closed(0, 0, length=24_000, anchor_ns=-5 * MS))
    sink.event(closed(1, 1, length=24_000, anchor_ns=-30 * MS))
    frames, _ = load(tmp_path / f"{name()}.wav")
    assert np.array_equal(frames, np.stack([voice, voice], axis=1)), "a file cannot be shifted"
    assert sidecar(tmp_path)["alignment_error_ms"] == 25, "inbound should lie 25 ms later relative to outbound"
    assert stream(tmp_path, "inbound")["placement_error_ms"] == -5
    assert stream(tmp_path, "outbound")["placement_error_ms"] == -30


def test_a_direction_that_opens_late_is_held_until_its_anchor_is_known(tmp_path: Path) -> None:
    left, right = tone(48_000, 1), tone(16_000, 2)
    sink = RecordingSink(tmp_path)
    sink.event(opened(0, 0))
    run(sink, 0, 3200, {0: (0, left)})
    sink.event(opened(1, 1, at_ns=3200 * MS))
    run(sink, 3200, 3400, {0: (0, left), 1: (3200, right)})
    sink.event(anchor(1, 3150 * MS))
    run(sink, 3400, 6000, {0: (0, left), 1: (3200, right)})
    sink.close()
    frames, _ = load(tmp_path / f"{name()}.wav")
    assert np.array_equal(frames[:, 0], left)
    assert np.array_equal(np.flatnonzero(frames[:, 1]), np.arange(25_200, 41_200))
    assert np.array_equal(frames[25_200:41_200, 1], right)


def test_a_direction_that_proves_earlier_than_the_file_is_cut_and_counted(tmp_path: Path) -> None:
    left, right = tone(16_000, 1), tone(16_000, 2)
    sink = RecordingSink(tmp_path)
    sink.event(opened(0, 0))
    run(sink, 0, 880, {0: (0, left)})
    sink.event(opened(1, 1, at_ns=880 * MS))  # its first packets were late: it began 20 ms before the other
    sink.block(block([(1, 0, right[:8000])], at_ns=880 * MS))
    run(sink, 880, 920, {0: (0, left)})
    sink.event(anchor(1, -20 * MS))
    run(sink, 920, 2000, {0: (0, left), 1: (0, right)})
    sink.close()
    frames, _ = load(tmp_path / f"{name()}.wav")
    assert np.array_equal(frames[:, 0], left)
    assert np.array_equal(frames[:15_840, 1], right[160:])
    assert not frames[15_840:, 1].any()
    outbound = stream(tmp_path, "outbound")
    assert outbound["clipped_samples"] == 160
    assert outbound["start_s"] == -0.02


@pytest.mark.parametrize("direction", list(Direction))
def test_one_direction_alone_is_stereo_with_a_silent_channel(tmp_path: Path, direction: Direction) -> None:
    voice = tone(16_000)
    sink = RecordingSink(tmp_path)
    sink.event(opened(5, direction))
    run(sink, 0, 2000, {5: (0, voice)})
    sink.event(closed(5, direction, length=16_000))
    frames, _ = load(tmp_path / f"{name()}.wav")
    assert np.array_equal(frames[:, direction], voice)
    assert not frames[:, 1 - direction].any()
    assert sidecar(tmp_path)["alignment_error_ms"] is None


def test_a_recording_is_as_long_as_the_call(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path)
    sink.event(opened(0, 0))
    sink.event(opened(1, 1))
    run(sink, 0, 1000, {0: (0, tone(8000)), 1: (0, tone(800))})
    sink.event(closed(0, 0, length=8000))
    sink.event(closed(1, 1, length=10_000, at_ns=2 * SECOND))  # it was silent at the end, and nothing came of it
    frames, _ = load(tmp_path / f"{name()}.wav")
    assert len(frames) == 10_000
    assert sink.recordings[0].duration_s == 1.25


def test_a_stream_that_comes_back_goes_on_in_its_channel(tmp_path: Path) -> None:
    left, first, second = tone(40_000, 1), tone(8_000, 2), tone(16_000, 3)
    sink = RecordingSink(tmp_path)
    sink.event(opened(0, 0))
    sink.event(opened(1, 1))
    run(sink, 0, 1500, {0: (0, left), 1: (0, first)})
    sink.event(closed(1, 1, length=8_000, at_ns=1500 * MS))
    run(sink, 1500, 2000, {0: (0, left)})
    sink.event(opened(1, 1, at_ns=2000 * MS))
    run(sink, 2000, 5000, {0: (0, left), 1: (2000, second)})
    sink.event(closed(1, 1, length=16_000, anchor_ns=2 * SECOND))
    assert not sink.recordings
    sink.event(closed(0, 0, length=40_000))
    frames, _ = load(tmp_path / f"{name()}.wav")
    assert np.array_equal(frames[:, 0], left)
    expected = np.concatenate([first, np.zeros(8000), second, np.zeros(8000)])
    assert np.array_equal(frames[:, 1], expected)
    assert [entry["direction"] for entry in sidecar(tmp_path)["streams"]] == ["inbound", "outbound", "outbound"]
    assert len(sink.recordings[0].identities) == 2


def test_two_streams_of_one_name_at_once_get_a_recording_each(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path)
    sink.event(opened(0, 0))
    sink.event(opened(1, 0, ssrc=8))
    run(sink, 0, 1000, {0: (0, tone(8000, 1)), 1: (0, tone(8000, 2))})
    sink.close()
    assert np.array_equal(load(tmp_path / f"{name()}.wav")[0][:, 0], tone(8000, 1))
    assert np.array_equal(load(tmp_path / f"{name()}-2.wav")[0][:, 0], tone(8000, 2))


def test_mono_gives_each_direction_a_file_that_begins_with_its_first_sample(tmp_path: Path) -> None:
    left, right = tone(16_000, 1), tone(8_000, 2)
    sink = RecordingSink(tmp_path, layout=Layout.MONO)
    sink.event(opened(0, 0))
    sink.event(opened(1, 1, at_ns=500 * MS))
    run(sink, 0, 2000, {0: (0, left), 1: (500, right)})
    sink.close()
    frames, _ = load(tmp_path / f"{name()}-in.wav")
    assert np.array_equal(frames, left[:, None])
    frames, _ = load(tmp_path / f"{name()}-out.wav")
    assert np.array_equal(frames, right[:, None])
    starts = [json.loads((tmp_path / f"{name()}-{way}.json").read_text())["start"] for way in ("in", "out")]
    assert starts == ["2023-11-14T22:13:20.000000Z", "2023-11-14T22:13:20.500000Z"]


def test_a_lagging_direction_is_written_over_the_silence_that_stood_for_it(tmp_path: Path) -> None:
    left, right = tone(48_000, 1), tone(48_000, 2)
    sink = RecordingSink(tmp_path)
    sink.event(opened(0, 0))
    sink.event(opened(1, 1))
    run(sink, 0, 2000, {0: (0, left), 1: (0, right)})
    run(sink, 2000, 6000, {0: (0, left)})
    for position in range(16_000, 48_000, 160):
        sink.block(block([(1, position, right[position : position + 160])], at_ns=6 * SECOND))
    sink.close()
    frames, _ = load(tmp_path / f"{name()}.wav")
    assert np.array_equal(frames, np.stack([left, right], axis=1))
    rewritten = stream(tmp_path, "outbound")["rewritten_samples"]
    assert 16_000 < rewritten < 32_000, "the last second was still in the ring"
    assert stream(tmp_path, "inbound")["rewritten_samples"] == 0


def test_a_timestamp_from_the_far_future_costs_no_disk(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path)
    sink.event(opened(0))
    voice = tone(16_000)
    run(sink, 0, 2000, {0: (0, voice)})
    sink.block(block([(0, 2**31, tone(160))], at_ns=2 * SECOND))
    sink.close()
    frames, _ = load(tmp_path / f"{name()}.wav")
    assert np.array_equal(frames[:, 0], voice)
    assert stream(tmp_path, "inbound")["refused_samples"] == 160


def test_a_call_shorter_than_a_second_is_recorded(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path)
    sink.event(opened(0, 0))
    sink.event(opened(1, 1, at_ns=20 * MS))
    run(sink, 0, 100, {0: (0, tone(800, 1)), 1: (20, tone(640, 2))})
    assert not list(tmp_path.iterdir())
    sink.event(closed(0, 0, length=800))
    sink.event(closed(1, 1, length=640, anchor_ns=20 * MS))
    frames, _ = load(tmp_path / f"{name()}.wav")
    assert np.array_equal(frames[:, 0], tone(800, 1))
    assert np.array_equal(frames[:, 1], np.append(np.zeros(160), tone(640, 2)))


def test_a_stream_without_any_sound_leaves_an_empty_recording_and_its_sidecar(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path)
    sink.event(opened(0))
    sink.flush(T0 + 5 * SECOND)
    sink.event(closed(0, rate_hz=16_000))
    frames, rate_hz = load(tmp_path / f"{name()}.wav")
    assert (frames.shape, rate_hz) == ((0, 2), 16_000)
    assert sidecar(tmp_path)["complete"]
