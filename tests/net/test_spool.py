"""A spool keeps its bounds, and goes on when the system refuses something."""

import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from strep.errors import ConfigError, SinkError
from strep.net import spool as spool_module
from strep.net.address import UdpAddress
from strep.net.capture import open_capture
from strep.net.capture.description import SpoolDescription
from strep.net.endpoints import EndpointTable
from strep.net.spool import LEAST_SPOOL_BYTES, Spool, series_of
from strep.stream.engine import EngineConfig
from strep.wire.batch import REFUSED_SENDER, DatagramBatch

HERE = UdpAddress("192.0.2.1", 9000)
START_NS = 1_700_000_000_000_000_000
MS = 1_000_000


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what the spool's thread does, and fail when it does not."""
    pause = threading.Event()
    for _ in range(30_000):
        if condition():
            return
        pause.wait(0.001)
    pytest.fail("it did not come true")


class Writing:
    """Is a spool under test, and who feeds it."""

    def __init__(self, folder: Path, **settings) -> None:
        self.table = EndpointTable()
        self.senders = self.table.add_input(HERE)
        self.spool = Spool(folder, **settings)
        self.now_ns = START_NS
        self.folder = folder

    def begin(self, **attributes) -> "Writing":
        for name, value in attributes.items():
            setattr(self.spool, f"_{name}", value)
        self.spool.begin(SpoolDescription.of(self.table.inputs, EngineConfig()), self.now_ns)
        return self

    def turn(self, *datagrams: bytes, source: int | None = None) -> None:
        if datagrams:
            number = self.senders.numbers(self.senders.spelled([("203.0.113.5", 40_000, 0)])).tolist()[0]
            arrival_ns = [self.now_ns + n for n in range(len(datagrams))]
            sources = [number if source is None else source] * len(datagrams)
            batch = DatagramBatch.from_datagrams(datagrams, arrival_ns, sources, self.table.endpoints)
            self.spool.add(batch, self.table.endpoints.names, HERE)
        self.now_ns += 10 * MS
        self.spool.end_turn(self.now_ns)

    def parts(self) -> list[Path]:
        return sorted(path for path in self.folder.iterdir() if series_of(path))

    def kept(self) -> list[bytes]:
        """Close it, and read what is there."""
        self.spool.close()
        parts = self.parts()
        if not parts:
            return []
        return [
            batch.datagram(row)
            for batch, _ in open_capture(*parts).turns()
            if batch is not None
            for row in range(len(batch))
        ]


@pytest.fixture
def writing(tmp_path: Path):
    made = []

    def make(**settings) -> Writing:
        made.append(Writing(tmp_path / "spool", **settings))
        return made[-1]

    yield make
    for one in made:
        one.spool.close()


def test_turns_are_read_as_they_were_written(writing) -> None:
    spool = writing().begin()
    spool.turn(b"one", b"two")
    spool.turn()
    spool.turn(b"three")
    spool.turn(b"refused", source=REFUSED_SENDER)
    spool.spool.close()
    (part,) = spool.parts()
    turns = [
        ([batch.datagram(row) for row in range(len(batch))] if batch else [], watermark_ns - START_NS)
        for batch, watermark_ns in open_capture(part).turns()
    ]
    assert turns == [([b"one", b"two"], 10 * MS), ([], 20 * MS), ([b"three"], 30 * MS), ([], 40 * MS)]
    reader = open_capture(part)
    assert [e.source for e in reader.endpoints] == ["203.0.113.5:40000"]
    assert (reader.endpoints[0].conversation, reader.truncated) == ("plain-203.0.113.5_40000", False)
    assert stat.S_IMODE(part.stat().st_mode) == 0o600


def test_a_part_ends_at_its_size_or_its_age_and_the_series_goes_on(writing) -> None:
    spool = writing().begin(part_bytes=3000)
    sent = [bytes([n]) * 1000 for n in range(6)]
    for datagram in sent:
        spool.turn(datagram)
    spool.now_ns += 600 * 1000 * MS
    spool.turn(b"late")
    assert spool.kept() == [*sent, b"late"]
    assert len(spool.parts()) >= 4
    assert len({series_of(path) for path in spool.parts()}) == 1


def test_the_oldest_parts_make_room_also_those_of_other_series(writing, tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    old = folder / "spool-20200101T000000.000000Z-w1-000001.pcapng"
    old.write_bytes(bytes(5000))
    os.utime(old, ns=(1, 1))
    recording = folder / "something.wav"
    recording.write_bytes(bytes(10_000))
    spool = writing().begin(part_bytes=3000, total_bytes=20_000)
    sent = [bytes([n]) * 1000 for n in range(60)]
    for n, datagram in enumerate(sent):
        spool.turn(datagram)
        if n % 10 == 0:
            wait_until(lambda: spool.spool._queued_bytes == 0)
            assert sum(path.stat().st_size for path in spool.parts()) <= 20_000
    kept = spool.kept()
    assert kept == sent[-len(kept) :]
    assert 10 <= len(kept) < 20
    assert not old.exists()
    assert recording.exists()
    assert spool.spool.removed_parts == 60 // 2 - len(spool.parts()) + 1
    assert (spool.spool.spooled, spool.spool.dropped) == (60, 0)


def test_what_finds_the_queue_full_is_left_out_and_counted(writing, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, real = threading.Event(), spool_module._write_all

    def stall(descriptor: int, data: bytes) -> None:
        gate.wait(60)
        real(descriptor, data)

    monkeypatch.setattr(spool_module, "_write_all", stall)
    spool = writing(queued_bytes=4000).begin()
    for n in range(10):
        spool.turn(bytes([n]) * 1000)
    gate.set()
    assert spool.kept() == [bytes([n]) * 1000 for n in range(3)]
    assert (spool.spool.spooled, spool.spool.dropped) == (3, 7)
    assert spool.spool.failure == "the disk is too slow"


def test_a_part_that_could_not_be_written_ends_behind_its_last_turn_and_another_one_begins(
    writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, now_s = spool_module._write_all, [0.0]

    def fill(descriptor: int, data: bytes) -> None:
        if b"full" in data:
            real(descriptor, data[:50])
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor, data)

    monkeypatch.setattr(spool_module, "_write_all", fill)
    spool = writing(monotonic_s=lambda: now_s[0]).begin()
    spool.turn(b"one")
    spool.turn(b"full")
    spool.turn(b"too early")
    wait_until(lambda: spool.spool.dropped == 2)
    now_s[0] = 1.0
    spool.turn(b"two")
    assert spool.kept() == [b"one", b"two"]
    assert (spool.spool.dropped, spool.spool.failure) == (2, "No space left on device")
    assert len(spool.parts()) == 2
    assert not open_capture(spool.parts()[0]).truncated


def test_a_spool_that_nothing_came_to_leaves_nothing(writing) -> None:
    spool = writing().begin()
    assert spool.kept() == []


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"expected a spool of {LEAST_SPOOL_BYTES} bytes or more, found 1"):
        Spool(tmp_path, 1)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SinkError, match="cannot spool into"):
        Spool(tmp_path / "file" / "folder")


@pytest.mark.parametrize(
    "comment", ["", "hello", "{}", '{"strep_spool":2}', '{"strep_spool":1}', "[" * 100_000, "null"]
)
def test_a_comment_that_is_no_description_is_none(comment: str) -> None:
    assert SpoolDescription.parse(comment) is None


def test_a_description_comes_out_as_it_went_in() -> None:
    table = EndpointTable()
    table.add_input(HERE)
    table.add_input(UdpAddress("::", 9002), conversation="rx-1+tx-2", direction=1)
    described = SpoolDescription.of(table.inputs, EngineConfig(playout_delay_ms=7, idle_timeout_s=3))
    assert SpoolDescription.parse(described.serialize()) == described
    config = described.configure(EngineConfig())
    assert (config.playout_delay_ms, config.idle_timeout_s) == (7, 3)
    wrong = described.serialize().replace('"playout_delay_ms":7', '"playout_delay_ms":7000')
    assert SpoolDescription.parse(wrong) is None
    endless = described.serialize().replace('"playout_delay_ms":7', '"playout_delay_ms":1e999')
    assert SpoolDescription.parse(endless) is None


def test_senders_of_every_kind_are_described_as_they_were(tmp_path: Path) -> None:
    table = EndpointTable()
    an_input = table.add_input(UdpAddress("::", 9000))
    senders = [("fe80::1", 5, 3), ("fe80::1", 5, 0), ("2001:db8::1", 6, 0), ("::ffff:192.0.2.7", 7, 0)]
    numbers = an_input.numbers(an_input.spelled(senders))
    spool = Spool(tmp_path)
    spool.begin(SpoolDescription.of(table.inputs, EngineConfig()), START_NS)
    batch = DatagramBatch.from_datagrams([b"x"] * 4, [START_NS] * 4, numbers, table.endpoints)
    spool.add(batch, table.endpoints.names, an_input.description.address)
    spool.end_turn(START_NS)
    spool.close()
    reader = open_capture(*tmp_path.iterdir())
    assert reader.endpoints == [table.endpoints[number] for number in np.asarray(numbers).tolist()]


def test_datagrams_whose_times_step_back_keep_their_order_within_turns(writing) -> None:
    spool = writing().begin()
    spool.turn(b"one", b"two")
    spool.now_ns -= 15 * MS
    spool.turn(b"three", b"four")
    spool.spool.close()
    reader = open_capture(*spool.parts())
    assert reader.stepped_back == 1
    turns = [[batch.datagram(row) for row in range(len(batch))] for batch, _ in reader.turns() if batch is not None]
    assert turns == [[b"one", b"two"], [b"three", b"four"]]
    in_time = [batch.datagram(row) for batch in reader.batches(max_span_ns=MS) for row in range(len(batch))]
    assert in_time == [b"three", b"four", b"one", b"two"]


@pytest.mark.parametrize("late_ns", [61_000 * MS, 10**18])
def test_a_spool_with_times_that_cannot_be_is_read_like_any_other_capture(writing, late_ns: int) -> None:
    spool = writing().begin()
    spool.turn(b"one")
    spool.spool.add(
        DatagramBatch.from_datagrams([b"wild"], [spool.now_ns + late_ns], [0], spool.table.endpoints),
        spool.table.endpoints.names,
        HERE,
    )
    spool.turn(b"two")
    spool.spool.close()
    reader = open_capture(*spool.parts())
    assert reader.spool is None
    assert [batch.datagram(row) for batch in reader.batches() for row in range(len(batch))] == [b"one", b"two", b"wild"]
