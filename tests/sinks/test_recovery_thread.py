import threading
from pathlib import Path

import pytest

from strep.sinks.recordings import Container
from strep.sinks.recovery import Outcome, Recovery, recover
from strep.sinks.recovery_thread import ConversionThread
from tests.sinks.left_behind import left_behind


@pytest.mark.thorough
def test_what_waits_to_be_converted_is_converted_beside(tmp_path: Path) -> None:
    left = left_behind(tmp_path, calls=2, ended=1, container=Container.FLAC)
    recover(left, converts=False)
    done = threading.Event()
    reports: list[Recovery] = []

    def finished(report: Recovery) -> None:
        reports.append(report)
        done.set()

    thread = ConversionThread(left, finished)
    thread.start()
    assert done.wait(30)
    thread.stop()
    assert reports[0].counts[Outcome.CONVERTED] == 2


@pytest.mark.thorough
def test_when_it_is_stopped_the_rest_is_left_to_the_next_run(tmp_path: Path) -> None:
    left = left_behind(tmp_path, calls=3, ended=3, container=Container.FLAC)
    thread = ConversionThread(left, pytest.fail)
    thread._stopping.set()
    thread.start()
    thread.stop()
    assert len(list(left.glob("*.flac"))) == 1, "it ends after the conversion that goes on"
    assert recover(left).counts[Outcome.CONVERTED] == 2
