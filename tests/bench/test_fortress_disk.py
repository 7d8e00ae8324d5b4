import json
import sys
import wave

import numpy as np
import pytest

from bench.expected import expected_samples
from bench.fortress_disk import Scene, _fill_up, _look, measure_trouble, rows
from bench.load import Load
from tools.traffic import call_leg_id


def report(*, early=None, met=None, told=3, recorded=1000, dropped=0):
    some = {"calls": 10, "exact": 10, "final": 10, "unwritten_s": 0.0}
    full = {"early": some | (early or {}), "met": some | {"unwritten_s": 2.0} | (met or {}), "told": told}
    stalled = {"calls": 1000, "calls_recorded": recorded, "dropped": dropped, "unwritten_s": 0.0}
    return {"stalled": stalled, "full": full}


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        ({}, [True, True, True, True]),
        ({"recorded": 999}, [False, True, True, True]),
        ({"dropped": 1}, [False, True, True, True]),
        ({"early": {"final": 9}}, [True, False, True, True]),
        ({"early": {"unwritten_s": 0.1}}, [True, False, True, True]),
        ({"met": {"exact": 9}}, [True, True, False, True]),
        ({"told": 0}, [True, True, True, False]),
    ],
)
def test_each_claim_is_held_against_its_bound(found, kept):
    assert [claim.is_kept for claim in rows(report(**found))] == kept


def lay(directory, load, *, silent=(0, 0), listed=()):
    """Write the recording of a load of one call, with some frames silent and some listed as unwritten."""
    sides = [expected_samples(0, direction, load.packets, load.codec) for direction in (0, 1)]
    frames = np.stack(sides, axis=1).copy()
    frames[slice(*silent)] = 0
    path = directory / f"{call_leg_id(0, load.seed)}-A.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(frames.tobytes())
    entries = [{"position": begin, "length_samples": end - begin} for begin, end in listed]
    streams = [{"channel": channel, "start_s": 0.0} for channel in (0, 1)]
    document = {"complete": True, "unwritten": {"listed": entries}, "streams": streams}
    path.with_suffix(".json").write_text(json.dumps(document))


def test_only_what_is_listed_as_unwritten_may_differ_from_what_was_sent(tmp_path):
    load = Load(1, 1, seed=9)
    lay(tmp_path, load, silent=(800, 1600), listed=[(800, 1600)])
    found = _look(tmp_path, load)
    assert (found["exact"], found["final"], found["unwritten_s"]) == (1, 1, 0.1)
    lay(tmp_path, load, silent=(800, 1600), listed=[(800, 1500)])
    found = _look(tmp_path, load)
    assert (found["exact"], len(found["faults"])) == (0, 1)


def test_a_call_without_a_recording_is_a_fault(tmp_path):
    assert _look(tmp_path, Load(2, 1))["exact"] == 0


@pytest.mark.bench
@pytest.mark.skipif(sys.platform != "linux", reason="mounts a small file system")
def test_what_is_measured_is_what_the_claims_are_of():
    found = measure_trouble(Scene(2, 2, 1, 8, 5.0, 1.0), _fill_up)
    assert found["met"]["exact"] == found["early"]["exact"] == 2
