import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.audio.formats import AudioFormat, parse_format
from strep.net.capture.sdp import SdpAudio, parse_sdp_audio

EVENT = AudioFormat("TELEPHONE-EVENT", 8000, 8000)


def sdp(*lines: str, ending: str = "\r\n") -> bytes:
    return "".join(line + ending for line in ("v=0", "o=- 1 1 IN IP4 10.9.9.9", "s=-", *lines)).encode()


def addresses(data: bytes) -> list[str]:
    return [audio.address for audio in parse_sdp_audio(data)]


@pytest.mark.parametrize("ending", ["\r\n", "\n"])
def test_address_and_payload_types_are_read(ending: str) -> None:
    lines = "c=IN IP4 10.0.2.15", "t=0 0", "m=audio 28102 RTP/AVP 8 99 101", "a=rtpmap:99 opus/48000/2"
    (audio,) = parse_sdp_audio(sdp(*lines, "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16", ending=ending))
    assert audio == SdpAudio("10.0.2.15:28102", {99: AudioFormat("OPUS", 48000, 48000, 2), 101: EVENT})


@pytest.mark.parametrize("early", [True, False])
def test_parameters_without_which_payloads_cannot_be_read_are_kept(early: bool) -> None:
    lines = ["a=fmtp:100 mode-set=0,2; octet-align=1", "a=rtpmap:100 AMR-WB/16000"]
    (audio,) = parse_sdp_audio(sdp("c=IN IP4 10.0.0.1", "m=audio 4000 RTP/AVP 100", *sorted(lines, reverse=not early)))
    assert audio.formats == {100: parse_format("AMR-WB/16000;octet-align=1")}


@pytest.mark.parametrize("line", ["", "100", "x octet-align=0", "101 octet-align=0", "100 octet-align", "100 ;=;0"])
def test_parameters_that_say_nothing_of_a_format_leave_it_alone(line: str) -> None:
    lines = "m=audio 4000 RTP/AVP 100", "a=rtpmap:100 AMR/8000", f"a=fmtp:{line}"
    (audio,) = parse_sdp_audio(sdp("c=IN IP4 10.0.0.1", *lines))
    assert audio.formats[100].encoding == "AMR"
    assert dict(audio.formats[100].parameters).get("octet-align") != "0"


def test_a_sip_message_around_it_does_not_matter() -> None:
    head = b"SIP/2.0 200 OK\r\nm: <sip:bob@10.0.0.2>\r\nc: application/sdp\r\na=rtpmap:1 X/8000\r\n\r\n"
    (audio,) = parse_sdp_audio(head + sdp("c=IN IP4 10.0.2.15", "m=audio 28102 RTP/AVP 0"))
    assert audio == SdpAudio("10.0.2.15:28102", {})


def test_a_connection_line_of_the_section_goes_before_that_of_the_session() -> None:
    lines = "c=IN IP4 10.0.0.1", "m=audio 4000 RTP/AVP 0", "c=IN IP4 10.0.0.2", "m=audio 4002 RTP/AVP 0"
    assert addresses(sdp(*lines)) == ["10.0.0.2:4000", "10.0.0.1:4002"]


def test_every_audio_section_is_listed_and_other_media_are_not() -> None:
    sections = "m=video 5000 RTP/AVP 96", "a=rtpmap:96 H264/90000", "m=audio 4002 RTP/SAVP 97", "a=rtpmap:97 iLBC/8000"
    found = parse_sdp_audio(sdp("c=IN IP4 10.0.0.1", "m=audio 4000 RTP/AVP 0", *sections))
    assert [(audio.address, dict(audio.formats)) for audio in found] == [
        ("10.0.0.1:4000", {}),
        ("10.0.0.1:4002", {97: parse_format("iLBC/8000")}),
    ]


def test_a_section_that_was_turned_down_is_left_out() -> None:
    assert addresses(sdp("c=IN IP4 10.0.0.1", "m=audio 0 RTP/AVP 0", "m=audio 4002 RTP/AVP 0")) == ["10.0.0.1:4002"]


def test_ipv6_is_written_in_its_shortest_form_with_brackets() -> None:
    assert addresses(sdp("c=IN IP6 2001:DB8:0:0::0001", "m=audio 9 RTP/AVP 0")) == ["[2001:db8::1]:9"]


def test_a_time_to_live_and_a_number_of_ports_are_no_part_of_the_address() -> None:
    assert addresses(sdp("c=IN IP4 224.2.36.42/127/3", "m=audio 49170/2 RTP/AVP 0")) == ["224.2.36.42:49170"]


@pytest.mark.parametrize("connection", ["IN IP4 phone.example.com", "IN IP4 $", "IN IP4", "", "IN IP4 10.0.0.256"])
def test_a_section_that_names_no_ip_address_is_left_out(connection: str) -> None:
    assert addresses(sdp(f"c={connection}", "m=audio 4000 RTP/AVP 0")) == []
    assert addresses(sdp("c=IN IP4 10.0.0.1", "m=audio 4000 RTP/AVP 0", f"c={connection}")) == []


@pytest.mark.parametrize("port", ["65536", "-1", "x", "", "²", "9" * 5000])
def test_a_port_that_is_none_leaves_its_section_out(port: str) -> None:
    assert addresses(sdp("c=IN IP4 10.0.0.1", f"m=audio {port} RTP/AVP 0")) == []


@pytest.mark.parametrize(
    "line", ["128 opus/48000", "x opus/48000", "99", "99 ", "99 opus/1", "99 opus/48000/9", "99 a/" + "9" * 5000, "² a"]
)
def test_a_format_that_is_none_is_left_out_and_the_others_are_not(line: str) -> None:
    lines = "m=audio 4000 RTP/AVP 99", f"a=rtpmap:{line}", "a=rtpmap:101 telephone-event/8000"
    (audio,) = parse_sdp_audio(sdp("c=IN IP4 10.0.0.1", *lines))
    assert audio.formats == {101: EVENT}


def test_the_second_of_two_descriptions_does_not_inherit_from_the_first() -> None:
    first = sdp("c=IN IP4 10.0.0.1", "m=audio 4000 RTP/AVP 0")
    assert addresses(first + sdp("m=audio 4002 RTP/AVP 0")) == ["10.0.0.1:4000"]


WORDS = [
    "v=0",
    "m=audio 4000 RTP/AVP 0",
    "m=audio",
    "m=video 1",
    "c=IN IP4 10.0.0.1",
    "c=IN IP6 ::1",
    "c=",
    "a=rtpmap:",
    "a=fmtp:",
]
LINES = st.sampled_from([word.encode() for word in WORDS]) | st.binary(max_size=30)


@given(st.lists(LINES, max_size=12).map(b"\r\n".join) | st.binary(max_size=300))
def test_any_bytes_are_read_without_raising(data: bytes) -> None:
    for audio in parse_sdp_audio(data):
        host, port = audio.address.rsplit(":", 1)
        assert host
        assert 0 < int(port) < 65536
        assert all(0 <= payload_type < 128 for payload_type in audio.formats)
