"""Draw the pictures of the README: a call over a bad network, from a capture and as it was recorded.

    python tools/make_pictures.py [FOLDER]

The call is made up, with the same seed each time: 3 % loss in bursts, jitter, three keys, and a hold.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image

from strep.emulator import Impairments, Platform
from strep.emulator.fork import Fork
from strep.live.offline import read_capture
from strep.net.capture.writer import PcapWriter
from strep.pictures.draw import draw
from strep.pictures.of_capture import sheet_of_capture
from strep.pictures.of_recording import sheet_of_recording
from strep.sinks.recordings import RecordingSink

#: As many as are seen; the files are a third as large.
_COLOURS = 96
FOLDER = Path(__file__).with_name("pictures")
BEGIN_NS = 1_700_000_000_000_000_000
PACKET_NS, PACKETS = 20_000_000, 800
BAD_NETWORK = Impairments(loss=0.03, burst_packets=4, jitter_ms=25, reorder=0.01, seed=4)
#: What happens at which packet.
KEYS_AT, HOLD_AT, BACK_AT = 100, 400, 480


class KeptForks:
    """A sender that keeps the forks, for whoever wants their datagrams without a network."""

    def __init__(self) -> None:
        self.forks: list[Fork] = []

    def start(self, fork: Fork) -> None:
        """Keep a fork."""
        self.forks.append(fork)

    async def aclose(self) -> None:
        """Do nothing."""


def write_capture(path: Path) -> None:
    """Write the call's fork as a capture."""
    forks = KeptForks()
    platform = Platform(seed=3, sender=forks)
    call = platform.add_call("PCMU", waits_for_fork=True, impairments=BAD_NETWORK)
    platform.command(call.call_control_id, "fork_start", {"target": "udp:192.0.2.2:9000"})
    changes = {KEYS_AT: lambda: call.send_dtmf("42#"), HOLD_AT: call.hold, BACK_AT: call.unhold}
    with PcapWriter(path) as writer:
        for packet in range(PACKETS):
            changes.get(packet, lambda: None)()
            for datagram in sorted(forks.forks[0].take(packet * PACKET_NS), key=lambda one: one.offset_ns):
                writer.write(BEGIN_NS + datagram.offset_ns, "192.0.2.1:4000", "192.0.2.2:9000", datagram.data)


def main(folder: Path) -> None:
    """Draw both pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        capture = Path(scratch) / "call.pcap"
        write_capture(capture)
        sink = RecordingSink(scratch)
        read_capture(capture, sinks=[sink])
        sheets = {"capture": sheet_of_capture(capture), "recording": sheet_of_recording(sink.recordings[0].path)}
        for name, sheet in sheets.items():
            large = Path(scratch) / f"{name}.png"
            draw(sheet, large)
            with Image.open(large) as picture:
                picture.quantize(_COLOURS).save(folder / large.name, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
