"""Payload types and the audio formats that they mean."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.audio.formats import STATIC_PAYLOAD_TYPES, AudioFormat, PayloadTypeMap, parse_format, parse_payload_type
from strep.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("opus/48000/2", AudioFormat("OPUS", 48000, 48000, 2)),
        ("opus", AudioFormat("OPUS", 48000, 48000)),
        ("PCMA", AudioFormat("PCMA", 8000, 8000)),
        ("AMR-WB/16000", AudioFormat("AMR-WB", 16000, 16000)),
        (" l16/44100/2\n", AudioFormat("L16", 44100, 44100, 2)),
    ],
)
def test_an_rtpmap_is_read(text: str, expected: AudioFormat) -> None:
    assert parse_format(text) == expected


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("amr-wb/16000;octet-align=1", "AMR-WB/16000;octet-align=1"),
        ("AMR ; mode-set=0,7; Octet-Align = 1 ;crc=1", "AMR/8000;crc=1;octet-align=1"),
        ("amr/8000;octet-align=0", "AMR/8000;octet-align=0"),
        ("amr-wb;mode-set=7;;max-red=0;", "AMR-WB/16000"),
        ("amr;octet-align;crc=yes;interleaving=1000", "AMR/8000"),
        ("opus/48000/2;useinbandfec=1;minptime=10", "OPUS/48000/2"),
    ],
)
def test_the_parameters_that_say_how_to_read_payloads_are_kept(text: str, written: str) -> None:
    assert str(parse_format(text)) == written
    assert parse_format(written) == parse_format(text)


def test_parameters_that_are_told_later_add_to_those_before() -> None:
    told = parse_format("amr;octet-align=1;crc=1").with_parameters("crc=0; mode-set=7")
    assert told.parameters == (("crc", "0"), ("octet-align", "1"))


def test_g722_counts_at_half_the_rate_at_which_it_samples() -> None:
    assert parse_format("g722/8000") == AudioFormat("G722", 8000, 16000) == STATIC_PAYLOAD_TYPES[9]


@pytest.mark.parametrize(
    "text",
    ["", "/8000", "opus/", "opus/48000/2/1", "op us/8000", "PCMU/999", "PCMU/192001", "L16/8000/3", "L16/8000/0"],
)
def test_what_is_no_rtpmap_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="audio format"):
        parse_format(text)


@given(
    st.from_regex(r"[A-Za-z0-9_.-]+", fullmatch=True).filter(str.isascii), st.integers(1000, 192_000), st.integers(1, 2)
)
def test_a_format_is_written_as_it_is_read(encoding: str, clock_hz: int, channels: int) -> None:
    read = parse_format(f"{encoding}/{clock_hz}/{channels}")
    assert (read.encoding, read.rtp_clock_hz, read.channels) == (encoding.upper(), clock_hz, channels)
    assert parse_format(str(read)) == read


@given(st.text(max_size=30))
def test_any_text_is_a_format_or_a_config_error(text: str) -> None:
    try:
        read = parse_format(text)
    except ConfigError:
        return
    assert read.encoding == re.split("[/;]", text.strip())[0].strip().upper()


def test_a_payload_type_is_read() -> None:
    assert parse_payload_type("116=opus/48000/2") == (116, AudioFormat("OPUS", 48000, 48000, 2))
    told = AudioFormat("AMR-WB", 16000, 16000, parameters=(("octet-align", "1"),))
    assert parse_payload_type("100=amr-wb/16000;octet-align=1") == (100, told)


@pytest.mark.parametrize("text", ["116", "=opus", "x=opus", "128=opus", "-1=opus", "116=", "1.5=opus"])
def test_what_is_no_payload_type_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="payload type must look like 116=opus"):
        parse_payload_type(text)


def test_the_callers_payload_types_come_before_the_static_ones() -> None:
    speech = AudioFormat("SPEEX", 8000, 8000)
    types = PayloadTypeMap({8: speech, 97: speech})
    assert types[8] == types[97] == speech
    assert types[0] == AudioFormat("PCMU", 8000, 8000)
    assert types[101] == AudioFormat("TELEPHONE-EVENT", 8000, 8000)
    assert types[96] is None


def test_one_calls_payload_types_leave_the_others_alone() -> None:
    everyone = PayloadTypeMap({116: AudioFormat("OPUS", 48000, 48000, 2)})
    one_call = everyone.with_overrides({101: AudioFormat("PCMA", 8000, 8000)})
    assert one_call[101] == AudioFormat("PCMA", 8000, 8000)
    assert one_call[116] == everyone[116] == AudioFormat("OPUS", 48000, 48000, 2)
    assert everyone[101] == AudioFormat("TELEPHONE-EVENT", 8000, 8000)


def test_the_static_types_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        STATIC_PAYLOAD_TYPES[0] = AudioFormat("PCMA", 8000, 8000)  # type: ignore[index]
