"""A plugin for one stream serves for many."""

from dataclasses import dataclass
from typing import ClassVar

import pytest

from strep.plugins import conformance
from strep.plugins.base import Finding, PluginConfig, Wants
from strep.plugins.each import EachStream, StreamPlugin


@dataclass(frozen=True, slots=True, kw_only=True)
class Loud(Finding):
    KIND: ClassVar[str] = "loud"
    peak: int


class LoudConfig(PluginConfig):
    least: int = 1


class Loudest(StreamPlugin):
    NAME = "loudest"
    CONFIG = LoudConfig
    wants = Wants(8000, 80)

    def start(self, identity):
        self.peak, self.frames = 0, 0

    def process(self, frame):
        self.frames += 1
        self.peak = max(self.peak, int(abs(frame.samples.astype(int)).max()))
        if (frame.samples == 13).all():
            raise RuntimeError("thirteen")
        return [Loud(row=0, position=frame.position, peak=self.peak)] if self.peak >= self.config.least else []

    def finish(self):
        return [Loud(row=0, position=0, length_samples=80 * self.frames, peak=self.peak)]


class PairStream(Loudest):
    NAME = "pair"
    wants = Wants(8000, 80, is_pair=True)

    def process(self, frame):
        assert frame.samples.shape == (2, 80)
        assert frame.state.shape == (2,)
        return ()


def played(plugin, values):
    """Give row n + 3 one hop of the n-th value."""
    plugin.start(16)
    for row in range(len(values)):
        plugin.open(row + 3, None)
    signals = [(conformance.Signal("", (0 * conformance.np.zeros((1, 80)) + value).astype("int16"),
                conformance.np.zeros(1, "uint8")), row + 3) for row, value in enumerate(values)]  # fmt: skip
    return plugin.process(conformance.hops_of(plugin.wants, signals, 0))


def test_each_stream_has_an_object_of_its_own_and_findings_get_their_row():
    plugin = EachStream(Loudest, LoudConfig(least=2))
    assert (plugin.NAME, plugin.wants) == ("loudest", Wants(8000, 80))
    assert [(one.row, one.peak) for one in played(plugin, [5, 1, 9])] == [(3, 5), (5, 9)]
    assert [(one.row, one.peak) for row in (3, 4, 5) for one in plugin.close(row)] == [(3, 5), (4, 1), (5, 9)]


def test_one_stream_that_raises_does_not_take_the_others_findings():
    plugin = EachStream(Loudest)
    found = []
    with pytest.raises(RuntimeError, match="thirteen"):
        found.extend(one.row for one in played(plugin, [5, 13, 9]))
    assert found == [3, 5]


@pytest.mark.parametrize("kind", [Loudest, PairStream])
def test_a_stream_plugin_conforms(kind):
    conformance.check(kind)
