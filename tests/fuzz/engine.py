"""Feed the engine anything, and check its laws: conservation, a cause for every sample, growth that time justifies."""

from __future__ import annotations

import numpy as np

from strep.audio.block import AudioBlock, SampleState
from strep.stream.engine import Engine
from strep.stream.events import FormatChanged, StreamClosed, StreamOpened, StreamReport
from strep.stream.outbox import Output
from strep.wire.batch import DatagramBatch
from strep.wire.fate import Fate
from tests.fuzz.scenario import ENDPOINTS, SECOND, STEP_BYTES, Datagram, Scenario, call_of, read_scenario

#: strep.stream.clock, rule 4: what may be ahead of time and of what was received, and here a second of rounding and of
#: a packet that is as long.
_AHEAD_S = 5 + 1


class StreamLaws:
    """The laws of one stream, checked as its output comes. All lengths are in seconds where rates may change."""

    def __init__(self, opened: StreamOpened) -> None:
        self.rate_hz, self.end = 8000, 0
        self.latest_ns, self.elapsed_s = opened.time_ns, 0.0
        self.received_s = 0.0
        self.samples = dict.fromkeys(SampleState, 0)
        self.has_one_rate = True

    def change_rate(self, rate_hz: int, position: int) -> None:
        if rate_hz != self.rate_hz:
            assert position == -(-self.end * rate_hz // self.rate_hz), "positions go on from the same instant"
            self.has_one_rate = not self.end and self.has_one_rate
            self.rate_hz, self.end = rate_hz, position

    def piece(self, position: int, samples: int, rate_hz: int, state: SampleState, arrival_ns: int) -> None:
        assert rate_hz == self.rate_hz, "a format is told before its samples"
        assert position == self.end, f"pieces leave no hole and never overlap: {position} after {self.end}"
        self.end += samples
        self.samples[state] += samples
        self.received_s += samples / rate_hz if state is SampleState.RECEIVED else 0
        # A clock that was set back goes on from there: what it counts before it was set back stays counted.
        self.elapsed_s += max(0, arrival_ns - self.latest_ns) / SECOND
        self.latest_ns = arrival_ns
        bound_s = self.elapsed_s * 1.001 + self.received_s * 1.125 + _AHEAD_S
        assert self.end / rate_hz <= bound_s, (
            f"{self.end / rate_hz} s long after {self.elapsed_s} s, {self.received_s} heard"
        )

    def close(self, report: StreamReport) -> None:
        assert sum(report.samples_by_state.values()) == report.length_samples == self.end
        assert min(report.samples_by_state.values()) >= 0, report.samples_by_state
        if self.has_one_rate:
            assert report.samples_by_state == {state.name.lower(): count for state, count in self.samples.items()}
        for source in report.sources:
            assert source.lost >= 0, source
            assert source.packets > 0, source


class OutputLaws:
    """The laws of what an engine puts out, checked as it comes. `closed`: the reports of streams that ended."""

    def __init__(self) -> None:
        self.streams: dict[int, StreamLaws] = {}
        self.closed: list[StreamReport] = []

    def take(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, AudioBlock):
                self._block(output)
            elif isinstance(output, StreamOpened):
                assert output.slot not in self.streams
                self.streams[output.slot] = StreamLaws(output)
            elif isinstance(output, FormatChanged):
                if output.format is not None:
                    self.streams[output.slot].change_rate(output.format.sample_rate_hz, output.position)
            elif isinstance(output, StreamClosed):
                self.streams.pop(output.slot).close(output.report)
                self.closed.append(output.report)

    def _block(self, block: AudioBlock) -> None:
        rows = zip(
            *(column.tolist() for column in (block.slots, block.position, block.state, block.arrival_ns)), strict=True
        )
        for slot, position, state, arrival_ns in rows:
            samples = block.samples.shape[1]
            self.streams[slot].piece(position, samples, block.sample_rate_hz, SampleState(state), arrival_ns)


class EngineLaws(OutputLaws):
    """The laws of an engine and of its output. `fed`: the datagrams that it was given."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine, self.fed = engine, 0

    def take(self, outputs: list[Output]) -> None:
        super().take(outputs)
        assert self.engine.faults == self.engine.fates[Fate.REJECTED_FAULT] == 0, "a rule failed, or a fate is missing"
        assert int(self.engine.fates.sum()) == self.fed, f"{self.engine.counts()} of {self.fed}"
        assert int(self.engine.fates.min()) >= 0, self.engine.counts()
        assert self.engine.open_streams == len(self.streams) <= self.engine.config.max_streams
        assert self.engine.open_calls <= self.engine.config.max_calls

    def end(self) -> None:
        """Check what must hold when all is closed."""
        assert not self.streams
        counts = self.engine.counts()
        sources = [source for report in self.closed for source in report.sources]
        assert all(source.first_arrival_ns <= source.last_arrival_ns for source in sources), sources
        packets = sum(source.packets for source in sources)
        of_streams = ("accepted", "duplicate", "late", "rejected_sequence")
        assert packets == sum(counts[name] for name in of_streams), f"{packets} packets reported of {counts}"


def play(scenario: Scenario) -> tuple[EngineLaws, list[Output]]:
    """Do all of a scenario, and close."""
    engine = Engine(scenario.config)
    laws = EngineLaws(engine)
    everything: list[Output] = []
    waiting: list[Datagram] = []

    def take(outputs: list[Output] | None) -> None:
        laws.take(outputs or [])
        everything.extend(outputs or [])

    for step in scenario.steps:
        if isinstance(step, Datagram):
            waiting.append(step)
        elif step.name == "feed":
            if waiting:
                laws.fed += len(waiting)
                arrival_ns, data, senders = zip(*waiting, strict=True)
                take(engine.feed(DatagramBatch.from_datagrams(data, arrival_ns, senders, ENDPOINTS)))
                waiting.clear()
        elif step.name == "end_call":
            take(engine.end_call(call_of(step.argument)))
        elif step.name == "reports":
            assert len(engine.reports()) == engine.open_streams
            assert engine.senders_in_use() <= set(range(len(ENDPOINTS)))
        elif step.name == "ask_again":
            engine.ask_again()
        else:
            take(getattr(engine, step.name)(step.argument))
    take(engine.close())
    laws.end()
    return laws, everything


def run(data: bytes) -> None:
    """Play a scenario."""
    with np.errstate(all="raise"):
        play(read_scenario(data))


def packet(*, who: int = 0, sequence: int = 0, ticks: int = 0, time: int = 6, kind: int = 0, **more: int) -> bytes:
    """Write one step that is a packet, by numbers of choices."""
    return bytes(
        (kind, who, sequence, ticks, time, more.get("payload_type", 0), more.get("length", 0), more.get("flags", 0))
    )


def seeds() -> list[bytes]:
    """Give some calls: plain ones, of every payload type, of two senders, lost packets, pauses and limits."""
    head = bytes(STEP_BYTES)
    call = b"".join(packet(who=who, flags=3) for _ in range(10) for who in (0, 4))
    types = [b"".join(packet(payload_type=n, length=n, flags=7) for _ in range(4)) for n in range(27)]
    lengths = [b"".join(packet(length=n, payload_type=3, flags=7) for _ in range(3)) for n in range(25)]
    sequences = b"".join(packet(sequence=n, flags=3) + packet() for n in range(32))
    ticks = b"".join(packet(ticks=n, flags=3) + packet() for n in range(31))
    times = b"".join(packet(time=n, flags=7) + packet() for n in range(26))
    intruder = b"".join(packet(who=who, flags=3) for _ in range(12) for who in (0, 0x80, 0x40))
    acts = b"".join(packet(kind=kind, who=kind) + packet(flags=3) for kind in range(0xC0, 0x100))
    many = b"".join(packet(who=who, flags=3) for _ in range(2) for who in range(64))
    limits = bytes((0, 1, 1, 1, 5, 0, 0, 0))
    scenarios = [call, *types, *lengths, sequences, ticks, times, intruder, acts, many]
    return [head + one for one in scenarios] + [
        limits + many,
        limits + acts,
        bytes((0, 0, 0, 0, 3, 1, 2, 0)) + intruder,
    ]
