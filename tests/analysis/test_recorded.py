"""A recording is heard as the call that it is of: by its sidecar, plugins are told what they were told live."""

import json
from dataclasses import replace

import pytest

from strep.analysis import Found
from strep.analysis.audio_file import analyse_audio_file
from strep.analysis.recorded import recorded
from strep.audio.formats import AudioFormat
from strep.errors import AudioFileError
from strep.live.offline import read_capture
from strep.sinks.recordings import Layout, RecordingSink
from strep.stream.events import Direction, Gap, StreamOpened, TelephoneEvent
from tests.live.test_offline import written
from tests.stream.test_digits import digit
from tests.traffic import MS, START_NS, Sender, every

EVENTS = {101: AudioFormat("TELEPHONE-EVENT", 8000, 8000)}


@pytest.fixture
def capture(tmp_path):
    """4 s of a call: losses and a key inbound, and a direction that begins 300 ms later, with a pause."""
    caller, callee = Sender(), Sender(direction=1, ssrc=2, seed=2)
    inbound = every(caller.packets(100))
    pressed = digit(caller, 7)
    inbound += every(pressed, start_ms=2000) + every(caller.packets(80), start_ms=2000 + 20 * len(pressed))
    outbound = every(callee.packets(50), start_ms=300)
    callee.timestamp += 8000
    outbound += every(callee.packets(50), start_ms=2300)
    lost = {20 * n for n in (30, 31, 60, 61, 62, 63, 64, 65)}
    arrivals = [one for one in inbound if one[0] not in lost] + outbound
    return written(tmp_path / "call.pcap", sorted(arrivals))


def told(notices, kind, place):
    """What was told of each direction, but for what a file does not know: slots, and when within a direction."""
    chosen = [
        (notice.identity.direction, replace(notice.what, time_ns=0, slot=0, position=place(notice)))
        for notice in notices
        if isinstance(notice.what, kind)
    ]
    return sorted(chosen, key=lambda one: (one[0], one[1].position))


@pytest.mark.parametrize("layout", Layout)
def test_what_was_told_of_the_call_is_told_of_its_recording(capture, tmp_path, layout):
    live, again = [], []
    sink = RecordingSink(tmp_path / "calls", layout=layout)
    read_capture(capture, sinks=[sink], plugins=["dtmf", "voice"], consumers=[live.append], payload_types=EVENTS)
    begun = {}
    for recording in sink.recordings:
        begun |= {Direction[one["direction"].upper()]: round(one["start_s"] * 8000) for one in _streams(recording)}
        analyse_audio_file(recording.path, ["dtmf", "voice"], [again.append])
    late = begun[Direction.OUTBOUND] if layout is Layout.STEREO else 0
    assert late in (0, 2400)

    def in_file(notice):
        return notice.what.position + begun[notice.identity.direction]

    for kind in (Gap, TelephoneEvent):
        assert told(live, kind, in_file) == told(again, kind, lambda notice: notice.what.position)
    assert len(told(again, Gap, in_file)) >= 3
    digits = [notice.what for notice in again if isinstance(notice.what, Found) and notice.what.plugin == "dtmf"]
    assert [(found.finding.digit, found.finding.source) for found in digits] == [("7", "rfc4733")]
    opened = [notice.what for notice in again if isinstance(notice.what, StreamOpened)]
    assert {one.identity for one in opened} == {
        notice.identity for notice in live if isinstance(notice.what, StreamOpened)
    }
    assert abs(min(one.time_ns for one in opened) - START_NS) < MS


def _streams(recording):
    return json.loads(recording.path.with_suffix(".json").read_text())["streams"]


def test_without_a_sidecar_nothing_is_known(tmp_path):
    about = recorded(tmp_path / "call.wav", 2, 8000)
    assert about.start_ns == 0
    assert [channel.identity.direction for channel in about.channels] == list(Direction)
    assert [channel.identity.conversation for channel in about.channels] == ["call"] * 2
    assert not any(channel.events or channel.states for channel in about.channels)


@pytest.mark.parametrize("wrong", [{"streams": 3}, {"start": "noon"}, {"call_leg_id": "x"}, {"leg": "C"}])
def test_a_sidecar_that_is_none_is_told(tmp_path, wrong):
    (tmp_path / "call.json").write_text(json.dumps({"sidecar_version": 2} | wrong))
    with pytest.raises(AudioFileError, match="expected what was written with a recording"):
        recorded(tmp_path / "call.wav", 2, 8000)
