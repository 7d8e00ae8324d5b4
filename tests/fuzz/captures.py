"""Read any capture file or spool, and decode what is in it: every packet and every datagram has one fate."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

import numpy as np

from strep.errors import CaptureFileError
from strep.live.offline import read_capture
from strep.net.address import UdpAddress
from strep.net.capture import LinkType, PcapWriter
from strep.net.capture.description import SpoolDescription
from strep.net.capture.pcapng_writer import begin_section, packet_blocks, statistics
from strep.net.endpoints import InputDescription
from strep.stream.engine import EngineConfig
from strep.wire.batch import DatagramBatch
from tests.fuzz.engine import OutputLaws
from tests.fuzz.engine import seeds as engine_seeds
from tests.fuzz.scenario import MS, Datagram, read_scenario

_FOLDER = Path(tempfile.mkdtemp(prefix="strep-fuzz-"))
_CONFIG = EngineConfig(max_streams=8, probation=False, compiled=False)


class _LawSink(OutputLaws):
    """A sink that checks the laws of what it is given."""

    def event(self, event) -> None:
        self.take([event])

    def block(self, block) -> None:
        self.take([block])

    def flush(self, now_ns: int) -> None:
        pass

    def close(self) -> None:
        assert not self.streams


def run(data: bytes) -> None:
    """Decode a file."""
    path = _FOLDER / "any.pcapng"
    path.write_bytes(data)
    sink = _LawSink()
    try:
        result = read_capture(path, sinks=[sink], config=_CONFIG)
    except CaptureFileError:
        return
    counts = result.reader.counts
    assert sum(counts.by_fate().values()) == counts.packets
    assert sum(result.datagrams.values()) == counts.datagram == len(result.reader)
    assert counts.packets <= len(data) // 16, "every packet takes a header in the file"
    last_ns = -(1 << 63)
    for batch in result.reader.batches():
        assert last_ns <= batch.arrival_ns[0]
        assert (np.diff(batch.arrival_ns) >= 0).all()
        last_ns = int(batch.arrival_ns[-1])
        assert sum(len(batch.datagram(row)) for row in range(len(batch))) == batch.length.sum()


def seeds() -> list[bytes]:
    """Give some calls in each form that a file may have."""
    datagrams = [step for step in read_scenario(engine_seeds()[0]).steps if isinstance(step, Datagram)]
    files = [_pcap(datagrams, link_type, nanosecond) for link_type in LinkType for nanosecond in (False, True)]
    return [*files, _signalled(datagrams), _spool(datagrams), _spool(datagrams) + _pcapng_odd()]


def _pcap(datagrams: list[Datagram], link_type: LinkType, nanosecond: bool) -> bytes:
    path = _FOLDER / "seed.pcap"
    with PcapWriter(path, link_type, nanosecond) as writer:
        for datagram in datagrams[:8]:
            hosts = (
                ("[2001:db8::1]:4", "[2001:db8::2]:5") if link_type is LinkType.IPV6 else ("192.0.2.1:4", "192.0.2.2:5")
            )
            writer.write(datagram.arrival_ns, *hosts, datagram.data)
    return path.read_bytes()


def _signalled(datagrams: list[Datagram]) -> bytes:
    """Write SDP and the plain RTP that it speaks of."""
    sdp = b"v=0\r\nc=IN IP4 192.0.2.2\r\nm=audio 5 RTP/AVP 97\r\na=rtpmap:97 opus/48000/2\r\na=fmtp:97 x=1\r\n"
    sip = b"INVITE sip:a SIP/2.0\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" % len(sdp) + sdp
    path = _FOLDER / "seed.pcap"
    with PcapWriter(path, LinkType.ETHERNET) as writer:
        writer.write(datagrams[0].arrival_ns, "192.0.2.1:5060", "192.0.2.2:5060", sip)
        for datagram in datagrams[:6]:
            writer.write(datagram.arrival_ns + MS, "192.0.2.1:4", "192.0.2.2:5", datagram.data[24:])
    return path.read_bytes()


def _spool(datagrams: list[Datagram]) -> bytes:
    to = UdpAddress("192.0.2.9", 9000)
    name = struct.pack("<HHI", 2, 4, 0x010200C0).ljust(32, b"\0")
    described = SpoolDescription.of([InputDescription(to, None, 0, "")], _CONFIG)
    parts = [begin_section(described.serialize())]
    for datagram in datagrams[:8]:
        batch = DatagramBatch.from_datagrams([datagram.data], [datagram.arrival_ns])
        parts += [
            packet_blocks(batch, np.frombuffer(name, np.uint64).reshape(1, 4), to),
            statistics(datagram.arrival_ns),
        ]
    return b"".join(parts)


def _pcapng_odd() -> bytes:
    """Write what a section may have besides: an unknown block, a simple packet, a name resolution block."""

    def block(kind: int, body: bytes) -> bytes:
        return struct.pack("<II", kind, 12 + len(body)) + body + struct.pack("<I", 12 + len(body))

    return block(0xBAD, bytes(8)) + block(3, struct.pack("<I", 4) + b"\x45\0\0\0") + block(4, bytes(4))
