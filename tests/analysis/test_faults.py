"""Analysis cannot hurt capture: whatever a plugin does, the recording is the same, and it is counted."""

import fcntl
import io
import itertools
import logging
import multiprocessing
import os
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from strep.analysis import Analysis, Found, JsonLines, PluginRun, Way
from strep.analysis.child import memory_bytes
from strep.analysis.process import ProcessRunner
from strep.live.pipeline import Pipeline
from strep.plugins.base import Hops
from strep.sinks.recordings import RecordingSink
from strep.stream.engine import Engine, EngineConfig
from strep.stream.events import Direction, Leg, StreamIdentity
from strep.wire.batch import DatagramBatch
from tests.analysis.faulty import (
    NONSENSE,
    CannotStart,
    Dies,
    DiesOnce,
    FaultConfig,
    Hangs,
    IsCancelled,
    IsLarge,
    Leaks,
    Prints,
    Raises,
    Sleeps,
    Sound,
    Spins,
    StartsSlowly,
    TellsNonsense,
    TellsTooMuch,
)
from tests.receiving import BOUND_S
from tests.traffic import MS, START_NS, Sender

PACKETS = 100
WAYS = list(Way)


class ClockWhile:
    """A clock that stands but while there is one file and not yet another: then it goes by a second a look."""

    def __init__(self, begins, ends, ends_after_s=None):
        self.now_s, self.begins, self.ends, self.ends_after_s = 0, begins, ends, ends_after_s

    def __call__(self):
        if self.begins.exists() and not self.ends.exists():
            self.now_s += 1
            if self.now_s == self.ends_after_s:
                self.ends.touch()
        return self.now_s * 1000 * MS


def record(folder: Path, plugins=(), *, live=True, packets=PACKETS, clock=None, consumers=(), when_fed=lambda: None):
    """Record both directions of a leg beside plugins; give the files' bytes, the counts and what was told."""
    notices = []
    sinks = [RecordingSink(folder, flush_interval_ms=100)]
    analysis = Analysis(
        plugins, consumers=[notices.append, *consumers], live=live, **({"clock": clock} if clock else {})
    )
    # Before the recording, so that what a plugin may do to the samples would be recorded.
    pipeline = Pipeline(Engine(EngineConfig(max_streams=8)), [analysis, *sinks])
    senders = [Sender(), Sender(direction=1, ssrc=2, seed=2)]
    for n in range(packets):
        arrival_ns = START_NS + 20 * n * MS
        made = [sender.packet() for sender in senders]
        if n % 17 != 5:  # some losses, too
            pipeline.feed(DatagramBatch.from_datagrams(made, [arrival_ns] * 2))
        pipeline.advance(arrival_ns + 20 * MS)
    when_fed()
    pipeline.close()
    assert pipeline.failures == []
    files = {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    return files, analysis.counts(), notices


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    files, _, _ = record(tmp_path_factory.mktemp("undisturbed"))
    assert any(name.endswith(".wav") for name in files)
    return files


def findings(notices, plugin):
    return [
        notice.what.finding for notice in notices if isinstance(notice.what, Found) and notice.what.plugin == plugin
    ]


@pytest.mark.parametrize("way", WAYS)
def test_a_plugin_that_is_sound_hears_everything(way, tmp_path, undisturbed):
    files, counts, notices = record(tmp_path, [PluginRun(Sound, way=way)], live=False)
    assert files == undisturbed
    told = findings(notices, "sound")
    assert counts["sound"].hops == counts["sound"].findings == len(told) == 2 * (PACKETS)
    assert counts["sound"].missed_hops == counts["sound"].errors == 0
    for row in (0, 1):
        assert [peak.position for peak in told if peak.row == row] == [160 * n for n in range(PACKETS)]
    assert [notice.sequence for notice in notices] == list(range(1, len(notices) + 1))


def test_all_ways_find_the_same(tmp_path):
    told = [findings(record(tmp_path / way, [PluginRun(Sound, way=way)], live=False)[2], "sound") for way in WAYS]
    assert told[0] == told[1] == told[2]


@pytest.mark.parametrize("way", WAYS)
def test_a_plugin_that_keeps_raising_is_switched_off_and_the_others_go_on(way, tmp_path, undisturbed, caplog):
    plugins = [PluginRun(Raises, {"after_hops": 20}, way, most_errors=3), Sound]
    files, counts, notices = record(tmp_path, plugins, live=False)
    assert files == undisturbed
    assert counts["raises"].errors == 3
    assert "a mistake" in counts["raises"].switched_off
    assert counts["raises"].hops + counts["raises"].missed_hops == counts["sound"].hops == 2 * PACKETS
    assert 0 < len(findings(notices, "raises")) <= 20
    assert len(findings(notices, "sound")) == 2 * PACKETS


@pytest.mark.parametrize("way", WAYS)
def test_what_is_raised_may_be_anything(way, tmp_path, undisturbed, caplog):
    files, counts, notices = record(tmp_path, [PluginRun(IsCancelled, way=way, most_errors=3), Sound], live=False)
    assert files == undisturbed
    assert counts["is-cancelled"].errors == 3
    assert "3 errors in a row, the last one CancelledError('a mistake')" in counts["is-cancelled"].switched_off
    assert len(findings(notices, "sound")) == 2 * PACKETS


@pytest.mark.parametrize("kind", NONSENSE)
def test_a_finding_that_makes_no_sense_is_its_plugins_fault(kind, tmp_path, undisturbed, caplog):
    stream = io.StringIO()
    runs = [PluginRun(TellsNonsense, {"kind": kind}, most_errors=3), Sound]
    files, counts, notices = record(tmp_path, runs, live=False, consumers=[JsonLines(stream, waits=True)])
    assert files == undisturbed
    assert counts["tells-nonsense"].errors == 3
    assert counts["tells-nonsense"].findings == 0
    assert len(findings(notices, "sound")) == 2 * PACKETS
    assert len(stream.getvalue().splitlines()) == notices[-1].sequence


@pytest.mark.parametrize("way", [Way.THREAD, Way.PROCESS])
def test_a_plugin_that_is_slow_misses_the_oldest(way, tmp_path, undisturbed):
    fed = tmp_path / "fed"
    config = {"awaited": str(fed)}
    plugins = [PluginRun(Sleeps, config, way, queue_hops=20, deadline_ms=2, patience_s=BOUND_S)]
    files, counts, notices = record(tmp_path / "calls", plugins, when_fed=fed.touch)
    assert files == undisturbed
    slow = counts["sleeps"]
    assert slow.hops + slow.missed_hops == 2 * PACKETS
    assert slow.missed_hops > 0
    assert slow.late == slow.calls
    assert slow.switched_off is None
    told = findings(notices, "sleeps")
    assert len(told) == slow.hops
    assert max(peak.position for peak in told) == 160 * (PACKETS - 1)  # the newest were kept


def test_a_plugin_that_is_late_too_often_is_switched_off_inline(tmp_path, undisturbed, caplog):
    ticks = itertools.count(0, 30 * MS)
    files, counts, _ = record(tmp_path, [PluginRun(Sound, most_late=7)], clock=lambda: next(ticks))
    assert files == undisturbed
    assert counts["sound"].late == 7
    assert "longer than 20 ms" in counts["sound"].switched_off
    assert counts["sound"].hops + counts["sound"].missed_hops == 2 * PACKETS


def test_inline_one_call_that_lasts_too_long_is_the_last(tmp_path, undisturbed, caplog):
    ticks = itertools.count(0, 6000 * MS)
    files, counts, _ = record(tmp_path, [PluginRun(Sound)], clock=lambda: next(ticks))
    assert files == undisturbed
    assert (counts["sound"].calls, counts["sound"].hung) == (1, 1)
    assert counts["sound"].switched_off == "a call lasted 6.0 s, longer than 5 s"


@pytest.mark.parametrize("way", [Way.THREAD, Way.PROCESS])
def test_to_start_may_take_longer_than_a_call(way, tmp_path):
    begins, ends = tmp_path / "begins", tmp_path / "ends"
    run = PluginRun(StartsSlowly, {"marker": str(begins), "awaited": str(ends)}, way, patience_s=5)
    _, counts, _ = record(tmp_path / "calls", [run], live=False, clock=ClockWhile(begins, ends, ends_after_s=20))
    assert (counts["starts-slowly"].hung, counts["starts-slowly"].hops) == (0, 2 * PACKETS)


@pytest.mark.thorough
def test_a_plugin_may_be_larger_than_what_audio_is_handed_over_in(tmp_path):
    _, counts, _ = record(tmp_path, [PluginRun(IsLarge(), way=Way.PROCESS)], live=False)
    assert (counts["is-large"].hops, counts["is-large"].restarts) == (2 * PACKETS, 0)


@pytest.mark.thorough
def test_what_a_plugin_prints_in_its_process_goes_to_stderr(tmp_path, capfd):
    record(tmp_path, [PluginRun(Prints, way=Way.PROCESS)], live=False, packets=1)
    assert capfd.readouterr() == ("", "hello from a plugin\n")


@pytest.mark.thorough
def test_a_process_ends_with_us_though_its_plugin_is_busy(tmp_path):
    config = FaultConfig(marker=str(tmp_path / "busy"))
    runner = ProcessRunner(Spins(config), PluginRun(Spins, config), lambda: 0)
    none = np.zeros(1, np.int64)
    runner.open(0, StreamIdentity(None, Leg.A, Direction.INBOUND, "call"), 0)
    runner.process(Hops(8000, none, none, none, np.zeros((1, 160), np.int16), np.zeros(1, np.uint8), none))
    while not (tmp_path / "busy").exists():
        runner.take()
    process = runner._process
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), process._tasks)  # which closes our end, as our death would
    assert process._process.wait(BOUND_S) == 1
    process.end()


@pytest.mark.thorough
def test_a_process_is_waited_for_whatever_number_its_pipe_has():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 2000), hard), hard))
    runner = ProcessRunner(Sound(), PluginRun(Sound), time.monotonic_ns)
    process = runner._process
    high = fcntl.fcntl(process.results, fcntl.F_DUPFD, 1100)  # more than select could take
    os.close(process.results)
    process.results = high
    assert runner.finish() == []
    assert runner.counts.switched_off is None
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_where_no_process_can_be_made_nothing_is_left_open(tmp_path, monkeypatch, caplog):
    def refused(*args, **kwargs):
        raise BlockingIOError("no more processes")

    monkeypatch.setattr("strep.analysis.process.subprocess.Popen", refused)
    before = len(list(Path("/dev/fd").iterdir()))
    _, counts, _ = record(tmp_path, [PluginRun(Sound, way=Way.PROCESS)])
    assert counts["sound"].switched_off == "no process could be made: no more processes"
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_offline_nobody_is_switched_off_for_taking_long(tmp_path):
    ticks = itertools.count(0, 30 * MS)
    _, counts, _ = record(tmp_path, [PluginRun(Sound, most_late=7)], live=False, clock=lambda: next(ticks))
    assert counts["sound"].switched_off is None
    assert counts["sound"].late == counts["sound"].calls


@pytest.mark.parametrize("way", [Way.THREAD, Way.PROCESS])
def test_a_call_that_hangs_is_given_up(way, tmp_path, undisturbed, caplog):
    hangs, never = tmp_path / "hangs", tmp_path / "over"
    config = {"after_hops": 40, "marker": str(hangs), "awaited": str(never)}
    plugins = [PluginRun(Hangs, config, way, patience_s=5, most_restarts=0), Sound]
    files, counts, notices = record(tmp_path / "calls", plugins, live=False, clock=ClockWhile(hangs, never))
    never.touch()  # which lets its thread go
    assert files == undisturbed
    assert counts["hangs"].hung == 1
    assert "lasted longer" in counts["hangs"].switched_off
    assert counts["hangs"].hops + counts["hangs"].missed_hops == 2 * PACKETS
    assert len(findings(notices, "hangs")) == 40
    assert len(findings(notices, "sound")) == 2 * PACKETS


@pytest.mark.parametrize("way", [Way.INLINE, Way.THREAD])
def test_a_plugin_that_tells_without_end_is_cut_short(way, tmp_path, monkeypatch):
    monkeypatch.setattr("strep.analysis.driver.MOST_FINDINGS", 100)
    _, counts, _ = record(tmp_path, [PluginRun(TellsTooMuch, way=way, deadline_ms=1000)], live=False, packets=2)
    assert counts["tells"].missed_findings >= 1
    assert counts["tells"].findings >= 100


def leak(folder: Path, way: Way):
    """Record beside a plugin that leaks; give the files, and by how much the process has grown."""
    before = memory_bytes()
    files, counts, _ = record(folder, [PluginRun(Leaks, {"after_hops": 2 * PACKETS - 6}, way)], live=False)
    assert counts["leaks"].hops == 2 * PACKETS
    return files, counts["leaks"].memory_bytes - before


@pytest.mark.parametrize("way", [Way.INLINE, pytest.param(Way.THREAD, marks=pytest.mark.thorough)])
def test_a_plugin_that_leaks_leaves_the_recording_alone_and_it_can_be_seen(way, tmp_path, undisturbed):
    # In a process of its own: from here, what other tests have left may be given back meanwhile.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
        files, grown_bytes = alone.submit(leak, tmp_path, way).result()
    assert files == undisturbed
    assert grown_bytes > 20_000_000


@pytest.mark.thorough
def test_a_process_that_leaks_is_started_again(tmp_path, undisturbed, caplog):
    run = PluginRun(Leaks, {"after_hops": 20}, Way.PROCESS, most_restarts=1, most_memory_bytes=400_000_000)
    files, counts, _ = record(tmp_path, [run, Sound], live=False)
    assert files == undisturbed
    assert counts["leaks"].restarts == 1
    assert "bytes of memory, after 1 restarts" in counts["leaks"].switched_off
    assert counts["leaks"].memory_bytes > 400_000_000
    assert counts["leaks"].hops + counts["leaks"].missed_hops == counts["sound"].hops


def test_a_process_that_is_killed_is_started_again_and_goes_on(tmp_path, undisturbed, caplog):
    caplog.set_level(logging.WARNING)
    config = FaultConfig(after_hops=50, marker=str(tmp_path / "died"))
    files, counts, notices = record(tmp_path / "calls", [PluginRun(DiesOnce, config, Way.PROCESS)], live=False)
    assert files == undisturbed
    died = counts["dies-once"]
    assert (died.restarts, died.errors, died.switched_off) == (1, 0, None)
    assert died.missed_hops > 0
    assert died.hops + died.missed_hops == 2 * PACKETS
    assert len(findings(notices, "dies-once")) == died.hops
    assert "ended with -9" in caplog.text


@pytest.mark.thorough
def test_a_process_that_keeps_dying_is_switched_off(tmp_path, undisturbed, caplog):
    dies = PluginRun(Dies, {"after_hops": 4}, Way.PROCESS, most_restarts=2, queue_hops=20)
    files, counts, notices = record(tmp_path, [dies, Sound], live=False)
    assert files == undisturbed
    assert counts["dies"].restarts == 2
    assert "ended with -9, after 2 restarts" in counts["dies"].switched_off
    assert counts["dies"].hops + counts["dies"].missed_hops == 2 * PACKETS
    assert len(findings(notices, "sound")) == 2 * PACKETS


@pytest.mark.parametrize("way", WAYS)
def test_a_plugin_that_cannot_start_raises_nothing(way, tmp_path, undisturbed, caplog):
    files, counts, _ = record(tmp_path, [PluginRun(CannotStart, way=way, most_errors=1)], live=False)
    assert files == undisturbed
    assert counts["cannot-start"].switched_off is not None
    assert counts["cannot-start"].missed_hops == 2 * PACKETS
