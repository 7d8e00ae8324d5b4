import asyncio
import json
import signal
import threading

import pytest
from typer.testing import CliRunner

from strep.cli import app
from strep.emulator import Platform, PlatformServer
from strep.net.capture import PcapWriter
from tests.receiving import BOUND_S
from tests.traffic import START_NS, Sender

A, B = "192.0.2.1:4000", "192.0.2.2:5000"
SIP = b"OPTIONS sip:bob@example.com SIP/2.0\r\n\r\n"


class Outcome:
    """Is what a command did: exit code, what it printed, and no exception but the end."""

    def __init__(self, result):
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        self.exit_code, self.stdout, self.stderr = result.exit_code, result.stdout, result.stderr

    @property
    def json(self):
        return json.loads(self.stdout)

    @property
    def error(self):
        """The only line on stderr, without its prefix."""
        (line,) = self.stderr.splitlines()
        assert line.startswith("strep: ")
        return line.removeprefix("strep: ")


@pytest.fixture(autouse=True)
def hangup_as_it_was():
    """Give back what a command changed for good: the next program started here would inherit it."""
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def strep(tmp_path, monkeypatch):
    """Run a command in an empty folder; `columns` is the width of the terminal, if there is one."""
    monkeypatch.chdir(tmp_path)

    def run(*args, columns=None, env=None):
        variables = {"COLUMNS": columns and str(columns), "TELNYX_API_KEY": None, "TELNYX_BASE_URL": None}
        return Outcome(CliRunner().invoke(app, [str(arg) for arg in args], env=variables | (env or {})))

    return run


def call_datagrams(count=100, *, strep=True):
    """Make both directions of a call: [(milliseconds, source, destination, datagram)], 20 ms apart."""
    directions = [(Sender(direction=d, ssrc=0xA0 + d, seed=d, strep=strep), d) for d in (0, 1)]
    return [
        (20 * n, *((A, B) if direction == 0 or strep else (B, A)), sender.packet())
        for n in range(count)
        for sender, direction in directions
    ]


def write_capture(path, arrivals):
    with PcapWriter(path) as writer:
        for ms, source, destination, datagram in arrivals:
            writer.write(START_NS + int(ms * 1_000_000), source, destination, datagram)
    return path


@pytest.fixture
def capture(tmp_path):
    """Give a capture of 2 s of a STREP call, both directions, and one SIP message."""
    return write_capture(tmp_path / "call.pcap", [(0, A, B, SIP), *call_datagrams()])


@pytest.fixture
def plain_capture(tmp_path):
    """Give a capture of 2 s of a call in plain RTP, both directions."""
    return write_capture(tmp_path / "plain.pcap", call_datagrams(strep=False))


class PlatformThread:
    """Runs a platform beside the command under test."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.platform = self._do(self._make())
        self._server = PlatformServer(self.platform)
        self._do(self._server.__aenter__())

    async def _make(self):
        return Platform(seed=1)

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(BOUND_S)

    @property
    def base_url(self):
        return self._server.base_url

    def close(self):
        self._do(self._server.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(BOUND_S)
        self._loop.close()


@pytest.fixture(scope="module")
def platform_server():
    server = PlatformThread()
    yield server
    server.close()
