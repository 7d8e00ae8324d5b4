"""An audio file is heard as a call whose directions are its channels."""

import numpy as np
import pytest
import soundfile

from strep.analysis import Found
from strep.analysis.audio_file import analyse_audio_file
from strep.errors import AudioFileError
from strep.stream.events import Direction, StreamClosed, StreamOpened


def dialled(frequencies, rate=8000, seconds=1.0):
    """Press one key from 0.4 s to 0.6 s."""
    at_s = np.arange(int(rate * seconds)) / rate
    tone = sum(np.sin(2 * np.pi * hz * at_s) for hz in frequencies) * 3000
    return np.where((at_s >= 0.4) & (at_s < 0.6), tone, 0).astype(np.int16)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "call.wav"
    soundfile.write(path, np.column_stack((dialled((697, 1209)), dialled((770, 1336)))), 8000)
    return path


def heard(path, *plugins):
    notices = []
    counts = analyse_audio_file(path, plugins, [notices.append])
    return notices, counts


def test_each_channel_is_a_direction(file):
    notices, counts = heard(file, "dtmf")
    digits = {
        (notice.identity.direction, notice.what.finding.digit): notice.what.start_s
        for notice in notices
        if isinstance(notice.what, Found)
    }
    assert set(digits) == {(Direction.INBOUND, "1"), (Direction.OUTBOUND, "5")}
    assert list(digits.values()) == pytest.approx([0.4, 0.4], abs=0.01)
    assert counts["dtmf"].hops == 100
    kinds = [type(notice.what) for notice in notices]
    assert (kinds.count(StreamOpened), kinds.count(StreamClosed)) == (2, 2)


def test_another_rate_is_resampled(tmp_path):
    soundfile.write(tmp_path / "wide.flac", dialled((697, 1209), rate=16000), 16000)
    notices, _ = heard(tmp_path / "wide.flac", "dtmf")
    (digit,) = (notice.what for notice in notices if isinstance(notice.what, Found))
    assert digit.finding.digit == "1"
    assert digit.start_s == pytest.approx(0.4, abs=0.02)


def test_progress_is_told_to_the_end(file):
    told = []
    analyse_audio_file(file, ["level"], [], lambda done, total: told.append((done, total)))
    assert told[-1] == (8000, 8000)


def test_what_is_no_call_is_refused(tmp_path):
    (tmp_path / "text.txt").write_text("nothing to hear")
    with pytest.raises(AudioFileError, match="expected a capture or an audio file"):
        heard(tmp_path / "text.txt", "level")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, np.int16), 8000)
    with pytest.raises(AudioFileError, match="expected audio, found no samples"):
        heard(tmp_path / "empty.wav", "level")
    soundfile.write(tmp_path / "three.wav", np.zeros((100, 3), np.int16), 8000)
    with pytest.raises(AudioFileError, match="expected one or two channels, found 3"):
        heard(tmp_path / "three.wav", "level")
