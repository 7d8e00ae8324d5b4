"""Plugins that do wrong, each in its own way, and one that does right."""

import asyncio
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from strep.plugins.base import BlockPlugin, Finding, PluginConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak(Finding):
    KIND: ClassVar[str] = "peak"
    level: int


class FaultConfig(PluginConfig):
    after_hops: int = 0
    marker: str = ""
    awaited: str = ""


def wait_for(path):
    while not Path(path).exists():
        time.sleep(0.001)


class Faulty(BlockPlugin):
    NAME: ClassVar[str] = "faulty"
    CONFIG = FaultConfig

    def start(self, rows):
        self.hops = 0

    def process(self, hops):
        self.hops += len(hops)
        if self.hops > self.config.after_hops:
            self.go_wrong()
        return [
            Peak(row=row, position=position, length_samples=160, level=int(abs(samples.astype(int)).max()))
            for row, position, samples in zip(hops.rows.tolist(), hops.position.tolist(), hops.samples, strict=True)
        ]

    def go_wrong(self):
        """Do right."""


class Sound(Faulty):
    NAME: ClassVar[str] = "sound"
    CONFIG = FaultConfig

    def go_wrong(self):
        pass


class Raises(Faulty):
    NAME: ClassVar[str] = "raises"

    def go_wrong(self):
        raise RuntimeError("a mistake")


class IsCancelled(Faulty):
    """Raises what is no Exception."""

    NAME: ClassVar[str] = "is-cancelled"

    def go_wrong(self):
        raise asyncio.CancelledError("a mistake")


@dataclass(frozen=True, slots=True, kw_only=True)
class Nameless(Finding):
    """Lacks a KIND."""


NONSENSE = {
    "no finding": lambda row: "half a second",
    "no kind": lambda row: Nameless(row=row, position=0),
    "no position": lambda row: Peak(row=row, position=None, level=1),
    "too far": lambda row: Peak(row=row, position=10**30, level=1),
    "no length": lambda row: Peak(row=row, position=0, length_samples=-1, level=1),
    "another row": lambda row: Peak(row=row + 7, position=0, level=1),
}


class NonsenseConfig(PluginConfig):
    kind: str


class TellsNonsense(BlockPlugin):
    NAME: ClassVar[str] = "tells-nonsense"
    CONFIG = NonsenseConfig

    def process(self, hops):
        return [NONSENSE[self.config.kind](row) for row in hops.rows.tolist()]


class Sleeps(Faulty):
    """Takes its time, and the first time until somebody says that it is enough."""

    NAME: ClassVar[str] = "sleeps"

    def go_wrong(self):
        time.sleep(0.005)
        wait_for(self.config.awaited)


class Hangs(Faulty):
    """Says that it hangs, by a file, and does so until it is told to come back."""

    NAME: ClassVar[str] = "hangs"

    def go_wrong(self):
        Path(self.config.marker).touch()
        wait_for(self.config.awaited)


class Spins(Faulty):
    """Never comes back, and says so by a file."""

    NAME: ClassVar[str] = "spins"

    def go_wrong(self):
        Path(self.config.marker).touch()
        while True:
            pass


class Leaks(Faulty):
    NAME: ClassVar[str] = "leaks"

    def start(self, rows):
        super().start(rows)
        self.kept = []

    def go_wrong(self):
        self.kept.append(b"x" * 40_000_000)  # more than malloc may take of what it has kept (M_MMAP_THRESHOLD)


class TellsTooMuch(BlockPlugin):
    NAME: ClassVar[str] = "tells"

    def process(self, hops):
        while True:
            yield Peak(row=int(hops.rows[0]), position=0, level=0)


class Dies(Faulty):
    NAME: ClassVar[str] = "dies"

    def go_wrong(self):
        os.kill(os.getpid(), signal.SIGKILL)


class DiesOnce(Faulty):
    NAME: ClassVar[str] = "dies-once"

    def go_wrong(self):
        if not os.path.exists(self.config.marker):  # noqa: PTH110
            os.close(os.open(self.config.marker, os.O_CREAT))
            os.kill(os.getpid(), signal.SIGKILL)


class StartsSlowly(Sound):
    """Says that it starts, by a file, and has started when it is told so."""

    NAME: ClassVar[str] = "starts-slowly"

    def start(self, rows):
        super().start(rows)
        Path(self.config.marker).touch()
        wait_for(self.config.awaited)


class IsLarge(Sound):
    NAME: ClassVar[str] = "is-large"

    def __init__(self, config=None):
        super().__init__(config)
        self.model = bytes(10_000_000)


class Prints(Sound):
    NAME: ClassVar[str] = "prints"

    def start(self, rows):
        super().start(rows)
        print("hello from a plugin", flush=True)  # noqa: T201


class CannotStart(Faulty):
    NAME: ClassVar[str] = "cannot-start"

    def start(self, rows):
        raise SystemExit(3)
