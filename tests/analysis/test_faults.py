"""Analysis cannot hurt capture: whatever a plugin does, the recording is the same, and it is counted."""

import itertools
import logging
from pathlib import Path

import pytest

from strep.analysis import Analysis, Found, PluginRun, Way
from strep.engine import Engine, EngineConfig
from strep.pipeline import Pipeline
from strep.sinks.recordings import RecordingSink
from strep.wire.batch import DatagramBatch
from tests.analysis.faulty import (
    CannotStart,
    Dies,
    DiesOnce,
    FaultConfig,
    Hangs,
    Leaks,
    Raises,
    Sleeps,
    Sound,
    TellsTooMuch,
)
from tests.traffic import MS, START_NS, Sender

PACKETS = 100
WAYS = list(Way)


def record(folder: Path, plugins=(), *, live=True, packets=PACKETS, clock=None):
    """Record both directions of a leg beside plugins; give the files' bytes, the counts and what was told."""
    notices = []
    sinks = [RecordingSink(folder, flush_interval_ms=100)]
    analysis = Analysis(plugins, consumers=[notices.append], live=live, **({"clock": clock} if clock else {}))
    # Before the recording, so that what a plugin may do to the samples would be recorded.
    pipeline = Pipeline(Engine(EngineConfig(max_streams=8)), [analysis, *sinks])
    senders = [Sender(), Sender(direction=1, ssrc=2, seed=2)]
    for n in range(packets):
        arrival_ns = START_NS + 20 * n * MS
        made = [sender.packet() for sender in senders]
        if n % 17 != 5:  # some losses, too
            pipeline.feed(DatagramBatch.from_datagrams(made, [arrival_ns] * 2))
        pipeline.advance(arrival_ns + 20 * MS)
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


@pytest.mark.parametrize("way", [Way.THREAD, Way.PROCESS])
def test_a_plugin_that_is_slow_misses_the_oldest(way, tmp_path, undisturbed):
    plugins = [PluginRun(Sleeps, way=way, queue_hops=20, deadline_ms=2)]
    files, counts, notices = record(tmp_path, plugins)
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


def test_offline_nobody_is_switched_off_for_taking_long(tmp_path):
    ticks = itertools.count(0, 30 * MS)
    _, counts, _ = record(tmp_path, [PluginRun(Sound, most_late=7)], live=False, clock=lambda: next(ticks))
    assert counts["sound"].switched_off is None
    assert counts["sound"].late == counts["sound"].calls


@pytest.mark.parametrize("way", [Way.THREAD, Way.PROCESS])
def test_a_call_that_hangs_is_given_up(way, tmp_path, undisturbed, caplog):
    plugins = [PluginRun(Hangs, {"after_hops": 40}, way, patience_s=0.5, most_restarts=0), Sound]
    files, counts, notices = record(tmp_path, plugins, live=False)
    assert files == undisturbed
    assert counts["hangs"].hung == 1
    assert "lasted longer" in counts["hangs"].switched_off
    assert counts["hangs"].hops + counts["hangs"].missed_hops == 2 * PACKETS
    assert len(findings(notices, "hangs")) == 40
    assert len(findings(notices, "sound")) == 2 * PACKETS


@pytest.mark.parametrize("way", [Way.INLINE, Way.THREAD])
def test_a_plugin_that_tells_without_end_is_cut_short(way, tmp_path, monkeypatch):
    monkeypatch.setattr("strep.analysis.driver.MOST_FINDINGS", 100)
    _, counts, _ = record(tmp_path, [PluginRun(TellsTooMuch, way=way, deadline_ms=1000)], live=False, packets=1)
    assert counts["tells"].missed_findings >= 1
    assert counts["tells"].findings >= 100


@pytest.mark.parametrize("way", [Way.INLINE, Way.THREAD])
def test_a_plugin_that_leaks_leaves_the_recording_alone(way, tmp_path, undisturbed):
    files, counts, _ = record(tmp_path, [PluginRun(Leaks, {"after_hops": 2 * PACKETS - 6}, way)], live=False)
    assert files == undisturbed
    assert counts["leaks"].hops == 2 * PACKETS


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
