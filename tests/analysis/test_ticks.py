"""Time goes on without audio: plugins are told how late it is, so that silence is told of while it lasts."""

import pytest

from strep.analysis import Analysis, Found, PluginRun, Way
from strep.analysis.waiting import Tick, Waiting
from strep.live.pipeline import Pipeline
from strep.plugins.base import BlockPlugin
from strep.plugins.level import DeadAir
from strep.stream.engine import Engine
from strep.wire.batch import DatagramBatch
from tests.traffic import MS, SMALL, START_NS, Sender


def play(plugins, packets, until_s, *, live=True):
    """Let a call speak, and then nothing come; give what was told, each with when, in seconds of the call."""
    told, now_s = [], [0.0]
    analysis = Analysis(plugins, consumers=[lambda notice: told.append((now_s[0], notice.what))], live=live)
    pipeline, sender = Pipeline(Engine(SMALL), [analysis]), Sender()
    for n in range(50 * until_s):
        if n < packets:
            pipeline.feed(DatagramBatch.from_datagrams([sender.packet()], [START_NS + 20 * n * MS]))
        now_s[0] = n / 50
        pipeline.advance(START_NS + 20 * n * MS)
    pipeline.close()
    return told


def dead_air(told):
    return [
        (when_s, what.finding)
        for when_s, what in told
        if isinstance(what, Found) and what.plugin == "level" and isinstance(what.finding, DeadAir)
    ]


def test_dead_air_is_told_within_a_second_though_nothing_comes():
    (when_s, found), *rest = dead_air(play(["level"], packets=100, until_s=15))
    assert 12 <= when_s <= 13  # 10 to 11 s after the last audio
    assert (found.position, found.length_samples, found.is_over) == (100 * 160, 80_000, False)
    assert [one.is_over for _, one in rest] == [True], "it is over with the call"


def test_a_file_has_no_time_but_that_of_its_packets():
    assert dead_air(play(["level"], packets=100, until_s=15, live=False)) == []


class Clock(BlockPlugin):
    NAME = "clock"

    def start(self, rows):
        self.ticks = []

    def tick(self, time_ns):
        self.ticks.append(time_ns)
        return ()


def test_ticks_come_once_a_second():
    plugin = Clock()
    play([PluginRun(plugin, way=Way.INLINE)], packets=500, until_s=10)
    assert [(time_ns - START_NS) // (1000 * MS) for time_ns in plugin.ticks] == list(range(10))


@pytest.mark.parametrize("way", [Way.THREAD, pytest.param(Way.PROCESS, marks=pytest.mark.thorough)])
def test_plugins_that_run_elsewhere_are_told_too(way):
    found = [one for _, one in dead_air(play([PluginRun("level", way=way)], packets=100, until_s=15))]
    assert [one.is_over for one in found] == [False, True]


def test_who_is_late_sees_the_latest_time_only():
    waiting = Waiting(10)
    for time_ns in (1, 2, 3):
        waiting.put(Tick(time_ns))
    assert len(waiting) == 1
    assert waiting.pop() == Tick(3)
