"""Run `strep record` as users do, in a process of its own, and look at what it uses."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench import BenchError
from strep.net.address import UdpAddress

_ROOT = Path(__file__).resolve().parents[1]
#: Compiling, on a machine with empty caches, takes the most of it.
_START_S = 120.0
_POLL_S = 0.01
#: Finishing some hundred recordings takes less than a second.
_STOP_S = 60.0
_ADDRESS = re.compile(r"recording what arrives at (udp:[0-9.]+:\d+)")


class RecorderCommand:
    """A `strep record` that records into a folder until it is stopped, or killed.

    address: where it receives. It is ready when this has been made. words: its other options. said: a file for what it
    says; beside the folder, if not given. Raises BenchError when it does not begin to record.
    """

    def __init__(self, out: Path, *words: str, cpu: int | None = None, said: Path | None = None) -> None:
        self._said = said or out.with_name(f"{out.name}.said")
        command = [sys.executable, "-m", "strep", "record", "--target", "udp:127.0.0.1:0", "--out", str(out), "--json"]
        with self._said.open("w") as complaints:
            self._process = subprocess.Popen(
                [*command, *words], cwd=_ROOT, stdout=subprocess.PIPE, stderr=complaints, text=True
            )
        try:
            if cpu is not None:
                os.sched_setaffinity(self._process.pid, {cpu})
            self.address = self._begun()
        except BaseException:
            self.kill()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def resident_most_kib(self) -> int:
        """Tell how much memory it has had at most."""
        return self._status("VmHWM")

    @property
    def resident_kib(self) -> int:
        """Tell how much memory it has."""
        return self._status("VmRSS")

    @property
    def threads(self) -> int:
        """Count its threads."""
        return self._status("Threads")

    @property
    def descriptors(self) -> int:
        """Count what it has open."""
        return len(os.listdir(f"/proc/{self._process.pid}/fd"))  # noqa: PTH208 names are not wanted

    @property
    def processor_s(self) -> float:
        """Tell how much processor time it has used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def preempted_s(self) -> float:
        """Tell for how long it wanted to run, and others had its core; 0 where the system does not say."""
        try:
            return int(Path(f"/proc/{self._process.pid}/schedstat").read_text().split()[1]) / 1e9
        except (OSError, ValueError, IndexError):
            return 0.0

    def stop(self) -> dict[str, Any]:
        """Let it finish its files, as Ctrl-C does; returns what it says. Raises BenchError if it says nothing."""
        self._process.send_signal(signal.SIGINT)
        try:
            told, _ = self._process.communicate(timeout=_STOP_S)
            document: dict[str, Any] = json.loads(told)
        except (subprocess.TimeoutExpired, ValueError) as error:
            raise BenchError(f"expected strep record to end with a report, found {self._said.read_text()}") from error
        return document

    def kill(self) -> None:
        """Kill it, if it runs, as `kill -9` does."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _begun(self) -> UdpAddress:
        deadline_s = time.monotonic() + _START_S
        while time.monotonic() < deadline_s and self._process.poll() is None:
            found = _ADDRESS.search(self._said.read_text())
            if found:
                return UdpAddress.parse(found[1])
            time.sleep(_POLL_S)
        raise BenchError(f"expected strep record to begin, found {self._said.read_text()}")

    def _status(self, name: str) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.findall(rf"^{name}:\s+(\d+)", status, re.MULTILINE)[0])
