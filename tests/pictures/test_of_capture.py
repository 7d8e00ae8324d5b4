"""A sheet of a capture has every sample, every trouble and every key where it belongs."""

import json

import numpy as np
import pytest
import soundfile

from strep.errors import AudioFileError, CaptureFileError, ConfigError
from strep.live.offline import read_capture
from strep.pictures.event_text import event_text
from strep.pictures.of_capture import sheet_of_capture
from strep.pictures.of_recording import sheet_of_recording
from strep.pictures.sheet import Trouble
from strep.sinks.recordings import RecordingSink
from tools.make_pictures import BACK_AT, HOLD_AT, KEYS_AT, PACKETS, write_capture


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "call.pcap"
    write_capture(path)
    return path


@pytest.fixture(scope="module")
def recording(capture):
    sink = RecordingSink(capture.parent)
    read_capture(capture, sinks=[sink])
    return sink.recordings[0]


def covered_s(side, trouble):
    return sum(one.end_s - one.start_s for one in side.intervals if one.trouble is trouble)


def test_both_directions_are_as_long_as_the_call(capture):
    sheet = sheet_of_capture(capture)
    assert [side.name for side in sheet.sides] == ["inbound", "outbound"]
    assert sheet.end_s == pytest.approx(PACKETS * 0.02, abs=0.1)
    assert all(np.abs(side.samples.astype(int)).max() > 5000 for side in sheet.sides)


def test_keys_and_hold_are_where_they_were(capture):
    inbound, outbound = sheet_of_capture(capture).sides
    assert [mark.text for mark in inbound.marks] == ["PCMU/8000", "4", "2", "#"]
    assert [mark.text for mark in outbound.marks] == ["PCMU/8000"]
    assert inbound.marks[1].at_s == pytest.approx(KEYS_AT * 0.02, abs=0.05)
    hold = max((one for one in inbound.intervals if one.trouble is Trouble.SILENCE), key=lambda one: one.end_s)
    assert (hold.start_s, hold.end_s) == pytest.approx((HOLD_AT * 0.02, BACK_AT * 0.02), abs=0.05)


def test_losses_are_shaded_and_delays_are_those_of_the_network(capture):
    for side in sheet_of_capture(capture).sides:
        share = (covered_s(side, Trouble.LOST) + covered_s(side, Trouble.CONCEALED)) / side.end_s
        assert 0.005 < share < 0.1
        assert side.arrivals is not None
        assert side.arrivals.delay_ms.min() >= 0
        assert 20 < np.percentile(side.arrivals.delay_ms, 98) < 40
        assert 3 < side.arrivals.jitter_ms[100:].mean() < 15
        assert len(side.arrivals.at_s) == len(side.arrivals.jitter_ms) == len(side.arrivals.delay_ms)


def test_a_recording_and_its_sidecar_say_the_same_as_the_capture(capture, recording):
    for of_capture, of_recording in zip(
        sheet_of_capture(capture).sides, sheet_of_recording(recording.path).sides, strict=True
    ):
        assert [mark.text for mark in of_recording.marks] == [mark.text for mark in of_capture.marks]
        heard, recorded = np.trim_zeros(of_capture.samples), np.trim_zeros(of_recording.samples)
        np.testing.assert_array_equal(recorded, heard)
        troubled = [
            sum(one.end_s - one.start_s for one in side.intervals if one.trouble is not Trouble.SILENCE)
            for side in (of_capture, of_recording)
        ]
        assert troubled[0] == pytest.approx(troubled[1])


def test_a_recording_without_a_sidecar_is_drawn_by_its_audio(recording, tmp_path):
    path = tmp_path / "alone.wav"
    path.write_bytes(recording.path.read_bytes())
    sheet = sheet_of_recording(path)
    assert [side.name for side in sheet.sides] == ["inbound", "outbound"]
    assert not any(side.intervals or side.marks for side in sheet.sides)


def test_a_call_is_chosen_by_name(capture):
    name = sheet_of_capture(capture).title
    assert sheet_of_capture(capture, call=name).title == name
    with pytest.raises(ConfigError, match=f"expected one of {name}, found nobody"):
        sheet_of_capture(capture, call="nobody")


def test_what_is_no_call_is_told(tmp_path):
    path = tmp_path / "nothing"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(CaptureFileError):
        sheet_of_capture(path)
    with pytest.raises(AudioFileError, match="expected a capture or an audio file"):
        sheet_of_recording(path)


def test_a_sidecar_without_places_or_formats_is_drawn_as_far_as_it_goes(tmp_path):
    soundfile.write(tmp_path / "call.wav", np.ones(800, np.int16), 8000)
    formats = [{"at_s": None, "format": "PCMU/8000"}, {"at_s": 0.05, "payload_type": 100, "format": None}]
    events = [{"at_s": 0.06, "event": 32, "name": "32"}]
    stream = {"channel": 0, "formats": {"listed": formats}, "telephone_events": {"listed": events}}
    (tmp_path / "call.json").write_text(json.dumps({"sidecar_version": 1, "streams": [stream]}))
    (side,) = sheet_of_recording(tmp_path / "call.wav").sides
    assert [(mark.text, mark.is_event) for mark in side.marks] == [
        ("payload type 100", False),
        ("event 32 (ANS)", True),
    ]


@pytest.mark.parametrize(
    ("event", "name", "text"),
    [(5, "5", "5"), (11, "#", "#"), (16, "flash", "flash"), (32, "32", "event 32 (ANS)"), (194, "194", "event 194")],
)
def test_an_event_is_told_from_a_key(event, name, text):
    assert event_text(event, name) == text
