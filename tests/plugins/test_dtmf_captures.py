"""The digits of real calls: what was pressed, and nothing that was not."""

from pathlib import Path

import numpy as np
import pytest

from strep.audio.block import AudioBlock
from strep.audio.formats import AudioFormat
from strep.offline import read_capture
from strep.plugins.base import Hops
from strep.plugins.digit_pairing import Digit
from strep.plugins.dtmf import DtmfPlugin
from strep.stream.events import Event, StreamClosed, StreamOpened
from tests.conftest import CAPTURES

#: What SDP in the same file does not say.
_EVENTS = AudioFormat("TELEPHONE-EVENT", 8000, 8000)
_HOP = DtmfPlugin.wants.hop_samples
_ROWS = 16
#: What was pressed, all of it as telephone events.
DIGITS = {
    "dtmf_2833_1.pcap": "1",
    "dtmf_2833_pound.pcap": "#",
    "dtmf_rfc2833_4_digits_fast.pcap": "1234",
    "gigaset-n510-ip-pro-rfc2833.pcap": "1211#1211#",
    "SIP_DTMF2.cap": "6789123",
}
#: Some where nothing was: a fax call, whose event is no digit, a tone of 1004 Hz, and speech.
WITHOUT = ("FAX-Call-t38-CA-TDM-SIP-FB-1.pcap", "milliwatt.pcmu.rtp.pcap", "sip-rtp-g711.pcap", "g711a.pcap")
CALLS = sorted(path for path in CAPTURES.rglob("*.*cap") if path.name in (*DIGITS, *WITHOUT))


class Listening:
    """Is a sink that cuts what is at 8 kHz into hops for the plugin, and passes events on; a slot's row is its own."""

    def __init__(self) -> None:
        self.plugin = DtmfPlugin()
        self.plugin.start(_ROWS)
        self.kept: dict[int, np.ndarray] = {}
        self.position = [0] * _ROWS
        self.digits: list[Digit] = []

    def event(self, event: Event) -> None:
        if isinstance(event, StreamOpened):
            self.plugin.open(event.slot, event.identity)
        self.digits += self.plugin.event(event.slot, event)
        if isinstance(event, StreamClosed):
            self.digits += self.plugin.close(event.slot)

    def block(self, block: AudioBlock) -> None:
        if block.sample_rate_hz != 8000:
            return  # resampling is not the plugin's
        for frame in block.frames():
            kept = np.concatenate([self.kept.get(frame.slot, np.zeros(0, np.int16)), frame.samples])
            while len(kept) >= _HOP:
                self._hop(frame.slot, kept[:_HOP], int(frame.state))
                kept = kept[_HOP:]
            self.kept[frame.slot] = kept

    def _hop(self, row: int, samples: np.ndarray, state: int) -> None:
        columns = (np.array([row]), np.array([self.position[row]]), np.zeros(1, np.int64), samples[None])
        self.digits += self.plugin.process(Hops(8000, *columns, np.array([state], np.uint8)))
        self.position[row] += _HOP

    def flush(self, now_ns: int) -> None:
        pass

    def close(self) -> None:
        self.digits += self.plugin.finish()


def listen(path: Path) -> list[Digit]:
    sink = Listening()
    read_capture(path, sinks=[sink], payload_types={100: _EVENTS} if path.name.startswith("FAX") else None)
    return sink.digits


@pytest.mark.parametrize("path", CALLS, ids=lambda path: path.name)
def test_the_digits_of_a_call_are_those_that_were_pressed(path: Path) -> None:
    digits = listen(path)
    assert "".join(digit.digit for digit in digits) == DIGITS.get(path.name, "")
    assert {digit.source for digit in digits} <= {"rfc4733"}


def test_the_calls_are_there(captures: Path) -> None:
    assert {path.name for path in CALLS} == {*DIGITS, *WITHOUT}


def test_positions_and_durations_are_those_of_the_events(captures: Path) -> None:
    digits = listen(captures / "wireshark-samples" / "SIP_DTMF2.cap")
    assert [(digit.duration_ms, digit.length_samples, digit.level_dbm0) for digit in digits] == [(120.0, 960, -7.0)] * 7
    assert digits[0].position == 37200
