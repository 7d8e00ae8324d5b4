"""A plugin's cost is that of hops as they come in life, and each is shown beside what else there is."""

import time
from itertools import pairwise

import numpy as np
import pytest
from rich.console import Console

from bench import analysis_frames
from bench.hop_cost import conversation_hops, ns_per_20_ms, ns_per_hop
from strep.emulator.speech import conversation
from strep.plugins.base import BlockPlugin, Wants
from strep.plugins.quality import QualityPlugin
from strep.stream.events import Direction


def shown(*tables, width=80):
    """Give tables as they are printed in a terminal of so many columns."""
    console = Console(width=width)
    with console.capture() as captured:
        for table in tables:
            console.print(table)
    return captured.get()


def cells(text, beginning):
    """Give the cells of the only row of printed tables that begins so."""
    rows = [[cell.strip() for cell in line.strip("│┃ ").split("│")] for line in text.splitlines()]
    [row] = [row for row in rows if row[0].startswith(beginning)]
    return row


def test_hops_follow_each_other_in_the_conversation():
    said = np.stack(conversation(8000))
    hops = list(conversation_hops(Wants(8000, 80), 6, 3000))
    heard = np.concatenate([hop.samples for hop in hops], axis=1)  # 30 s, so over the end of it
    [begin] = np.flatnonzero((np.lib.stride_tricks.sliding_window_view(said[0], 800) == heard[0, :800]).all(axis=1))
    for row in (0, 1):  # both directions of it
        assert (heard[row] == np.roll(said[row], -begin).take(np.arange(240_000), mode="wrap")).all()
    assert not (heard[0] == heard[2]).all()
    assert [hop.position[0] for hop in hops[:3]] == [0, 80, 160]
    assert hops[5].time_ns[0] - hops[0].time_ns[0] == 50_000_000


def test_pairs_are_both_directions_and_one_stream_is_the_first():
    [single] = conversation_hops(Wants(8000, 160), 4, 1)
    [paired] = conversation_hops(Wants(8000, 160, is_pair=True), 4, 1)
    [alone] = conversation_hops(Wants(8000, 160), 1, 1)
    assert (paired.samples == single.samples.reshape(2, 2, 160)).all()
    assert paired.arrival_ns.shape == paired.state.shape == (2, 2)
    assert len(paired.rows) == 2
    assert alone.samples.shape == (1, 160)


@pytest.mark.parametrize("hop_samples", [80, 160, 320])
def test_packets_of_20_ms_arrive_late_and_in_order(hop_samples):
    hops = list(conversation_hops(Wants(8000, hop_samples), 50, 3200 // hop_samples))
    arrival_ns = np.stack([hop.arrival_ns for hop in hops])
    assert len(np.unique(arrival_ns[:, 0])) == min(20, len(hops))
    last_ns = np.array([hop.time_ns[0] for hop in hops]) + hop_samples * 125_000 - 1
    delay_ns = arrival_ns - last_ns[:, None] // 20_000_000 * 20_000_000
    assert delay_ns.min() >= 0
    assert 5_000_000 < delay_ns.max() < 10_000_000


def test_quality_has_packets_to_rate_in_what_its_cost_is_measured_with():
    class Kept(QualityPlugin):
        found = ()

        def process(self, hops):
            found = super().process(hops)
            self.found = [*self.found, *found]
            return found

    plugin = Kept()
    ns_per_hop(plugin, conversation_hops(plugin.wants, 2, 1001), 2)
    assert [(one.packets, one.loss_percent) for one in plugin.found] == [(500, 0), (500, 0)]
    assert all(one.mos and 0 < one.jitter_ms < 10 for one in plugin.found)


class Slow(BlockPlugin):
    """Works for a while whenever it is called, at first for longer, and remembers what for."""

    NAME = "slow"
    wants = Wants(8000, 320, is_pair=True)
    calls, opened = 0, ()

    def open(self, row, identity):
        self.opened = (*self.opened, row)

    def event(self, row, placed):
        self.opened = (*self.opened, placed.direction)
        return ()

    def process(self, hops):
        self.calls += 1
        until_ns = time.thread_time_ns() + (20_000_000 if self.calls < 3 else 2_000_000)
        while time.thread_time_ns() < until_ns:
            yield from ()


def test_a_cost_is_by_stream_and_without_the_first_calls():
    plugin = Slow()
    assert ns_per_hop(plugin, conversation_hops(plugin.wants, 4, 8), 4) == pytest.approx(500_000, rel=0.2)
    assert plugin.opened == (0, *Direction, 1, *Direction)


def test_a_cost_is_of_20_ms_whatever_the_hop_and_measured_once(monkeypatch):
    made = []
    monkeypatch.setattr("bench.hop_cost.load_plugin", lambda name: made.append(Slow()) or made[-1])
    assert ns_per_20_ms("test only", 4, 0.4) == pytest.approx(250_000, rel=0.2)  # hops are of 40 ms
    assert made[0].calls == 10
    assert ns_per_20_ms("test only", 4, 0.4) == ns_per_20_ms("test only", 4, 0.4)
    assert len(made) == 1


def test_plugins_are_shown_in_both_forms_and_beside_what_is_called_per_packet(monkeypatch):
    asked = []
    monkeypatch.setattr(
        analysis_frames, "ns_per_20_ms", lambda *asking: asked.append(asking) or (200.0 if asking[1] == 50 else 5000.0)
    )
    monkeypatch.setattr(analysis_frames, "webrtc", lambda: None)
    monkeypatch.setattr(analysis_frames, "ns_of_python", lambda: 8000.0)
    monkeypatch.setattr(analysis_frames, "ns_while_dialling", lambda streams: 1234.0)
    report = analysis_frames.measure(streams=50, seconds=1)
    assert {("level", 1, 1), ("level", 50, 1), ("voice", 2, 1), ("echo", 2, 1), ("quality", 1, 1)} <= set(asked)
    text = shown(*analysis_frames.tables(report))
    assert cells(text, "progress") == ["progress", "200", "5,000", "25 x"]
    assert cells(text, "or webrtcvad") == ["or webrtcvad mode 2", "", "not installed", "-"]
    assert cells(text, "or Goertzel") == ["or Goertzel in Python", "", "8,000", "40 x"]
    assert cells(text, "everyone dials") == ["everyone dials", "1,234"]
    lines = text.splitlines()
    assert "voice" in next(above for above, line in pairwise(lines) if "webrtcvad" in line)
