"""What becomes of recordings that a service finds in its folder."""

import json

import pytest

from strep.service.config import Recordings
from strep.service.upkeep import Upkeep
from strep.sinks.recordings import Container
from tests.receiving import until
from tests.sinks.left_behind import left_behind
from tests.sinks.recordings.calls import name
from tests.sinks.test_retention import NOW_NS, recorded


class Told:
    def __init__(self):
        self.events = []

    def __call__(self, kind, call, **detail):
        assert call is None
        json.dumps(detail)
        self.events.append((kind, detail))


@pytest.mark.thorough
async def test_what_was_left_is_finished_before_and_converted_after_the_start(tmp_path):
    left = left_behind(tmp_path, calls=2, container=Container.FLAC)
    told = Told()
    upkeep = Upkeep(Recordings(out=left), told, lambda: NOW_NS)
    await upkeep.recover()
    assert [(kind, detail["counts"]["recovered"]) for kind, detail in told.events] == [("recordings.recovered", 2)]
    assert len(list(left.glob("*.wav"))) == 2
    upkeep.start()
    await until(lambda: len(told.events) == 2, 30)
    await upkeep.stop()
    assert told.events[1][1]["counts"]["converted"] == 2
    assert len(list(left.glob("*.flac"))) == 2


async def test_it_can_be_told_not_to(tmp_path):
    left = left_behind(tmp_path)
    upkeep = Upkeep(Recordings(out=left, recover=False), Told(), lambda: NOW_NS)
    await upkeep.recover()
    upkeep.start()
    await upkeep.stop()
    assert not json.loads((left / f"{name()}.json").read_text())["complete"]


async def test_old_recordings_go_and_that_is_an_event(tmp_path):
    recorded(tmp_path, 40, 10)
    told = Told()
    upkeep = Upkeep(Recordings(out=tmp_path, keep_days=30), told, lambda: NOW_NS)
    upkeep.start()
    await until(lambda: told.events, 30)
    await upkeep.stop()
    ((kind, detail),) = told.events
    assert kind == "recording.removed"
    assert detail["files"] == [str(tmp_path / f"{name(1)}.wav")]
    assert detail["sidecar"] == str(tmp_path / f"{name(1)}.json")
    assert detail["size_bytes"] > 8000 * 4
    assert len(list(tmp_path.glob("*.wav"))) == 1


async def test_a_folder_that_is_not_there_yet_needs_no_care(tmp_path):
    upkeep = Upkeep(Recordings(out=tmp_path / "calls"), Told(), lambda: NOW_NS)
    await upkeep.recover()
    upkeep.start()
    await upkeep.stop()
