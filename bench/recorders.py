"""Record calls by what one would take instead of strep: GStreamer and ffmpeg, as command lines.

They know no STREP, so they get the same RTP without it, every stream at a port of its own, and are told beforehand
which call is where, and how it is encoded.

    gstreamer           one gst-launch-1.0 for all calls; a WAV file for each direction, so that nothing is joined
    gstreamer_stereo    the same with both directions interleaved into one file, which is what strep makes
    ffmpeg              one ffmpeg a call, as calls begin and end when they like; both directions merged into one file
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
import wave
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from bench import BenchError
from bench.expected import expected_samples

_CAPS = "application/x-rtp,media=audio,clock-rate=8000,encoding-name=PCMU,payload=0"
_RATE_HZ = 8000
_SAID_NAME = "said.txt"
_START_PATIENCE_S = 30.0
_END_PATIENCE_S = 60.0
_POLL_S = 0.05
#: RTCP (RFC 3550 section 6.1): an empty receiver report, which has to come first, and BYE; of a source that nobody
#: looks at.
_GOODBYE = bytes.fromhex("80c900010000000081cb000100000000")


@dataclass(frozen=True, slots=True)
class Peer:
    """A way to record. commands: of (folder, calls, first port). channels: of each file.

    hears_goodbye: it ends when all streams have said so, by RTCP. Others are interrupted (SIGINT), of which ffmpeg
    would only take notice at the next packet, or 10 s later.
    """

    name: str
    program: str
    channels: int
    commands: Callable[[Path, int, int], list[list[str]]]
    hears_goodbye: bool = False

    @property
    def is_installed(self) -> bool:
        """Tell whether its program is here."""
        return shutil.which(self.program) is not None


def gstreamer_commands(directory: Path, calls: int, port: int) -> list[list[str]]:
    """Make one pipeline, two branches a call; file 2 * call + direction."""
    words = ["gst-launch-1.0", "-q", "-e"]
    for stream in range(2 * calls):
        words += [*_gstreamer_source(port, stream), "!", "wavenc", "!", "filesink"]
        words.append(f"location={directory / f'{stream}.wav'}")
    return [words]


def gstreamer_stereo_commands(directory: Path, calls: int, port: int) -> list[list[str]]:
    """Make one pipeline, two joined branches a call; file `call`."""
    words = ["gst-launch-1.0", "-q", "-e"]
    for call in range(calls):
        words += ["interleave", f"name=both{call}", "!", "wavenc", "!", "filesink"]
        words.append(f"location={directory / f'{call}.wav'}")
        for stream in (2 * call, 2 * call + 1):
            words += [*_gstreamer_source(port, stream), "!", "queue", "!", f"both{call}."]
    return [words]


def _gstreamer_source(port: int, stream: int) -> list[str]:
    receive = ["udpsrc", "address=127.0.0.1", f"port={port + 2 * stream}", f"caps={_CAPS}"]
    return [*receive, "!", "rtpjitterbuffer", "!", "rtppcmudepay", "!", "mulawdec"]


def ffmpeg_commands(directory: Path, calls: int, port: int) -> list[list[str]]:
    """Make one ffmpeg a call, with a session description (RFC 8866); file `call`."""
    commands = []
    for call in range(calls):
        session = directory / f"{call}.sdp"
        lines = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=call", "c=IN IP4 127.0.0.1", "t=0 0"]
        for stream in (2 * call, 2 * call + 1):
            lines += [f"m=audio {port + 2 * stream} RTP/AVP 0", "a=rtpmap:0 PCMU/8000"]
        session.write_text("\r\n".join([*lines, ""]))
        # The description says all there is to know: without these two it would listen for seconds before it records.
        words = ["-protocol_whitelist", "file,udp,rtp", "-analyzeduration", "0", "-probesize", "32", "-i", str(session)]
        words += ["-filter_complex", "[0:0][0:1]amerge=inputs=2", "-y", str(directory / f"{call}.wav")]
        commands.append(["ffmpeg", "-v", "error", "-nostdin", *words])
    return commands


PEERS = (
    Peer("gstreamer", "gst-launch-1.0", 1, gstreamer_commands),
    Peer("gstreamer_stereo", "gst-launch-1.0", 2, gstreamer_stereo_commands),
    Peer("ffmpeg", "ffmpeg", 2, ffmpeg_commands, hears_goodbye=True),
)


class PeerProcesses:
    """A peer that records `calls` calls. Raises BenchError when it cannot.

    It has begun to listen when this has been made, and what it used before does not count.
    """

    def __init__(self, peer: Peer, directory: Path, calls: int, port: int, *, cpu: int | None = None) -> None:
        self._peer, self._said = peer, directory / _SAID_NAME
        self._ports = range(port, port + 4 * calls, 2)
        self._processes: list[subprocess.Popen[bytes]] = []
        try:
            with self._said.open("wb") as said, _pinned(cpu):
                for command in peer.commands(directory, calls, port):
                    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
                    self._processes.append(process)
            self._wait_for(set(self._ports))
        except BaseException:
            self._kill()
            raise
        self._used_before_s = sum(_used_s(process.pid) for process in self._processes)

    def __enter__(self) -> PeerProcesses:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill()

    def stop(self) -> float:
        """Let it finish its files; returns the processor time of all its processes since it began to listen."""
        if self._peer.hears_goodbye:
            _say_goodbye(self._ports)
        else:
            for process in self._processes:
                process.send_signal(signal.SIGINT)
        end_s = time.monotonic() + _END_PATIENCE_S
        used_s = 0.0
        for process in self._processes:
            while True:
                ended, status, usage = os.wait4(process.pid, os.WNOHANG)
                if ended:
                    break
                if time.monotonic() > end_s:
                    raise BenchError(f"expected a peer that ends, found it running: {self._last_words()}")
                time.sleep(_POLL_S)
            process.returncode = os.waitstatus_to_exitcode(status)
            used_s += usage.ru_utime + usage.ru_stime
        return used_s - self._used_before_s

    def _wait_for(self, ports: set[int]) -> None:
        """Wait until all ports are bound."""
        end_s = time.monotonic() + _START_PATIENCE_S
        while missing := ports - _bound_ports():
            if any(process.poll() is not None for process in self._processes):
                raise BenchError(f"expected a peer that listens, found it ended: {self._last_words()}")
            if time.monotonic() > end_s:
                raise BenchError(f"expected {len(ports)} ports to be listened on, found {len(missing)} that are not")
            time.sleep(_POLL_S)

    def _last_words(self) -> str:
        return self._said.read_text(errors="replace").strip()[-500:]

    def _kill(self) -> None:
        for process in self._processes:
            if process.returncode is None:
                process.kill()
                process.wait()


@dataclass(frozen=True, slots=True)
class Files:
    """What a peer left. shortest_s, longest_s: of its files. exact_percent: samples that are what was sent there."""

    count: int
    shortest_s: float
    longest_s: float
    exact_percent: float


def measure_files(peer: Peer, directory: Path, calls: int, packets: int) -> Files:
    """Measure the files of calls of mu-law; one that is missing or no such file is 0 s long."""
    lengths, exact, samples = [], 0, 0
    for number in range(2 * calls // peer.channels):
        found = _read(directory / f"{number}.wav", peer.channels)
        lengths.append(len(found) / _RATE_HZ)
        for channel in range(peer.channels):
            call, direction = divmod(number * peer.channels + channel, 2)
            expected = expected_samples(call, direction, packets, "PCMU")
            common = min(len(found), len(expected))
            exact += int((found[:common, channel] == expected[:common]).sum())
            samples += len(expected)
    return Files(len(lengths), min(lengths), max(lengths), 100 * exact / samples)


def _read(path: Path, channels: int) -> NDArray[np.int16]:
    try:
        with wave.open(str(path)) as file:
            if (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (channels, 2, _RATE_HZ):
                return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, channels)
    except (OSError, EOFError, wave.Error):
        pass
    return np.zeros((0, channels), np.int16)


def _say_goodbye(ports: range) -> None:
    """End all streams, at the ports for RTCP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for port in ports:
            sender.sendto(_GOODBYE, ("127.0.0.1", port + 1))


def _used_s(pid: int) -> float:
    """Read how much processor time a process has used so far, all its threads (proc(5): utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _bound_ports() -> set[int]:
    """Read which UDP ports of IPv4 are bound."""
    lines: Sequence[str] = Path("/proc/net/udp").read_text().splitlines()[1:]
    return {int(line.split()[1].partition(":")[2], 16) for line in lines}


@contextmanager
def _pinned(cpu: int | None) -> Iterator[None]:
    """Keep what is started here on one core."""
    cores = os.sched_getaffinity(0)
    try:
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})
        yield
    finally:
        os.sched_setaffinity(0, cores)
