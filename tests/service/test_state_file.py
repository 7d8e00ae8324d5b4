import asyncio
import json

import pytest

from strep.service.state_file import StateFile

CALLS = [{"call_control_id": "v3:one"}, {"call_control_id": "v3:two"}]


async def test_what_was_saved_is_read(tmp_path):
    path = tmp_path / "state.json"
    await StateFile(path, lambda: CALLS).save()
    assert StateFile(path, list).read() == CALLS
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"], "and nothing else is left"
    assert path.stat().st_mode & 0o077 == 0, "it holds phone numbers"


def test_a_file_that_is_not_there_is_no_calls(tmp_path):
    state = StateFile(tmp_path / "state.json", list)
    assert state.read() == []
    assert state.failures == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"version": 2, "calls": []}',
        b'{"version": 1, "calls": {}}',
        b'{"version": 1}',
        b'{"version": 1, "calls": [1]}',
        b"[" * 100_000,
    ],
)
def test_a_file_that_cannot_be_read_is_put_aside(tmp_path, content, caplog):
    path = tmp_path / "state.json"
    path.write_bytes(content)
    state = StateFile(path, list)
    assert state.read() == []
    assert state.failures == 1
    assert (tmp_path / "state.json.unreadable").read_bytes() == content
    assert len(caplog.records) == 1


async def test_what_is_saved_together_is_written_once(tmp_path):
    written = []

    def calls():
        written.append(len(written))
        return [{"call_control_id": str(len(written))}]

    state = StateFile(tmp_path / "state.json", calls)
    await asyncio.gather(*(state.save() for _ in range(50)))
    assert len(written) == 1


async def test_a_save_is_done_when_what_was_then_is_on_disk(tmp_path):
    calls = []
    state = StateFile(tmp_path / "state.json", lambda: calls)

    async def add(number):
        await asyncio.sleep(number / 1000)
        calls.append({"n": number})
        await state.save()
        on_disk = json.loads(state.path.read_text())["calls"]
        assert {"n": number} in on_disk

    await asyncio.gather(*(add(number) for number in range(40)))


async def test_what_cannot_be_written_is_counted_and_holds_nothing_up(tmp_path, caplog):
    state = StateFile(tmp_path / "no" / "such" / "folder" / "state.json", list)
    await state.save()
    assert state.failures == 1
    assert "cannot write" in caplog.text
