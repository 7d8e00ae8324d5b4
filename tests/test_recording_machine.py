"""Whatever comes and whatever the disk does: each datagram has a fate, and each recording is what its sidecar says."""

from __future__ import annotations

import errno
import json
import os
import tempfile
import uuid
import wave
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from strep.live.pipeline import Pipeline
from strep.sinks.recordings import RecordingSink
from strep.stream.engine import Engine, EngineConfig
from strep.stream.events import StreamClosed, StreamReport
from strep.wire.batch import DatagramBatch, Endpoint
from strep.wire.fate import Fate
from tests.traffic import MS, START_NS, Sender

#: The owner of all legs, another port of its host, and a stranger.
ENDPOINTS = tuple(
    Endpoint(source, "192.0.2.9:9000", "plain") for source in ("192.0.2.1:1000", "192.0.2.1:2000", "198.51.100.7:1000")
)
SECOND_MS = 1000


class RecordingMachine(RuleBasedStateMachine):
    """An engine and its recordings, what is sent to them, and a disk that refuses to write for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="strep-")
        self.patch = pytest.MonkeyPatch()
        self.reports: list[StreamReport] = []
        self.senders: dict[tuple[int, int], Sender] = {}
        self.waiting: list[tuple[int, bytes, int]] = []
        self.now_ns, self.fed, self.refuses = START_NS, 0, False

    @initialize(calls=st.sampled_from([1, 2, 8]), streams=st.sampled_from([2, 3, 16]), probation=st.booleans())
    def begin(self, calls: int, streams: int, probation: bool) -> None:
        config = EngineConfig(max_calls=calls, max_streams=streams, probation=probation, idle_timeout_s=5)
        self.engine = Engine(config)
        self.sink = RecordingSink(self.folder.name)
        self.pipeline = Pipeline(self.engine, [self.sink], self._listen)

    def _listen(self, output) -> None:
        if isinstance(output, StreamClosed):
            self.reports.append(output.report)

    def _sender(self, leg: int, direction: int) -> Sender:
        number = len(self.senders)
        fresh = Sender(call_leg_id=uuid.UUID(int=leg), direction=direction, ssrc=number, seed=number)
        return self.senders.setdefault((leg, direction), fresh)

    def _arrive(self, datagram: bytes, source: int = 0) -> None:
        self.waiting.append((self.now_ns, datagram, source))

    def _pass(self, ms: float) -> None:
        """Let time pass as a receiver does: what arrived is fed, and the watermark and the sinks follow."""
        self._feed()
        self.now_ns += int(ms * MS)
        self.pipeline.advance(self.now_ns)

    def _feed(self) -> None:
        if self.waiting:
            arrival_ns, datagrams, sources = zip(*self.waiting, strict=True)
            self.fed += len(datagrams)
            self.waiting.clear()
            self.pipeline.feed(DatagramBatch.from_datagrams(datagrams, arrival_ns, sources, ENDPOINTS))

    @rule(leg=st.integers(0, 3), both=st.booleans(), packets=st.integers(1, 60), lost=st.sets(st.integers(0, 59)))
    def talk(self, leg: int, both: bool, packets: int, lost: set[int]) -> None:
        for n in range(packets):
            for direction in range(1 + both):
                datagram = self._sender(leg, direction).packet()
                if n not in lost or len(lost) > 20:
                    self._arrive(datagram)
            self._pass(20)

    @rule(
        leg=st.integers(0, 3),
        direction=st.integers(0, 1),
        steps=st.sampled_from([1, 2, 70, 3001, 40_000]),
        ticks=st.sampled_from([0, 160, 8000, 80_000, 1 << 31, -80_000]),
    )
    def jump(self, leg: int, direction: int, steps: int, ticks: int) -> None:
        sender = self._sender(leg, direction)
        sender.sequence_number += steps
        sender.timestamp += ticks
        for datagram in sender.packets(2):
            self._arrive(datagram)
            self._pass(20)

    @rule(
        leg=st.integers(0, 3),
        direction=st.integers(0, 1),
        payload_type=st.sampled_from([0, 8, 9, 11, 13, 18, 77, 101]),
        size=st.sampled_from([0, 1, 4, 20, 160, 800]),
    )
    def say_something_else(self, leg: int, direction: int, payload_type: int, size: int) -> None:
        self._arrive(
            self._sender(leg, direction).packet(payload=bytes(range(5, 25)) * 40, payload_type=payload_type)[
                : 36 + size
            ]
        )
        self._pass(20)

    @rule(leg=st.integers(0, 3), direction=st.integers(0, 1), source=st.integers(1, 2), packets=st.integers(1, 30))
    def intrude(self, leg: int, direction: int, source: int, packets: int) -> None:
        intruder = Sender(call_leg_id=uuid.UUID(int=leg), direction=direction, ssrc=99, seed=99)
        for datagram in intruder.packets(packets):
            self._arrive(datagram, source)
            self._pass(7)

    @rule(data=st.binary(max_size=60))
    def send_anything(self, data: bytes) -> None:
        self._arrive(data)

    @rule(ms=st.sampled_from([1, 100, 900, 1000, 3000, 6000, 20_000]))
    def pause(self, ms: int) -> None:
        self._pass(ms)

    @rule(hours=st.sampled_from([1, 24]))
    def jump_far(self, hours: int) -> None:
        self._pass(hours * 3600 * SECOND_MS)

    @precondition(lambda self: not self.refuses)
    @rule()
    def refuse_to_write(self) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        self.refuses = True
        self.patch.setattr(os, "pwrite", refuse)
        self.patch.setattr(os, "ftruncate", refuse)

    @precondition(lambda self: self.refuses)
    @rule()
    def write_again(self) -> None:
        self.refuses = False
        self.patch.undo()

    @rule(leg=st.integers(0, 3))
    def end_call(self, leg: int) -> None:
        self._feed()
        self.pipeline.end_call(f"{uuid.UUID(int=leg)}-A")

    @rule(calls=st.integers(1, 2))
    def leave_out(self, calls: int) -> None:
        self._feed()
        self.pipeline.leave_out(calls)

    @rule(calls=st.integers(0, 2))
    def take_back(self, calls: int) -> None:
        self.engine.take_back(calls)

    @invariant()
    def every_datagram_has_one_fate(self) -> None:
        if self.fed:
            assert int(self.engine.fates.sum()) == self.fed
            assert self.engine.faults == self.engine.fates[Fate.REJECTED_FAULT] == 0
            assert int(self.engine.fates.min()) >= 0

    def teardown(self) -> None:
        try:
            if hasattr(self, "pipeline"):
                self._end()
        finally:
            self.patch.undo()
            self.folder.cleanup()

    def _end(self) -> None:
        self._pass(200)
        if self.refuses:
            self.write_again()
        self.pipeline.close()
        assert not self.pipeline.failures
        folder = Path(self.folder.name)
        counts = self.engine.counts()
        sources = [source for report in self.reports for source in report.sources]
        of_streams = ("accepted", "duplicate", "late", "rejected_sequence")
        assert sum(source.packets for source in sources) == sum(counts[name] for name in of_streams)
        sidecars = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
        if not self.sink.failure_count:  # what is finished while the disk refuses is lost, and told
            assert sum(len(document["streams"]) for document in sidecars) == len(self.reports)
            assert all(document["complete"] for document in sidecars)
        for document in sidecars:
            if document["complete"]:
                _check(folder, document)
        named = {name for document in sidecars for name in document["files"]}
        assert self.sink.failure_count or named == {path.name for path in folder.glob("*.wav")}
        assert not list(folder.glob(".strep-*")), "nothing is left behind"


def _check(folder: Path, document: dict) -> None:
    """Hold one recording against its sidecar."""
    frames = 0
    for name in document["files"]:
        with wave.open(str(folder / name)) as file:
            assert (file.getframerate(), file.getnchannels()) == (document["sample_rate_hz"], document["channels"])
            frames += file.getnframes()
    assert frames == document["length_samples"]
    assert document["unwritten_samples"] == document["unwritten"]["samples"]
    for stream in document["streams"]:
        assert sum(stream["samples_by_state"].values()) == stream["length_samples"]
        assert stream["packets"] == sum(source["packets"] for source in stream["sources"])
        end_s = (stream["start_s"] or 0) + stream["length_samples"] / stream["sample_rate_hz"]
        unwritten_s = max((it["at_s"] + it["duration_s"] for it in document["unwritten"]["listed"]), default=0)
        assert end_s <= max(document["duration_s"], unwritten_s) + 0.01, "what was placed is in the file or unwritten"


RecordingMachine.TestCase.settings = settings(stateful_step_count=25)
TestRecordingMachine = RecordingMachine.TestCase
