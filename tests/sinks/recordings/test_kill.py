"""A file on disk is always valid: kill at any instant, and it opens, and lacks at most the last second."""

import json
import os
import signal
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from strep.sinks.recordings import Encoding, FilePolicy, LargeFiles, RecordingSink, WriterThread
from tests.sinks.recordings.calls import T0, block, closed, format_changed, name, opened, tone

ROOT = Path(__file__).resolve().parents[3]
CALLS, TICK_MS, MOST_TICKS = 3, 20, 2400


def voice(slot: int) -> np.ndarray:
    return tone(400_000, slot + 1)


def record(
    folder: Path,
    encoding: Encoding,
    ticks: int,
    after_tick: Callable[[int], None],
    make: Callable[..., Any] = RecordingSink,
) -> None:
    """Record calls, with no pause between ticks; direction 1 begins late, and skips a second now and then."""
    sink = make(folder, encoding=encoding)
    voices = [voice(slot) for slot in range(2 * CALLS)]
    for tick in range(ticks):
        at_ns = tick * TICK_MS * 1_000_000
        rows = []
        for slot in range(2 * CALLS):
            late = 70 * (slot % 2)
            if tick == late:
                sink.event(opened(slot, slot % 2, call=1 + slot // 2, at_ns=at_ns))
                sink.event(format_changed(slot))
            position = (tick - late) * 160
            if position >= 0 and not (slot % 2 and position // 8000 % 5 == 3):
                rows.append((slot, position, voices[slot][position : position + 160]))
        sink.block(block(rows, at_ns=at_ns))
        sink.flush(T0 + at_ns + TICK_MS * 1_000_000)
        after_tick(tick)
    for slot in range(2 * CALLS):
        sink.event(closed(slot, slot % 2, call=1 + slot // 2))
    sink.close()


def report(tick: int) -> None:
    os.write(1, b"%d\n" % tick)
    if tick == MOST_TICKS - 1:
        os.read(0, 1)  # whoever is to kill us was slow: wait


def record_and_kill(folder: Path, ticks: int, encoding: Encoding) -> int:
    """Let another program record, and kill it after so many ticks or some more; give how many it had done."""
    command = [sys.executable, "-m", "tests.sinks.recordings.test_kill", str(folder), encoding.value]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        done = next(tick for line in program.stdout if (tick := int(line)) >= ticks)
        program.send_signal(signal.SIGKILL)
        done = max([done, *map(int, program.stdout.read().split()[:-1])])
    assert program.returncode == -signal.SIGKILL
    return done


@pytest.mark.parametrize(
    ("ticks", "encoding"),
    [
        (46, Encoding.PCM16),
        (211, Encoding.ULAW),
        *(
            pytest.param(*one, marks=pytest.mark.thorough)
            for one in ((97, Encoding.PCM16), (640, Encoding.PCM16), (1333, Encoding.PCM16), (1700, Encoding.ULAW))
        ),
    ],
)
def test_what_a_killed_program_leaves_opens_and_lacks_at_most_a_second(
    tmp_path: Path, ticks: int, encoding: Encoding
) -> None:
    done = record_and_kill(tmp_path, ticks, encoding)
    for call in range(CALLS):
        path = tmp_path / f"{name(call + 1)}.wav"
        frames, rate_hz = soundfile.read(path, dtype="int16")
        assert rate_hz == 8000
        assert len(frames) >= (done + 1) * 160 - 8000
        spoken = voice(2 * call)[: len(frames)]
        if encoding is Encoding.PCM16:
            with wave.open(str(path)) as file:
                assert file.readframes(10**9) == frames.tobytes()
            assert np.array_equal(frames[:, 0], spoken)
        else:
            assert np.abs(frames[:, 0].astype(int) - spoken).max() <= 512
        document = json.loads(path.with_suffix(".json").read_text())
        assert not document["complete"]
        assert f"{document['call_leg_id']}-{document['leg']}" == name(call + 1)


@pytest.mark.thorough
def test_who_goes_on_after_a_kill_leaves_what_there_is_as_it_is(tmp_path: Path) -> None:
    record_and_kill(tmp_path, 100, Encoding.PCM16)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for _ in range(2):
        record(tmp_path, Encoding.PCM16, 60, lambda tick: None)
    assert {path: path.read_bytes() for path in before} == before
    for call in range(CALLS):
        for number in ("-2", "-3"):
            path = tmp_path / f"{name(call + 1)}{number}.wav"
            frames, _ = soundfile.read(path, dtype="int16")
            assert np.array_equal(frames[:, 0], voice(2 * call)[: 60 * 160])
            assert json.loads(path.with_suffix(".json").read_text())["complete"]


def in_rf64(folder: Path, **options: Any) -> RecordingSink:
    return RecordingSink(folder, files=FilePolicy(large_files=LargeFiles.RF64, fsync_s=1), **options)


def in_a_thread(folder: Path, **options: Any) -> WriterThread:
    return WriterThread(RecordingSink(folder, **options))


@pytest.mark.parametrize("make", [RecordingSink, in_rf64, in_a_thread])
def test_the_files_are_valid_before_and_after_every_system_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[..., Any]
) -> None:
    """Look at the folder at every point where a kill could come, also in the middle of a write."""
    seen = {"points": 0, "frames": 0}

    def look() -> None:
        seen["points"] += 1
        for path in tmp_path.glob("[!.]*.json"):
            json.loads(path.read_text())
        for path in tmp_path.glob("[!.]*.wav"):
            with wave.open(str(path)) as file:
                frames = np.frombuffer(file.readframes(10**9), "<i2").reshape(-1, 2)
                assert len(frames) == file.getnframes(), "the header never counts more than is there"
            call = next(call for call in range(CALLS) if path.stem == name(call + 1))
            assert np.array_equal(frames[:, 0], voice(2 * call)[: len(frames)])
            assert path.stat().st_mode & 0o777 == 0o600
            seen["frames"] = max(seen["frames"], len(frames))

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            result = function(*args, **options)
            look()
            return result

        return call

    system_pwrite = os.pwrite

    def torn_pwrite(descriptor: int, content: Any, position: int) -> int:
        if len(memoryview(content).cast("B")) > 100:  # a header lies in one page, and one page is written or not
            system_pwrite(descriptor, memoryview(content).cast("B")[:101], position)
            look()
        return system_pwrite(descriptor, content, position)

    monkeypatch.setattr(os, "pwrite", watched(torn_pwrite))
    for system_call in ("open", "close", "link", "ftruncate", "fsync"):
        monkeypatch.setattr(os, system_call, watched(getattr(os, system_call)))
    for method in ("replace", "unlink", "write_bytes"):
        monkeypatch.setattr(Path, method, watched(getattr(Path, method)))
    record(tmp_path, Encoding.PCM16, 300, lambda tick: None, make)
    assert seen["points"] > 100
    assert seen["frames"] == 300 * 160


if __name__ == "__main__":
    record(Path(sys.argv[1]), Encoding(sys.argv[2]), MOST_TICKS, report)
