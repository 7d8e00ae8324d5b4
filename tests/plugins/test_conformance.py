"""The kit finds what plugins do wrong, and nothing in those that do right."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from strep.plugins import conformance
from strep.plugins.base import BlockPlugin, Finding, PluginConfig, Wants
from strep.plugins.each import StreamPlugin
from strep.plugins.quality import QualityPlugin


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum(Finding):
    KIND: ClassVar[str] = "sum"
    value: Any


class Sums(BlockPlugin):
    """Does right: tells every half second's sum."""

    NAME = "sums"
    wants = Wants(8000, 160)

    def start(self, rows):
        self.sums, self.hops = np.zeros(rows, np.int64), np.zeros(rows, np.int64)

    def open(self, row, identity):
        self.sums[row] = self.hops[row] = 0

    def process(self, hops):
        self.sums[hops.rows] += hops.samples.sum(axis=1, dtype=np.int64)
        self.hops[hops.rows] += 1
        told = self.hops[hops.rows] % 25 == 0
        return [self.tell(*one) for one in zip(hops.rows[told].tolist(), hops.position[told].tolist(), strict=True)]

    def tell(self, row, position):
        return Sum(row=row, position=position, value=int(self.sums[row]))


class Forgetful(Sums):
    def open(self, row, identity):
        """Keep what the stream before left."""


class Mixing(Sums):
    def process(self, hops):
        self.sums[hops.rows] += int(hops.samples.mean()) if len(hops) else 0
        return super().process(hops)


class RowBound(Sums):
    def tell(self, row, position):
        return Sum(row=row, position=position, value=row)


class Closing(Sums):
    def tell(self, row, position):
        return Sum(row=row + 1, position=position, value=0)


class Writing(Sums):
    def process(self, hops):
        hops.samples.flags.writeable = True
        hops.samples[:] = 0
        return super().process(hops)


class NoFinding(Sums):
    def tell(self, row, position):
        return "half a second"


class OfNumpy(Sums):
    def tell(self, row, position):
        return Sum(row=row, position=np.int64(position), value=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed(Sum):
    time: float = 0.0


class Reserved(Sums):
    def tell(self, row, position):
        return Timed(row=row, position=position, value=0)


class Unsendable(Sums):
    def tell(self, row, position):
        return Sum(row=row, position=position, value=lambda: 0)


class NeedsStreams(Sums):
    def process(self, hops):
        hops.rows.max()
        return super().process(hops)


class NeedsArrival(Sums):
    def process(self, hops):
        return super().process(hops) if hops.arrival_ns.min(initial=0) >= 0 else []


class TellsNone(BlockPlugin):
    def process(self, hops):
        return None


@pytest.mark.parametrize("plugin", [Sums, QualityPlugin, BlockPlugin, TellsNone])
def test_a_plugin_that_does_right_passes(plugin):
    conformance.check(plugin)


def test_a_plugin_for_one_stream_is_checked_with_the_configuration_that_it_has():
    levels = set()

    class Level(PluginConfig):
        level: int = 1

    class Loud(StreamPlugin):
        CONFIG = Level

        def process(self, frame):
            levels.add(self.config.level)
            return ()

    conformance.check(lambda: Loud(Level(level=3)))
    assert levels == {3}


def test_the_signals_that_an_author_adds_are_played():
    heard = []

    class Listening(Sums):
        def process(self, hops):
            heard.append(hops.samples.max(initial=0))
            return super().process(hops)

    extra = conformance.Signal("mine", np.full((3, 160), 1234, np.int16), np.zeros(3, np.uint8))
    conformance.check(Listening, [extra])
    assert 1234 in heard


@pytest.mark.parametrize(
    ("plugin", "error", "says"),
    [
        (Forgetful, AssertionError, "on its row before"),
        (Mixing, AssertionError, "when all streams are in one call"),
        (RowBound, AssertionError, "sums, .*: when all streams are in one call, finding 0 is"),
        (Closing, AssertionError, "open are"),
        (Writing, AssertionError, "wrote to the samples"),
        (NoFinding, AssertionError, "expected a Finding"),
        (OfNumpy, AssertionError, "is no int in Sum"),
        (Reserved, AssertionError, "Timed has a field time, which says something else"),
        (Unsendable, Exception, "pickle|lambda"),
        (NeedsStreams, ValueError, "zero-size"),
        (NeedsArrival, AttributeError, "None"),
    ],
)
def test_a_plugin_that_does_wrong_is_told_so(plugin, error, says):
    with pytest.raises(error, match=says):
        conformance.check(plugin)
