"""The digits of real calls: what was pressed, and nothing that was not."""

from pathlib import Path

import pytest

from strep.analysis import Analysis, Found, Notice
from strep.audio.formats import AudioFormat
from strep.live.offline import read_capture
from strep.plugins.digit_pairing import Digit
from tests.conftest import CAPTURES

#: What SDP in the same file does not say.
_EVENTS = AudioFormat("TELEPHONE-EVENT", 8000, 8000)
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


def listen(path: Path) -> list[Digit]:
    digits = list[Digit]()

    def note(notice: Notice) -> None:
        if isinstance(notice.what, Found) and isinstance(notice.what.finding, Digit):
            digits.append(notice.what.finding)

    analysis = Analysis(["dtmf"], consumers=[note], live=False)
    read_capture(path, sinks=[analysis], payload_types={100: _EVENTS} if path.name.startswith("FAX") else None)
    return digits


@pytest.mark.parametrize("path", CALLS, ids=lambda path: path.name)
@pytest.mark.thorough
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
