"""tshark reads a spool: its times, addresses and checksums, also where a killed program left it cut short."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from strep.net.address import UdpAddress
from strep.net.capture.description import SpoolDescription
from strep.net.endpoints import EndpointTable
from strep.net.spool import Spool
from strep.stream.engine import EngineConfig
from strep.wire.batch import DatagramBatch
from tests.receiving import BOUND_S
from tests.traffic import START_NS

pytestmark = pytest.mark.peer
FIELDS = ("frame.time_epoch", "ip.src", "ipv6.src", "udp.srcport", "udp.dstport", "udp.length", "udp.checksum.status")


def read(path: Path) -> tuple[int, list[list[str]], str]:
    fields = [option for field in FIELDS for option in ("-e", field)]
    checks = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]
    command = ["tshark", "-r", str(path), *checks, "-T", "fields", *fields]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BOUND_S, check=False)
    return done.returncode, [line.split("\t") for line in done.stdout.splitlines()], done.stderr


@pytest.mark.parametrize(
    ("host", "sender", "checked"),
    [("0.0.0.0", "203.0.113.5", "3"), ("::", "2001:db8::5", "1"), ("::", "::ffff:1.2.3.4", "1")],
)
def test_tshark_reads_what_was_spooled_and_what_is_left_of_it(
    need: Callable[..., None], tmp_path: Path, host: str, sender: str, checked: str
) -> None:
    need("tshark")
    table, spool = EndpointTable(), Spool(tmp_path)
    an_input = table.add_input(UdpAddress(host, 9000))
    number = an_input.numbers(an_input.spelled([(sender, 40_000, 0)]))[0]
    spool.begin(SpoolDescription.of(table.inputs, EngineConfig()), START_NS)
    datagrams = [bytes(range(1, length + 1)) for length in range(1, 8)]
    times = [START_NS + 1_000_001 * n for n in range(7)]
    batch = DatagramBatch.from_datagrams(datagrams, times, [number] * 7, table.endpoints)
    spool.add(batch, table.endpoints.names, an_input.description.address)
    spool.end_turn(times[-1])
    spool.close()
    (part,) = tmp_path.iterdir()
    code, rows, _ = read(part)
    v4, v6 = (sender, "") if host == "0.0.0.0" else ("", sender)
    expected = [
        [f"{time_ns // 10**9}.{time_ns % 10**9:09}", v4, v6, "40000", "9000", str(8 + len(datagram)), checked]
        for time_ns, datagram in zip(times, datagrams, strict=True)
    ]
    assert (code, rows) == (0, expected)
    part.write_bytes(part.read_bytes()[:-60])
    _, rows, error = read(part)
    assert rows == expected[:6]
    assert "cut short" in error
