import signal

import numpy as np
import pytest
import soundfile

from strep.cli.progress import Bar
from strep.wire.fate import Fate
from tests.cli.conftest import A, B, call_datagrams, write_capture
from tests.traffic import LEG, Sender, pcmu


def written(folder):
    return sorted(path.name for path in folder.iterdir())


def test_both_directions_of_a_call_lie_in_one_stereo_file(strep, capture, tmp_path):
    outcome = strep("decode", capture, "--out", "calls", "--json")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    (recording,) = outcome.json["recordings"]
    samples, rate_hz = soundfile.read(tmp_path / recording["path"], dtype="int16")
    for direction in (0, 1):
        sent = pcmu(datagram for *_, datagram in call_datagrams()[direction::2])
        assert np.array_equal(samples[:, direction], sent)
    assert rate_hz == 8000
    assert written(tmp_path / "calls") == [f"{LEG}-A.json", f"{LEG}-A.wav"]


def test_files_have_the_permissions_that_are_asked_for(strep, capture, tmp_path):
    strep("decode", capture, "--out", "own")
    strep("decode", capture, "--out", "shared", "--file-mode", "644")
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "own").iterdir()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "shared").iterdir()} == {0o644}


def test_the_document_says_what_was_recorded(strep, capture):
    document = strep("decode", capture, "--out", "calls", "--json").json
    (recording,) = document["recordings"]
    facts = {
        name: recording[name] for name in ("path", "sidecar", "call", "directions", "duration_s", "formats", "gap_s")
    }
    assert facts == {
        "path": f"calls/{LEG}-A.wav",
        "sidecar": f"calls/{LEG}-A.json",
        "call": f"{LEG}-A",
        "directions": ["in", "out"],
        "duration_s": 2.0,
        "formats": ["PCMU/8000"],
        "gap_s": 0.0,
    }
    assert [stream["packets"] for stream in recording["streams"]] == [100, 100]
    assert document["recording_count"] == 1
    assert document["failures"] == []
    assert document["file"]["packets"] == 201
    assert document["kernel_drops"] is None


def test_what_is_said_of_directions_begins_with_inbound_whoever_spoke_first(strep, tmp_path):
    outbound, inbound = Sender(direction=1, payload_type=8), Sender(ssrc=2, payload_type=0)
    packets = [*outbound.packets(20), *inbound.packets(30)]
    path = write_capture(tmp_path / "two.pcap", [(20 * n, A, B, packet) for n, packet in enumerate(packets)])
    (recording,) = strep("decode", path, "--out", "calls", "--json").json["recordings"]
    assert recording["directions"] == ["in", "out"]
    assert recording["formats"] == ["PCMU/8000", "PCMA/8000"]
    assert [stream["direction"] for stream in recording["streams"]] == ["inbound", "outbound"]
    assert recording["unwritten_s"] == 0


def test_the_fates_add_up_to_the_datagrams(strep, capture):
    document = strep("decode", capture, "--out", "calls", "--json").json
    assert set(document["datagrams"]) == {fate.label for fate in Fate}
    assert sum(document["datagrams"].values()) == document["file"]["fates"]["datagram"] == 201
    assert document["datagrams"]["not_audio_sip"] == 1


def test_people_get_a_table_and_a_line(strep, capture):
    outcome = strep("decode", capture, "--out", "calls", columns=80)
    lines = outcome.stdout.splitlines()
    assert lines[0] == "1 recording in calls"
    assert lines[1].split() == ["file", "duration", "format", "lost", "gaps"]
    assert lines[3].split() == [f"{LEG}-A.wav", "2.00", "s", "PCMU", "0", "none"]
    assert lines[-1] == "201 datagrams: 200 accepted, 1 not audio sip"
    assert max(map(len, lines)) <= 80


def test_a_wide_terminal_names_the_call_too(strep, capture):
    outcome = strep("decode", capture, "--out", "calls", columns=140)
    assert f"{LEG}-A in+out" in outcome.stdout
    assert max(map(len, outcome.stdout.splitlines())) <= 140


def test_plain_rtp_is_recorded_by_its_conversation(strep, plain_capture, tmp_path):
    (recording,) = strep("decode", plain_capture, "--out", "calls", "--json").json["recordings"]
    assert recording["path"] == "calls/192.0.2.1_4000-192.0.2.2_5000.wav"
    assert recording["directions"] == ["in", "out"]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--layout", "mono"), [f"{LEG}-A-in", f"{LEG}-A-out"]),
        (("--format", "flac"), [f"{LEG}-A"]),
        (("--format", "ogg"), [f"{LEG}-A"]),
        (("--encoding", "ulaw"), [f"{LEG}-A"]),
        (("--playout-delay-ms", "20"), [f"{LEG}-A"]),
    ],
)
def test_options_shape_the_files(strep, capture, tmp_path, options, names):
    suffix = {"flac": ".flac", "ogg": ".opus"}.get(options[1], ".wav")
    outcome = strep("decode", capture, "--out", "calls", *options)
    assert outcome.exit_code == 0
    assert written(tmp_path / "calls") == sorted(name + end for name in names for end in (".json", suffix))
    info = soundfile.info(tmp_path / "calls" / (names[0] + suffix))
    assert info.channels == (1 if "mono" in options else 2)
    assert info.subtype == {"flac": "PCM_16", "ogg": "OPUS", "ulaw": "ULAW"}.get(options[1], "PCM_16")


def test_a_payload_type_means_what_the_user_says(strep, tmp_path):
    packets = Sender(payload_type=100).packets(60)
    path = write_capture(tmp_path / "dynamic.pcap", [(20 * n, A, B, packet) for n, packet in enumerate(packets)])
    outcome = strep("decode", path, "--out", "one")
    assert outcome.exit_code == 0
    assert outcome.error == "payload type 100 is unknown: name it, such as --pt 100=opus/48000/2"
    told = strep("decode", path, "--out", "two", "--pt", "100=pcmu/8000", "--json")
    assert (told.stderr, told.json["recordings"][0]["formats"]) == ("", ["PCMU/8000"])
    samples, _ = soundfile.read(tmp_path / told.json["recordings"][0]["path"], dtype="int16")
    assert np.array_equal(samples[:, 0], pcmu(packets))


def test_lost_packets_are_gaps(strep, tmp_path):
    arrivals = call_datagrams()
    path = write_capture(tmp_path / "lossy.pcap", arrivals[:60] + arrivals[64:])
    (recording,) = strep("decode", path, "--out", "calls", "--json").json["recordings"]
    assert (recording["lost_packets"], recording["gap_s"], recording["duration_s"]) == (4, 0.08, 2.0)


def test_a_capture_that_is_cut_short_is_read_up_to_there(strep, capture, tmp_path):
    capture.write_bytes(capture.read_bytes()[:-100])
    outcome = strep("decode", capture, "--out", "calls")
    assert outcome.exit_code == 0
    assert outcome.error.startswith(f"{capture}: warning: expected whole packets to the end")
    assert "200 datagrams" in outcome.stdout


def test_a_capture_without_calls_leaves_no_folder(strep, tmp_path):
    path = write_capture(tmp_path / "sip.pcap", [(0, A, B, b"BYE sip:bob SIP/2.0\r\n\r\n")])
    outcome = strep("decode", path, "--out", "a/b")
    assert (outcome.exit_code, outcome.stdout) == (0, "no recordings\n1 datagram: 1 not audio sip\n")
    assert not (tmp_path / "a").exists()


NO_CAPTURES = {
    "missing": None,
    "empty": b"",
    "text": b"these are words, and no capture at all",
    "cut": bytes.fromhex("d4c3b2a1020004000000"),
    "zipped": b"\x1f\x8b" + bytes(40),
}


@pytest.mark.parametrize("kind", NO_CAPTURES)
@pytest.mark.parametrize("command", ["decode", "inspect", "replay"])
def test_what_is_no_capture_is_one_line_and_leaves_nothing(strep, tmp_path, kind, command):
    path = tmp_path / "file.pcap"
    if NO_CAPTURES[kind] is not None:
        path.write_bytes(NO_CAPTURES[kind])
    before = written(tmp_path)
    outcome = strep(command, path, *{"decode": ("--out", "a/b"), "replay": ("udp:127.0.0.1:9",)}.get(command, ()))
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert "expected" in outcome.error
    assert written(tmp_path) == before


def test_a_folder_that_was_there_before_stays(strep, tmp_path):
    (tmp_path / "calls").mkdir()
    assert strep("decode", "missing.pcap", "--out", "calls").exit_code == 1
    assert (tmp_path / "calls").is_dir()


@pytest.mark.parametrize("out", ["file", "file/calls"])
def test_a_file_in_the_way_of_the_folder_is_one_line(strep, capture, tmp_path, out):
    (tmp_path / "file").write_bytes(b"mine")
    outcome = strep("decode", capture, "--out", out)
    assert outcome.exit_code == 1
    assert outcome.error.startswith(f"cannot record into {out}: ")
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_nothing_is_overwritten(strep, capture, tmp_path):
    strep("decode", capture, "--out", "calls")
    first = (tmp_path / "calls" / f"{LEG}-A.wav").stat()
    strep("decode", capture, "--out", "calls")
    assert (tmp_path / "calls" / f"{LEG}-A.wav").stat() == first
    assert f"{LEG}-A-2.wav" in written(tmp_path / "calls")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--pt", "opus"), "payload type must look like 116=opus/48000/2"),
        (("--pt", "128=opus"), "payload type must look like 116=opus/48000/2"),
        (("--pt", "116=opus/1"), "audio format needs a clock"),
        (("--pt", "99=bogus/8000"), "--pt 99=bogus/8000: expected a format that decodes (PCMU, "),
        (("--playout-delay-ms", "501"), "playout_delay_ms must be 0 to 500, got 501"),
        (("--format", "flac", "--encoding", "ulaw"), "ulaw needs a WAV file, got flac"),
    ],
)
def test_an_option_that_cannot_work_is_one_line_and_leaves_nothing(strep, capture, tmp_path, options, message):
    outcome = strep("decode", capture, "--out", "calls", *options)
    assert outcome.exit_code == 2
    assert outcome.error.startswith(message)
    assert not (tmp_path / "calls").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_whole_files_and_says_how_far_they_reach(strep, capture, tmp_path, monkeypatch, number):
    def interrupt_at_half(self, done, total):
        if done >= total // 2:
            signal.raise_signal(number)

    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(Bar, "fed", interrupt_at_half)
    outcome = strep("decode", capture, "--out", "calls")
    assert outcome.exit_code == 130
    said = outcome.stderr.splitlines()
    assert said[0] == f"strep: {capture}: not read to its end: 1 recording ends where reading did"
    assert said[1:] == ["strep: interrupted"]
    assert 0.9 < soundfile.info(tmp_path / "calls" / f"{LEG}-A.wav").duration < 1.3  # whole batches
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers


def test_a_capture_that_was_rotated_is_decoded_as_one(strep, tmp_path):
    packets = call_datagrams()
    whole = write_capture(tmp_path / "whole.pcap", packets)
    (tmp_path / "rotated").mkdir()
    for n in range(4):
        write_capture(tmp_path / "rotated" / f"part{n}.pcap", packets[50 * n : 50 * (n + 1)])
    documents = []
    for number, given in enumerate([(whole,), ("rotated",), tuple(sorted((tmp_path / "rotated").iterdir()))]):
        outcome = strep("decode", *given, "--out", f"calls{number}", "--json")
        assert outcome.exit_code == 0
        documents.append(outcome.json)
        written_here = {path.name: path.read_bytes() for path in (tmp_path / f"calls{number}").iterdir()}
        assert written_here == {path.name: path.read_bytes() for path in (tmp_path / "calls0").iterdir()}
    assert [document["datagrams"]["accepted"] for document in documents] == [200] * 3


def test_a_folder_without_captures_is_none(strep, tmp_path):
    (tmp_path / "folder").mkdir()
    outcome = strep("decode", "folder", "--out", "calls")
    assert outcome.exit_code == 1
    assert outcome.error == "folder: expected a folder with pcap or pcapng files, found none in it"
    assert not (tmp_path / "calls").exists()
