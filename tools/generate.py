"""Send the traffic of many forked calls to a receiver: STREP and RTP, two directions a call, a packet every 20 ms.

    python -m tools.generate --target udp:127.0.0.1:9000 --calls 2000 --seconds 10
    python -m tools.generate --target udp:127.0.0.1:9000 --speed max --gso --json
    python -m tools.generate --target udp:127.0.0.1:20000 --plain --calls 20

What is sent is said, byte for byte, by tools/traffic.py. Linux only: it sends by sendmmsg, up to 1,024 datagrams a
call, and with --gso up to 64 of them as one, for the kernel to cut (UDP_SEGMENT, udp(7)). With --plain it sends RTP
alone, for receivers that know no STREP: stream s, which is 2 * call + direction, to the target's port + 2 * s, as the
odd ports in between are RTCP's (RFC 3550 section 11).
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import errno
import json
import math
import os
import select
import socket
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

if not __package__:  # run as a file: let `tools` be found
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from strep.errors import ConfigError, StrepError
from strep.net.address import UdpAddress
from strep.net.udp import IOVEC, MMSGHDR
from tools.traffic import CODINGS, PACKET_BYTES, Traffic

#: sendmmsg takes no more at once (UIO_MAXIOV); 200 kB of packets stay in the cache until they are sent.
BATCH_PACKETS = 1024
_UDP_SEGMENT = 103  # linux/udp.h
GSO_PACKETS = 64  # UDP_MAX_SEGMENTS, linux/udp.h
_PORTS_END = 65_536
_SOCKADDR_IN = np.dtype([("family", "u2"), ("port", ">u2"), ("host", ">u4"), ("zero", "u8")])  # ip(7)
_NO_ROOM_PAUSE_S = 0.0005  # a device's queue is full; it drains thousands of packets in that time


@dataclass(slots=True)
class Report:
    """What was sent, and how well.

    late_packets: sent after the millisecond in which they were due. mean_lateness_ms, max_lateness_ms: behind the
    beginning of that millisecond. All three are 0 at full speed, where nothing is due. no_room, would_block: times that
    the system refused to take more (ENOBUFS, EAGAIN), and was asked again. refused: ICMP messages that said that nobody
    listens. begin_ns, end_ns: wall time of the beginning, which dues are counted from, and of the end.
    """

    calls: int
    packets_sent: int = 0
    packets_withheld: int = 0
    seconds: float = 0.0
    packets_per_second: float = 0.0
    late_packets: int = 0
    mean_lateness_ms: float = 0.0
    max_lateness_ms: float = 0.0
    no_room: int = 0
    would_block: int = 0
    refused: int = 0
    begin_ns: int = 0
    end_ns: int = 0


class Sender:
    """A sender that sends packets that lie in `rows`, uint8[BATCH_PACKETS, packet_bytes], from one port to one address.

    ports: 0, or to how many ports, every other one from the target's on; `send` is then told which. sock: what to send
    by, connected, in place of a socket of its own; `close` closes it. Raises ConfigError for what cannot be.
    """

    def __init__(
        self,
        target: UdpAddress,
        report: Report,
        *,
        gso: bool = False,
        packet_bytes: int = PACKET_BYTES,
        ports: int = 0,
        sock: socket.socket | None = None,
    ) -> None:
        if not target.is_destination:
            raise ConfigError(f"expected an address and a port to send to, found {target}")
        if sys.platform != "linux" or ctypes.sizeof(ctypes.c_void_p) != 8:
            raise ConfigError(f"expected a 64-bit Linux, which has sendmmsg as used here, found {sys.platform}")
        if ports and (gso or ":" in target.host):
            raise ConfigError("expected IPv4, and packets sent one by one, where every stream has a port of its own")
        if target.port + 2 * ports > _PORTS_END:
            raise ConfigError(f"expected room for {ports} even ports from {target.port} on, found the end of them")
        self.rows = np.zeros((BATCH_PACKETS, packet_bytes), np.uint8)
        self._packet_bytes = packet_bytes
        self._report = report
        self._sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
        self._sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
        family = socket.AF_INET6 if ":" in target.host else socket.AF_INET
        self.socket = sock or socket.socket(family, socket.SOCK_DGRAM)
        if not ports and sock is None:
            self.socket.connect((target.host, target.port))  # saves the kernel looking up the way for each packet
        self._packets_a_message = GSO_PACKETS if gso else 1
        if gso:
            self.resume()
        messages = BATCH_PACKETS // self._packets_a_message
        index = np.arange(messages, dtype=np.uint64)
        self._vectors = np.zeros(messages, IOVEC)
        self._message_bytes = self._packets_a_message * packet_bytes
        self._vectors["base"] = self.rows.ctypes.data + index * np.uint64(self._message_bytes)
        self._vectors["length"] = self._message_bytes
        self._headers = np.zeros(messages, MMSGHDR)
        self._headers["iov"] = self._vectors.ctypes.data + index * np.uint64(IOVEC.itemsize)
        self._headers["iovlen"] = 1
        self._addresses = _addresses(target, ports)

    def resume(self) -> None:
        """Let the socket send as this sender does, after another one that shares it."""
        segment_bytes = self._packet_bytes if self._packets_a_message > 1 else 0
        self.socket.setsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT, segment_bytes)

    def send(self, packets: int, port: NDArray[np.int64] | None = None) -> None:
        """Send the first rows. port: int64[packets], which of the ports each is for; None where there is but one."""
        if port is not None:
            self._headers["name"][:packets] = self._addresses.ctypes.data + port * _SOCKADDR_IN.itemsize
            self._headers["namelen"] = _SOCKADDR_IN.itemsize
        full, rest = divmod(packets, self._packets_a_message)
        if rest:
            self._vectors["length"][full] = rest * self._packet_bytes
        self._send_messages(full + (rest > 0))
        if rest:
            self._vectors["length"][full] = self._message_bytes
        self._report.packets_sent += packets

    def _send_messages(self, messages: int) -> None:
        """Hand messages to the kernel until it has taken all."""
        done = 0
        while done < messages:
            at = self._headers.ctypes.data + done * MMSGHDR.itemsize
            taken = self._sendmmsg(self.socket.fileno(), at, messages - done, socket.MSG_DONTWAIT)
            if taken > 0:
                done += taken
            else:
                self._wait_out(ctypes.get_errno())

    def _wait_out(self, number: int) -> None:
        """Wait until it makes sense to try again. Raises OSError when it never will."""
        if number == errno.EAGAIN:
            self._report.would_block += 1
            select.select([], [self.socket], [], 1.0)
        elif number == errno.ENOBUFS:
            self._report.no_room += 1
            time.sleep(_NO_ROOM_PAUSE_S)
        elif number == errno.ECONNREFUSED:  # tells of an earlier packet; this one was not tried yet
            self._report.refused += 1
        elif number != errno.EINTR:
            raise OSError(number, os.strerror(number))

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


def _addresses(target: UdpAddress, ports: int) -> NDArray[np.void]:
    """Make the socket addresses of every other port, sockaddr_in[ports]."""
    addresses = np.zeros(ports, _SOCKADDR_IN)
    if ports:
        addresses["family"] = socket.AF_INET
        addresses["port"] = target.port + 2 * np.arange(ports)
        addresses["host"] = int.from_bytes(socket.inet_aton(target.host), "big")
    return addresses


def send_traffic(
    traffic: Traffic, target: UdpAddress, *, seconds: float, speed: float = 1.0, gso: bool = False
) -> Report:
    """Send `seconds` of traffic. speed: how many times faster than life; math.inf: as fast as the system takes it.

    When it cannot keep up it sends what is due as fast as it can, in order, and says how late it was.
    Raises ConfigError for what cannot be.
    """
    if not (seconds > 0 and math.isfinite(seconds) and speed > 0):
        raise ConfigError(f"expected a time and a speed above 0, found {seconds} s and speed {speed}")
    report = Report(traffic.calls)
    ports = traffic.streams if traffic.plain else 0
    with contextlib.closing(Sender(target, report, gso=gso, packet_bytes=traffic.packet_bytes, ports=ports)) as sender:
        begin_ns, report.begin_ns = time.monotonic_ns(), time.time_ns()
        done, total = 0, traffic.due(math.ceil(seconds * 1000) - 1)
        while done < total:
            due = total if speed == math.inf else _wait_until_due(traffic, done, begin_ns, speed)
            stop = min(due, total, done + BATCH_PACKETS)
            packets = traffic.fill(sender.rows, done, stop)
            before_ms = _elapsed_ms(begin_ns, speed)
            sender.send(packets, traffic.streams_of(done, stop) if traffic.plain else None)
            if speed < math.inf:
                sent_ms = np.linspace(before_ms, _elapsed_ms(begin_ns, speed), stop - done)
                _note_lateness(report, sent_ms - traffic.due_ms(np.arange(done, stop)), speed)
            report.packets_withheld += stop - done - packets
            done = stop
    report.seconds, report.end_ns = (time.monotonic_ns() - begin_ns) / 1e9, time.time_ns()
    report.packets_per_second = report.packets_sent / report.seconds
    report.mean_lateness_ms /= total
    return report


def _elapsed_ms(begin_ns: int, speed: float) -> float:
    """Tell how many milliseconds of traffic have passed."""
    return (time.monotonic_ns() - begin_ns) / 1e6 * speed


def _wait_until_due(traffic: Traffic, done: int, begin_ns: int, speed: float) -> int:
    """Sleep until packet number `done` is due, if it is not; returns how many packets then are."""
    due_ms = int(traffic.due_ms(np.array([done]))[0])
    while (elapsed_ms := _elapsed_ms(begin_ns, speed)) < due_ms:
        time.sleep((due_ms - elapsed_ms) / 1000 / speed)
    return traffic.due(int(elapsed_ms))


def _note_lateness(report: Report, late_ms: NDArray[np.floating], speed: float) -> None:
    """Take down how late packets are, given in milliseconds of traffic; the mean is still a sum."""
    report.late_packets += int((late_ms >= 1).sum())
    report.max_lateness_ms = max(report.max_lateness_ms, float(late_ms.max()) / speed)
    report.mean_lateness_ms += float(late_ms.sum()) / speed


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--target", required=True, help="where to: udp:127.0.0.1:9000")
    parser.add_argument("--calls", type=int, default=100, help="simultaneous calls, two streams each (100)")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the calls (10)")
    parser.add_argument("--codec", default="PCMU", help=f"one of {', '.join(CODINGS)} (PCMU)")
    parser.add_argument("--loss", type=float, default=0.0, help="share of packets that are never sent (0.01 is 1 %%)")
    parser.add_argument("--seed", type=int, default=0, help="another number makes other ids, phases and losses")
    parser.add_argument("--speed", type=_speed, default=1.0, help="times faster than life, or max")
    parser.add_argument("--gso", action="store_true", help="let the kernel cut up to 64 packets from one")
    parser.add_argument("--plain", action="store_true", help="RTP without STREP, every stream to a port of its own")
    parser.add_argument("--cpu", type=int, help="run on this processor core only")
    parser.add_argument("--json", action="store_true", help="report as one line of JSON")
    arguments = parser.parse_args()
    try:
        if arguments.cpu is not None:
            os.sched_setaffinity(0, {arguments.cpu})
        traffic = Traffic(
            arguments.calls,
            codec=arguments.codec,
            loss=arguments.loss,
            seed=arguments.seed,
            plain=arguments.plain,
        )
        target = UdpAddress.parse(arguments.target)
        report = send_traffic(traffic, target, seconds=arguments.seconds, speed=arguments.speed, gso=arguments.gso)
    except (StrepError, OSError) as error:
        parser.exit(2, f"error: {error}\n")
    fields = {key: round(value, 3) for key, value in asdict(report).items()}
    print(json.dumps(fields) if arguments.json else "\n".join(f"{key:20} {value}" for key, value in fields.items()))


def _speed(text: str) -> float:
    """Read a speed: a number, or max."""
    return math.inf if text == "max" else float(text)


if __name__ == "__main__":
    main()
