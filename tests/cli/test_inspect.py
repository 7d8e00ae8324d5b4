import pytest

from strep.wire.fate import Fate
from strep.wire.rtp import RtpPacket
from tests.cli.conftest import A, B, call_datagrams, write_capture
from tests.traffic import LEG, Sender

KEYS = {
    *("identity", "call", "leg", "direction", "ssrc", "source", "destination", "payload_type", "codec"),
    *("payload_types", "packets", "expected", "lost", "duplicates", "late", "reordered", "rejected", "undecoded"),
    *("restarts", "payload_bytes", "max_jitter_ms", "mean_jitter_ms", "max_delta_ms", "first_arrival", "duration_s"),
    "problems",
}


def one_stream(strep, tmp_path, packets, *options):
    """Inspect a capture of these packets, 20 ms apart; give its only stream."""
    path = write_capture(tmp_path / "one.pcap", [(20 * n, A, B, packet) for n, packet in enumerate(packets)])
    (stream,) = strep("inspect", path, "--json", *options).json["streams"]
    return stream


def test_each_ssrc_is_one_entry(strep, capture):
    outcome = strep("inspect", capture, "--json")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    streams = outcome.json["streams"]
    assert [stream["ssrc"] for stream in streams] == ["0x000000a0", "0x000000a1"]
    assert all(set(stream) == KEYS for stream in streams)
    first = {name: value for name, value in streams[0].items() if name != "first_arrival"}
    assert first == {
        "identity": f"{LEG}-A inbound",
        "call": f"{LEG}-A",
        "leg": "A",
        "direction": "inbound",
        "ssrc": "0x000000a0",
        "source": A,
        "destination": B,
        "payload_type": 0,
        "codec": "PCMU",
        "payload_types": {"0": "PCMU/8000"},
        "packets": 100,
        "expected": 100,
        "lost": 0,
        "duplicates": 0,
        "late": 0,
        "reordered": 0,
        "rejected": 0,
        "undecoded": 0,
        "restarts": 0,
        "payload_bytes": 16000,
        "max_jitter_ms": 0.0,
        "mean_jitter_ms": 0.0,
        "max_delta_ms": 20.0,
        "duration_s": 1.98,
        "problems": [],
    }


def test_the_fates_and_the_file_are_accounted_for(strep, capture):
    document = strep("inspect", capture, "--json").json
    assert set(document) == {"streams", "datagrams", "file"}
    assert set(document["datagrams"]) == {fate.label for fate in Fate}
    assert sum(document["datagrams"].values()) == document["file"]["fates"]["datagram"]
    assert document["file"] | {"fates": None} == {
        "packets": 201,
        "fates": None,
        "truncated": False,
        "stepped_back": 0,
        "duration_s": 1.98,
    }


def test_plain_rtp_is_named_by_its_conversation(strep, plain_capture):
    streams = strep("inspect", plain_capture, "--json").json["streams"]
    assert [(stream["identity"], stream["leg"]) for stream in streams] == [
        ("192.0.2.1_4000-192.0.2.2_5000 inbound", None),
        ("192.0.2.1_4000-192.0.2.2_5000 outbound", None),
    ]


def test_a_second_ssrc_of_a_stream_has_an_entry_of_its_own(strep, tmp_path):
    arrivals = [
        (20 * n, A, B, packet)
        for n, packet in enumerate(Sender(ssrc=1).packets(10) + Sender(ssrc=0xFFFFFFFF, timestamp=9).packets(5))
    ]
    streams = strep("inspect", write_capture(tmp_path / "two.pcap", arrivals), "--json").json["streams"]
    assert [(stream["ssrc"], stream["packets"]) for stream in streams] == [("0x00000001", 10), ("0xffffffff", 5)]
    assert streams[0]["identity"] == streams[1]["identity"]


def test_what_is_wrong_is_counted_and_named(strep, tmp_path):
    packets = Sender().packets(60)
    packets[10], packets[11] = packets[11], packets[10]
    packets[20:20] = [packets[19]]
    del packets[40:43]
    stream = one_stream(strep, tmp_path, packets)
    assert {name: stream[name] for name in ("lost", "duplicates", "reordered", "late")} == {
        "lost": 3,
        "duplicates": 1,
        "reordered": 1,
        "late": 0,
    }
    assert stream["problems"] == ["loss", "duplicates", "reordering"]
    assert stream["packets"] == 58


def test_the_codec_is_that_of_the_sound(strep, tmp_path):
    sender = Sender(payload_type=8)
    event = RtpPacket(101, 999, 50_000, sender.ssrc, bytes.fromhex("010a00a0"))
    stream = one_stream(strep, tmp_path, [sender.wrap(event.serialize()), *sender.packets(5)])
    assert (stream["payload_type"], stream["codec"]) == (8, "PCMA")
    assert stream["payload_types"] == {"101": "TELEPHONE-EVENT/8000", "8": "PCMA/8000"}


def test_an_unknown_payload_type_is_said_to_be_that(strep, tmp_path):
    packets = Sender(payload_type=100).packets(10)
    stream = one_stream(strep, tmp_path, packets)
    assert (stream["payload_type"], stream["codec"]) == (100, "unknown")
    assert stream["mean_jitter_ms"] is stream["max_jitter_ms"] is None
    assert stream["problems"] == ["unknown payload type"]
    told = one_stream(strep, tmp_path, packets, "--pt", "100=l16/16000")
    assert (told["codec"], told["problems"]) == ("L16", [])


@pytest.mark.parametrize("columns", [80, 200])
def test_the_table_has_a_dash_where_nobody_knows_the_clock(strep, tmp_path, columns):
    packets = [*Sender(payload_type=100).packets(10), *Sender(ssrc=2, direction=1).packets(10)]
    path = write_capture(tmp_path / "two.pcap", [(20 * n, A, B, packet) for n, packet in enumerate(packets)])
    table = strep("inspect", path, columns=columns).stdout
    assert table.count("\N{EN DASH}") == 2
    assert table.count("0.00") == 2


def test_jitter_and_delta_are_milliseconds_with_three_decimals(strep, tmp_path):
    late = [(20 * n + (7.1234 if n == 30 else 0), A, B, packet) for n, packet in enumerate(Sender().packets(60))]
    (stream,) = strep("inspect", write_capture(tmp_path / "late.pcap", late), "--json").json["streams"]
    assert stream["max_delta_ms"] == 27.123
    # RFC 3550 A.8: a sixteenth of 7.1234, of which a sixteenth goes before the next 7.1234 comes on top.
    assert stream["max_jitter_ms"] == round(7.1234 / 16 * 15 / 16 + 7.1234 / 16, 3)


@pytest.mark.parametrize("columns", [80, 140])
def test_the_table_fits_the_terminal(strep, tmp_path, columns):
    arrivals = call_datagrams()
    path = write_capture(tmp_path / "lossy.pcap", [*arrivals[:60], *arrivals[61:]])
    outcome = strep("inspect", path, columns=columns)
    assert max(map(len, outcome.stdout.splitlines())) <= columns
    for shown in (f"{str(LEG)[:8]}-A", "0x000000a0", "0x000000a1", "0 PCMU", "1.98 s", "99"):
        assert shown in outcome.stdout
    assert ("1 lost" if columns == 80 else "1 (1.0 %)") in outcome.stdout
    assert outcome.stdout.splitlines()[-1] == "199 datagrams: 199 accepted"


def test_what_is_piped_has_one_line_a_stream_and_the_whole_name(strep, capture):
    lines = strep("inspect", capture).stdout.splitlines()
    assert [line.split()[:3] for line in lines[2:4]] == [
        [f"{LEG}-A", "in", "0x000000a0"],
        [f"{LEG}-A", "out", "0x000000a1"],
    ]


def test_a_capture_without_streams_says_so(strep, tmp_path):
    path = write_capture(tmp_path / "rtcp.pcap", [(0, A, B, bytes.fromhex("81c80000"))])
    assert strep("inspect", path).stdout == "no streams\n1 datagram: 1 not audio rtcp\n"
    assert strep("inspect", path, "--json").json["streams"] == []


def test_a_capture_that_is_cut_short_is_read_up_to_there(strep, capture):
    capture.write_bytes(capture.read_bytes()[:-1])
    outcome = strep("inspect", capture, "--json")
    assert outcome.exit_code == 0
    assert outcome.json["file"]["truncated"] is True
    assert outcome.error.startswith(f"{capture}: warning: expected whole packets to the end")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("wireshark-samples/SIP_DTMF2.cap", [(665, 2), (666, 0)]), ("freeswitch/milliwatt.pcmu.rtp.pcap", [(232, 0)])],
)
def test_real_captures_are_counted_as_they_are(strep, captures, name, expected):
    document = strep("inspect", captures / name, "--json").json
    assert sum(document["datagrams"].values()) == document["file"]["fates"]["datagram"]
    assert [(stream["packets"], stream["lost"]) for stream in document["streams"]] == expected
