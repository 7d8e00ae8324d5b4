"""What other people's programs recorded, and what tshark counted in it."""

import re
from pathlib import Path

import pytest

from strep.net.capture import conversation_formats, open_capture, sdp_formats
from tests.conftest import CAPTURES
from tests.net.capture.packet_bytes import fates, payloads

FILES = sorted(file for pattern in ("*.pcap", "*.pcapng", "*.cap") for file in CAPTURES.rglob(pattern))


def udp_frames(capture: Path) -> int:
    """Read tshark's protocol hierarchy, kept beside the capture."""
    listing = capture.with_name(capture.name + ".streams.txt").read_text()
    found = re.search(r"^ +udp +frames:(\d+)", listing, re.MULTILINE)
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_as_many_datagrams_are_read_as_tshark_counts(file: Path) -> None:
    reader = open_capture(file)
    fates(reader)
    assert len(payloads(reader)) == len(reader) == udp_frames(file)
    assert not reader.truncated


def test_there_are_captures_to_read(captures: Path) -> None:
    assert len(FILES) >= 20


def test_the_eight_calls_of_g726_each_have_their_own_rate_although_they_share_a_port(captures: Path) -> None:
    reader = open_capture(captures / "wireshark-samples" / "sip-rtp-g726.pcap")
    formats = {
        conversation: meaning[99].encoding
        for conversation, meaning in conversation_formats(reader).items()
        if conversation.endswith("-10.0.2.20_6000")
    }
    rates = [f"{packing}G726-{rate}" for packing in ("", "AAL2-") for rate in (16, 24, 32, 40)]
    assert list(formats.values()) == rates
    assert sdp_formats(reader)["10.0.2.15:26326"][99].encoding == "G726-16"


def test_opus_is_known_by_its_stereo_clock(captures: Path) -> None:
    reader = open_capture(captures / "wireshark-samples" / "sip-rtp-opus.pcap")
    assert str(sdp_formats(reader)["10.0.2.15:24196"][99]) == "OPUS/48000/2"


def test_the_conversation_of_a_call_with_both_directions_is_one(captures: Path) -> None:
    reader = open_capture(captures / "wireshark-samples" / "FAX-Call-t38-CA-TDM-SIP-FB-1.pcap")
    media = [endpoint for endpoint in reader.endpoints if "16756" in endpoint.conversation]
    assert [(endpoint.conversation, endpoint.direction) for endpoint in media] == [
        ("10.35.60.100_15580-10.23.1.52_16756", 0),
        ("10.35.60.100_15580-10.23.1.52_16756", 1),
    ]
