from pathlib import Path

import pytest

from strep.audio.formats import AudioFormat, parse_format
from strep.net.capture import CaptureReader, PcapWriter, conversation_formats, open_capture, sdp_formats
from strep.net.capture.writer import udp_packet
from tests.net.capture.packet_bytes import T0_NS, capture_of, ethernet, ipv4_fragments

CALLER, CALLEE = "10.0.0.1:5060", "10.0.0.2:5060"
S = 1_000_000_000
RTP = b"\x80\x63" + bytes(10) + b"m=audio"


def sip(address: str, *maps: str, start: str = "INVITE sip:bob@example.com SIP/2.0", filler: int = 0) -> bytes:
    host, port = address.rsplit(":", 1)
    lines = [
        start,
        "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK",
        "X-Filler: " + "x" * filler,
        "",
        "v=0",
        f"c=IN IP4 {host}",
        f"m=audio {port} RTP/AVP 99",
        *[f"a=rtpmap:{line}" for line in maps],
        "",
    ]
    return "\r\n".join(lines).encode()


def capture(path: Path, *datagrams: tuple[float, str, str, bytes]) -> CaptureReader:
    with PcapWriter(path) as writer:
        for at, source, destination, payload in datagrams:
            writer.write(T0_NS + int(at * S), source, destination, payload)
    return open_capture(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "c.pcap"


def test_each_media_address_has_its_payload_types(path: Path) -> None:
    offer = sip("10.0.0.1:4000", "99 opus/48000/2", "101 telephone-event/8000")
    answer = sip("10.0.0.2:6000", "99 opus/48000/2", start="SIP/2.0 200 OK")
    reader = capture(path, (0, CALLER, CALLEE, offer), (1, CALLEE, CALLER, answer))
    opus = parse_format("opus/48000/2")
    assert sdp_formats(reader) == {
        "10.0.0.1:4000": {99: opus, 101: AudioFormat("TELEPHONE-EVENT", 8000, 8000)},
        "10.0.0.2:6000": {99: opus},
    }


def test_the_latest_description_of_an_address_replaces_those_before(path: Path) -> None:
    first = sip("10.0.0.1:4000", "99 speex/8000", "98 iLBC/8000")
    reader = capture(path, (0, CALLER, CALLEE, first), (1, CALLER, CALLEE, sip("10.0.0.1:4000", "99 speex/16000")))
    assert sdp_formats(reader) == {"10.0.0.1:4000": {99: parse_format("speex/16000")}}


def test_media_that_happens_to_hold_the_words_is_not_signalling(path: Path) -> None:
    message = sip("10.0.0.1:4000", "99 speex/8000")
    reader = capture(path, (0, CALLER, CALLEE, RTP + message), (1, CALLER, CALLEE, message.lower()))
    assert sdp_formats(reader) == {}


def test_a_message_that_came_in_fragments_is_read(path: Path) -> None:
    message = sip("10.0.0.1:4000", "99 speex/8000", filler=2000)
    packets = [*ipv4_fragments(message, 1480), udp_packet(CALLER, CALLEE, RTP)]
    assert sdp_formats(capture_of(path, list(map(ethernet, packets)))).keys() == {"10.0.0.1:4000"}


def test_calls_that_share_a_port_one_after_the_other_each_get_their_own(path: Path) -> None:
    shared = "10.0.0.1:4000"
    reader = capture(
        path,
        (0, CALLER, CALLEE, sip(shared, "99 G726-16/8000")),
        (1, "10.0.0.2:6000", shared, RTP),
        (2, "10.0.0.2:6000", shared, RTP),
        (3, CALLER, CALLEE, sip(shared, "99 G726-32/8000", "98 iLBC/8000")),
        (4, "10.0.0.2:6002", shared, RTP),
    )
    assert conversation_formats(reader) == {
        "10.0.0.2_6000-10.0.0.1_4000": {99: parse_format("G726-16/8000")},
        "10.0.0.2_6002-10.0.0.1_4000": {99: parse_format("G726-32/8000"), 98: parse_format("iLBC/8000")},
    }


def test_both_directions_of_a_conversation_learn_from_both_descriptions_the_receiver_first(path: Path) -> None:
    reader = capture(
        path,
        (0, CALLER, CALLEE, sip("10.0.0.1:4000", "99 speex/8000", "98 iLBC/8000")),
        (1, CALLEE, CALLER, sip("10.0.0.2:6000", "99 speex/16000", start="SIP/2.0 200 OK")),
        (2, "10.0.0.1:4000", "10.0.0.2:6000", RTP),
        (3, "10.0.0.2:6000", "10.0.0.1:4000", RTP),
    )
    assert conversation_formats(reader) == {
        "10.0.0.1_4000-10.0.0.2_6000": {99: parse_format("speex/16000"), 98: parse_format("iLBC/8000")}
    }


def test_a_description_during_the_conversation_adds_meanings_and_changes_none(path: Path) -> None:
    media = "10.0.0.2:6000", "10.0.0.1:4000", RTP
    reader = capture(
        path,
        (0, CALLER, CALLEE, sip("10.0.0.1:4000", "99 speex/8000")),
        (1, *media),
        (2, CALLER, CALLEE, sip("10.0.0.1:4000", "98 iLBC/8000", "99 opus/48000/2")),
        (3, *media),
    )
    (formats,) = conversation_formats(reader).values()
    assert formats == {99: parse_format("speex/8000"), 98: parse_format("iLBC/8000")}


def test_media_that_came_before_the_answer_learns_from_it(path: Path) -> None:
    media = "10.0.0.1:4000", "10.0.0.2:6000", RTP
    answer = sip("10.0.0.2:6000", "99 speex/8000", start="SIP/2.0 200 OK")
    reader = capture(path, (0, *media), (1, CALLEE, CALLER, answer), (2, *media))
    assert conversation_formats(reader) == {"10.0.0.1_4000-10.0.0.2_6000": {99: parse_format("speex/8000")}}


def test_a_capture_without_signalling_says_nothing(path: Path) -> None:
    assert conversation_formats(capture(path)) == {}
    assert conversation_formats(capture(path, (0, CALLER, CALLEE, RTP))) == {}
