"""`strep plot` draws captures and recordings."""

import pytest

pytest.importorskip("matplotlib", reason="pictures need matplotlib: pip install 'strep[plot]'")


def test_a_capture_becomes_a_picture(strep, capture, tmp_path):
    outcome = strep("plot", str(capture), "--out", "call.png")
    assert outcome.exit_code == 0
    assert outcome.stderr.endswith(": call.png\n")
    assert (tmp_path / "call.png").read_bytes().startswith(b"\x89PNG")


def test_a_recording_becomes_a_picture(strep, capture, tmp_path):
    strep("decode", str(capture), "--out", "calls")
    (recording,) = (tmp_path / "calls").glob("*.wav")
    document = strep("plot", str(recording), "--out", "call.svg", "--json").json
    assert document["picture"] == "call.svg"
    assert document["duration_s"] == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize(
    ("file", "args", "message"),
    [
        ("missing.pcap", (), "cannot read missing.pcap: No such file"),
        ("text.txt", (), "text.txt: expected a capture or an audio file"),
        (None, ("--call", "nobody"), "--call: expected one of "),
        (None, ("--out", "call.nonsense"), "--out: "),
        (None, ("--out", "missing/call.png"), "cannot write missing/call.png: No such file"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(strep, capture, tmp_path, file, args, message):
    (tmp_path / "text.txt").write_text("nothing to hear")
    outcome = strep("plot", file or str(capture), *(args if "--out" in args else ("--out", "call.png", *args)))
    assert outcome.exit_code == 1
    assert outcome.error.startswith(message)
