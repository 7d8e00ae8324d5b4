"""Say what is sent to a process under test, and send it from another, on a core of its own."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import BenchError
from strep.net.address import UdpAddress
from tools.traffic import CODINGS, MAX_CALLS, PERIOD_MS, Traffic

#: Below these are the services', above them those that Linux gives to whoever asks for any (ip_local_port_range).
_FIRST_PORT, _LAST_PORT = 16_384, 32_768
_ROOT = Path(__file__).resolve().parents[1]
#: A sender that is behind by more than this on the average does not offer what it was asked to: half a packet.
_LATE_MS = PERIOD_MS / 2


@dataclass(frozen=True, slots=True)
class Load:
    """Simultaneous calls of two streams each, in real time. Raises BenchError for what cannot be.

    gso: packets due together are sent, and arrive, as one, up to 64. plain: RTP alone, every stream to a port of
    its own. See tools/generate.py.
    """

    calls: int
    seconds: int
    codec: str = "PCMU"
    seed: int = 0
    gso: bool = False
    plain: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.calls <= MAX_CALLS or self.seconds < 1:
            raise BenchError(f"expected 1 to {MAX_CALLS} calls of at least 1 second")
        if self.codec not in CODINGS:
            raise BenchError(f"expected one of {', '.join(CODINGS)}, found codec {self.codec!r}")

    @property
    def packets(self) -> int:
        """Count the packets of each stream."""
        return self.seconds * 1000 // PERIOD_MS

    def traffic(self) -> Traffic:
        """Make the traffic, byte for byte."""
        return Traffic(self.calls, codec=self.codec, seed=self.seed, plain=self.plain)


class Sending:
    """A load on its way, sent by tools.generate in a process of its own."""

    def __init__(self, load: Load, target: UdpAddress, *, cpu: int | None) -> None:
        words = ["--target", target, "--calls", load.calls, "--seconds", load.seconds, "--codec", load.codec]
        words += ["--seed", load.seed, *["--gso"] * load.gso, *["--plain"] * load.plain, "--json"]
        words += [] if cpu is None else ["--cpu", cpu]
        command = [sys.executable, "-m", "tools.generate", *map(str, words)]
        begin = None if cpu is None else functools.partial(os.sched_setaffinity, 0, {cpu})  # its imports are work, too
        self._process = subprocess.Popen(
            command, cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=begin
        )

    def __enter__(self) -> Sending:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # if it has ended, this does nothing
        self._process.communicate()

    def finish(self) -> dict[str, Any]:
        """Wait until all is sent; returns the generator's report. Raises BenchError when it has failed."""
        said, complained = self._process.communicate()
        if self._process.returncode:
            raise BenchError(f"expected the traffic generator to succeed, found {complained.strip()}")
        report: dict[str, Any] = json.loads(said)
        return report


def send(load: Load, target: UdpAddress, *, cpu: int | None) -> dict[str, Any]:
    """Send a load; returns the generator's report when all is sent."""
    with Sending(load, target, cpu=cpu) as sending:
        return sending.finish()


def free_ports(streams: int) -> int:
    """Find room for plain streams; returns the first of the ports. Each has the port after its own free, too (RTCP)."""
    for first in range(_FIRST_PORT, _LAST_PORT - 2 * streams, 2 * streams):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + 2 * streams):
                stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind(("127.0.0.1", port))
            return first
    raise BenchError(f"expected {2 * streams} free ports in a row, found none from {_FIRST_PORT} to {_LAST_PORT}")


def kept_pace(sent: dict[str, Any]) -> bool:
    """Tell, by the generator's report, whether it sent in real time, so that the load was what it was to be."""
    mean_ms: float = sent["mean_lateness_ms"]
    return mean_ms <= _LATE_MS
