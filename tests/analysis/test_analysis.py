"""Plugins are run on what the engine puts out, and what they find is told."""

import asyncio
import threading

import numpy as np
import pytest

from strep import Receiver, read_capture
from strep.analysis import Analysis, Found, JsonLines, PluginRun, Way
from strep.analysis.driver import Driver
from strep.analysis.waiting import Waiting
from strep.errors import ConfigError
from strep.plugins.base import BlockPlugin, Hops, Wants
from strep.plugins.framing import Framer
from strep.sinks.recordings import RecordingSink
from strep.stream.events import AnchorMoved, Direction, SourceChanged, StreamClosed
from tests.analysis.faulty import Peak, Sound
from tests.analysis.test_faults import findings, record
from tests.live.test_offline import written
from tests.plugins.events import placed
from tests.plugins.test_framing import Keeping, block, closed, identity, opened
from tests.receiving import BOUND_S, deliver, interleave, until
from tests.traffic import MS, START_NS, Sender, every


class Long(Sound):
    NAME = "long"
    wants = Wants(8000, 800)


class Both(BlockPlugin):
    NAME = "both"
    wants = Wants(8000, 160, is_pair=True)

    def process(self, hops):
        assert hops.samples.shape[1:] == (2, 160)
        return [Peak(row=row, position=0, level=1) for row in hops.rows.tolist()]


def test_each_plugin_is_given_what_it_wants(tmp_path):
    _, counts, notices = record(tmp_path, [Sound, Long, Both])
    assert (counts["sound"].hops, counts["long"].hops, counts["both"].hops) == (200, 40, 100)
    told = [notice for notice in notices if isinstance(notice.what, Found) and notice.what.plugin == "long"]
    assert told[1].what.time_ns - told[0].what.time_ns == 0  # the same hop of both directions
    assert {notice.identity.direction for notice in told} == set(Direction)
    assert told[2].what.start_s == 0.1
    assert told[2].what.time_ns == START_NS + 100 * MS
    assert told[2].what.duration_ms == 20


def test_what_is_found_inline_is_told_before_its_stream_stops(tmp_path):
    _, _, notices = record(tmp_path, [Sound])
    stop = next(n for n, notice in enumerate(notices) if isinstance(notice.what, StreamClosed))
    assert not any(
        isinstance(notice.what, Found) and notice.identity == notices[stop].identity for notice in notices[stop:]
    )


def test_hops_that_were_dropped_make_the_stream_begin_anew():
    calls = []

    class Follows(BlockPlugin):
        def open(self, row, identity):
            calls.append("open")

        def close(self, row):
            calls.append("close")
            return ()

        def process(self, hops):
            calls.append(hops.position.tolist())
            return ()

    analysis = Analysis([Follows])
    analysis.event(opened(0))
    driver = analysis._runners["nothing"]
    analysis.block(block([0], 0, np.zeros(160)))
    analysis._framers[Wants(), 20_000]._next[0] += 480  # as if they had been lost on the way
    analysis.block(block([0], 640, np.zeros(160)))
    assert isinstance(driver, Driver)
    assert calls == ["open", [0], "close", "open", [640]]


def test_waiting_hops_are_dropped_oldest_first_and_nothing_else_is():
    taker = Keeping()
    framer = Framer(Wants(), taker, 4)
    framer.event(opened(0))
    for n in range(11):
        framer.block(block([0], 160 * n, np.zeros(160)))
    waiting = Waiting(10)
    for item in [(0, identity(), START_NS), *taker.batches, 0]:
        waiting.put(item)
    assert waiting.missed_hops == 6
    items = [waiting.pop() for _ in range(len(waiting))]
    assert (items[0], items[-1]) == ((0, identity(), START_NS), 0)
    assert [int(item.position[0]) // 160 for item in items[1:-1]] == [6, 7, 8, 9, 10]


def test_a_plugin_that_takes_nothing_at_all_is_hopeless_before_memory_runs_out(monkeypatch):
    monkeypatch.setattr("strep.analysis.waiting.MOST_ITEMS", 10)
    waiting = Waiting(10)
    for n in range(15):
        waiting.put((n, placed(SourceChanged(START_NS, n, 0, 1))))
    assert len(waiting) < 10  # what is only told was dropped
    assert waiting.missed_events == 15 - len(waiting)
    taker, framer = Keeping(), None
    for kind in ("events", "audio"):  # whichever comes last
        crowd, framer = Waiting(10), Framer(Wants(), taker, 4)
        framer.event(opened(0))
        for n in range(9):
            crowd.put((n, placed(SourceChanged(START_NS, n, 0, 1))))
        framer.block(block([0], 0, np.zeros(160)))
        crowd.put(taker.batches[-1] if kind == "audio" else (9, placed(SourceChanged(START_NS, 9, 0, 1))))
        assert len(crowd) == 0
        assert crowd.missed_events + crowd.missed_hops == 10
    for n in range(30):
        waiting.put((n, identity(), START_NS))
    assert waiting.is_hopeless


def test_a_consumer_that_raises_is_left_out_and_the_others_are_told(caplog):
    told = []

    def broken(notice):
        raise ValueError("no")

    analysis = Analysis([Sound], consumers=[broken, told.append])
    analysis.event(opened(0))
    analysis.event(closed(0))
    analysis.close()
    analysis.close()
    assert analysis.failed_consumers == 1
    assert [notice.sequence for notice in told] == [1, 2]


async def test_notices_can_be_iterated():
    analysis = Analysis([Sound])
    queue = analysis.notices()
    analysis.event(opened(0))
    analysis.block(block([0], 0, np.full(160, 5)))
    analysis.event(closed(0))
    analysis.close()
    assert [type(notice.what).__name__ async for notice in queue] == ["StreamOpened", "Found", "StreamClosed"]
    assert [notice async for notice in analysis.notices()] == []


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Analysis([Sound, Sound]), "each plugin once, got sound"),
        (lambda: Analysis(["absent"]), "expected a plugin"),
        (lambda: PluginRun(Sound, way="elsewhere"), "way must be inline, thread, process, got 'elsewhere'"),
        (lambda: PluginRun(Sound, deadline_ms=0), "deadline_ms must be above 0, got 0"),
        (lambda: PluginRun(Sound, most_restarts=-1), "most_restarts must be 0 or more"),
        (lambda: Analysis([PluginRun(type("Local", (Sound,), {}), way=Way.PROCESS)]), "cannot be sent to a process"),
        (lambda: Receiver("udp:127.0.0.1:0", plugins=["absent"]), "expected a plugin"),
    ],
)
def test_what_cannot_be_run_is_said(make, says):
    with pytest.raises(ConfigError, match=says):
        make()


def test_times_are_right_however_long_a_stream_lasts():
    class Wide(BlockPlugin):
        wants = Wants(48_000, 960)

        def process(self, hops):
            return [Peak(row=0, position=int(hops.position[0]), level=1)]

    driver = Driver(Wide(), PluginRun(Wide), lambda: 0)
    driver.open(0, identity(), START_NS)
    position = 100 * 24 * 3600 * 48_000  # a hundred days
    columns = np.zeros(1, np.int64), np.array([position]), np.array([START_NS + position // 48_000 * 10**9])
    driver.process(Hops(48_000, *columns, np.zeros((1, 960), np.int16), np.zeros(1, np.uint8)))
    (found,) = driver.take()
    assert found.time_ns == START_NS + 100 * 24 * 3600 * 10**9


async def test_an_anchor_that_moves_is_no_news():
    analysis = Analysis([])
    queue = analysis.notices()
    analysis.event(opened(0))
    analysis.event(AnchorMoved(START_NS, 0, START_NS - 5))
    analysis.event(closed(0))
    analysis.close()
    assert [notice.sequence async for notice in queue] == [1, 2]


def test_what_never_had_a_stream_has_counts_all_the_same():
    analysis = Analysis([PluginRun(Sound, way=Way.PROCESS)])
    assert analysis.counts()["sound"].hops == 0
    analysis.close()


def test_a_capture_is_analysed(tmp_path):
    path = written(tmp_path / "call.pcap", every(Sender().packets(50)))
    notices = []
    result = read_capture(path, plugins=[Sound], consumers=[notices.append])
    assert result.plugins["sound"].hops == len(findings(notices, "sound")) == 50


class Waits(Sound):
    NAME = "waits"
    may_go_on = threading.Event()

    def process(self, hops):
        assert self.may_go_on.wait(BOUND_S)
        return super().process(hops)


async def test_a_receiver_that_stops_lets_others_go_on_while_a_plugin_does_what_waits_for_it(tmp_path):
    sink = RecordingSink(tmp_path)
    async with Receiver("udp:127.0.0.1:0", sinks=[sink], plugins=[PluginRun(Waits, way=Way.THREAD)]) as receiver:
        await deliver(receiver, Sender().packets(20))
        stopping = asyncio.create_task(receiver.stop())
        await until(lambda: bool(sink.recordings))  # they wait for no plugin
        Waits.may_go_on.set()
        await stopping
    assert receiver.analysis.counts()["waits"].hops == 20
    assert receiver.analysis.counts()["waits"].switched_off is None


async def test_a_receiver_without_plugins_tells_what_happens_all_the_same(tmp_path):
    async with Receiver("udp:127.0.0.1:0") as receiver:
        told = receiver.analysis.notices()
        receiver.analysis.add(JsonLines(tmp_path / "told.jsonl"))
        await deliver(receiver, Sender().packets(20))
        await receiver.stop()
    kinds = [type(notice.what).__name__ async for notice in told]
    assert kinds == ["StreamOpened", "FormatChanged", "StreamClosed"]
    assert len((tmp_path / "told.jsonl").read_text().splitlines()) == 3


async def test_a_receiver_runs_plugins_on_live_calls():
    async with Receiver("udp:127.0.0.1:0", plugins=[PluginRun(Sound, way=Way.THREAD)]) as receiver:
        told = receiver.analysis.notices()
        await deliver(receiver, interleave(Sender().packets(20), Sender(direction=1, ssrc=2).packets(20)))
        await receiver.stop()
    kinds = [type(notice.what).__name__ async for notice in told]
    assert kinds.count("Found") == receiver.analysis.counts()["sound"].hops == 40
