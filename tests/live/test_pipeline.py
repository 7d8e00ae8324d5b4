"""What a sink's fault may do: nothing to the other sinks, and never pass unseen."""

import logging

import numpy as np
import pytest

from strep.audio.block import AudioBlock
from strep.errors import SinkError
from strep.live.pipeline import Pipeline
from strep.sinks.recordings import RecordingSink
from strep.stream.engine import Engine, EngineConfig
from strep.stream.events import CloseReason, Direction, StreamClosed, StreamIdentity, StreamOpened
from strep.wire.batch import DatagramBatch
from tests.receiving import recorded
from tests.traffic import LEG, MS, START_NS, Sender, pcmu


class KeepingSink:
    """Keeps what it is given, and raises where it is told to."""

    def __init__(self, *raises_in: str, error: Exception | None = None) -> None:
        self.calls: list[str] = []
        self.outputs: list[object] = []
        self.raises_in, self.error = raises_in, error or SinkError("expected a disk, found none")

    def event(self, event: object) -> None:
        self._take("event", event)

    def block(self, block: AudioBlock) -> None:
        self._take("block", block)

    def flush(self, now_ns: int) -> None:
        self._take("flush", now_ns)

    def close(self) -> None:
        self._take("close", None)

    def _take(self, call: str, value: object) -> None:
        assert "close" not in self.calls, "no call may follow close"
        self.calls.append(call)
        self.outputs.append(value)
        if call in self.raises_in:
            raise self.error


def feed(pipeline: Pipeline, datagrams: list[bytes], start_ms: float = 0) -> None:
    """Feed datagrams 20 ms apart, each followed by the time of the next."""
    for n, datagram in enumerate(datagrams):
        arrival_ns = START_NS + int((start_ms + 20 * n) * MS)
        pipeline.feed(DatagramBatch.from_datagrams([datagram], [arrival_ns]))
        pipeline.advance(arrival_ns + 20 * MS)


def samples_of(sink: KeepingSink) -> np.ndarray:
    return np.concatenate([o.samples.ravel() for o in sink.outputs if isinstance(o, AudioBlock)])


def test_every_sink_and_the_listener_get_the_same_outputs_in_the_same_order() -> None:
    first, second, heard = KeepingSink(), KeepingSink(), []
    pipeline = Pipeline(Engine(), [first, second], heard.append)
    datagrams = Sender().packets(30)
    feed(pipeline, datagrams)
    pipeline.close()
    assert first.calls == second.calls
    assert first.calls[-1] == "close"
    assert [o for o in first.outputs if o is not None and not isinstance(o, int)] == heard
    assert isinstance(heard[0], StreamOpened)
    assert isinstance(heard[-1], StreamClosed)
    assert (samples_of(second) == pcmu(datagrams)).all()


def test_a_sink_that_has_more_to_do_is_heard() -> None:
    class Busy(KeepingSink):
        def flush(self, now_ns: int) -> bool:
            return now_ns < START_NS

    pipeline = Pipeline(Engine(), [Busy(), KeepingSink()])
    assert pipeline.advance(START_NS - 1)
    assert not pipeline.advance(START_NS)
    assert not Pipeline(Engine(), [KeepingSink()]).advance(START_NS - 1)


@pytest.mark.parametrize("fault", ["event", "block", "flush"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_sink_that_raises_is_closed_and_the_others_go_on(
    fault: str, place: int, caplog: pytest.LogCaptureFixture
) -> None:
    broken, sound = KeepingSink(fault), KeepingSink()
    sinks = [sound]
    sinks.insert(place, broken)
    pipeline = Pipeline(Engine(), sinks)
    datagrams = Sender().packets(30)
    feed(pipeline, datagrams)  # raises nothing
    assert broken.calls[-2:] == [fault, "close"]
    assert broken.calls.count(fault) == 1
    assert pipeline.failures == [broken.error]
    with pytest.raises(SinkError, match="found none"):
        pipeline.close()
    assert (samples_of(sound) == pcmu(datagrams)).all()
    assert isinstance(sound.outputs[-2], StreamClosed)
    assert sound.calls[-1] == "close"
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "KeepingSink" in record.getMessage()


def test_the_error_of_the_last_sink_is_raised_at_once_and_again_at_every_further_call() -> None:
    early, late = KeepingSink("event"), KeepingSink("block", error=RuntimeError("a mistake"))
    pipeline = Pipeline(Engine(), [early, late])
    datagrams = Sender().packets(30)
    with pytest.raises(SinkError):  # the first fault is the one to know of
        feed(pipeline, datagrams)
    assert pipeline.failures == [early.error, late.error]
    for call in (lambda: pipeline.advance(START_NS + 10**9), lambda: pipeline.end_call("any"), pipeline.close):
        with pytest.raises(SinkError):
            call()
    assert late.calls[-1] == "close"


def test_an_observer_is_nothing_to_go_on_for() -> None:
    observer = KeepingSink()
    pipeline = Pipeline(Engine(), [KeepingSink("event")], observers=[observer])
    with pytest.raises(SinkError):
        feed(pipeline, Sender().packets(2))
    assert observer.outputs


def test_an_observer_that_fails_disturbs_nobody() -> None:
    sink = KeepingSink()
    pipeline = Pipeline(Engine(), [sink], observers=[KeepingSink("event")])
    feed(pipeline, Sender().packets(2))
    assert len(pipeline.failures) == 1
    with pytest.raises(SinkError):
        pipeline.close()
    assert sink.calls[-1] == "close"


def test_the_listener_hears_what_the_last_sink_failed_at() -> None:
    heard = []
    pipeline = Pipeline(Engine(), [KeepingSink("event")], heard.append)
    with pytest.raises(SinkError):
        feed(pipeline, Sender().packets(2))
    assert isinstance(heard[0], StreamOpened)


def test_a_sink_whose_close_raises_does_not_keep_the_others_open() -> None:
    sinks = [KeepingSink("close"), KeepingSink(), KeepingSink("close", error=RuntimeError("second"))]
    pipeline = Pipeline(Engine(), sinks)
    feed(pipeline, Sender().packets(3))
    with pytest.raises(SinkError):
        pipeline.close()
    assert [sink.calls[-1] for sink in sinks] == ["close"] * 3
    assert [str(error) for error in pipeline.failures] == ["expected a disk, found none", "second"]
    pipeline.close()  # a second call does nothing


def test_an_interrupt_is_no_fault_of_the_sink_it_hits() -> None:
    class Interrupted(KeepingSink):
        def block(self, block: AudioBlock) -> None:
            raise KeyboardInterrupt

    sink, other = Interrupted(), KeepingSink()
    pipeline = Pipeline(Engine(), [sink, other])
    with pytest.raises(KeyboardInterrupt):
        feed(pipeline, Sender().packets(30))
    assert pipeline.failures == []


def test_without_sinks_nothing_is_raised() -> None:
    pipeline = Pipeline(Engine())
    feed(pipeline, Sender().packets(10))
    pipeline.close()
    assert pipeline.engine.counts()["accepted"] == 10


def test_a_recording_is_complete_although_another_sink_failed(tmp_path) -> None:
    recording = RecordingSink(tmp_path)
    pipeline = Pipeline(Engine(), [KeepingSink("block"), recording])
    datagrams = Sender().packets(150)
    feed(pipeline, datagrams)
    with pytest.raises(SinkError):
        pipeline.close()
    (made,) = recording.recordings
    assert (recorded(made, Direction.INBOUND) == pcmu(datagrams)).all()


def test_ending_a_call_closes_both_its_directions_and_no_other() -> None:
    sink = KeepingSink()
    pipeline = Pipeline(Engine(), [sink])
    inbound, outbound, other = Sender(), Sender(direction=1, ssrc=2), Sender(leg=1, ssrc=3)
    feed(pipeline, [datagram for sender in (inbound, outbound, other) for datagram in sender.packets(5)])
    call = next(o for o in sink.outputs if isinstance(o, StreamOpened)).identity.call
    pipeline.end_call(call)
    closed = [o.report.identity for o in sink.outputs if isinstance(o, StreamClosed)]
    assert {(identity.call, identity.direction) for identity in closed} == {(call, d) for d in Direction}
    assert pipeline.engine.open_streams == 1


@pytest.mark.parametrize("place", ["event", "block", "flush"])
def test_a_sink_may_end_a_call_which_is_done_after_what_is_being_handed_on(place: str) -> None:
    class Ending(KeepingSink):
        def _take(self, call: str, value: object) -> None:
            super()._take(call, value)
            if call == place and len(self.outputs) > 1 and not any(isinstance(o, StreamClosed) for o in self.outputs):
                pipeline.end_call(f"{LEG}-A")

    first, second, datagrams = KeepingSink(), KeepingSink(), Sender().packets(40)
    ending = Ending()
    pipeline = Pipeline(Engine(), [first, ending, second])
    for start in (0, 20):  # in two batches, whose outputs are events and many blocks
        arrival_ns = [START_NS + 20 * MS * n for n in range(start, start + 20)]
        pipeline.feed(DatagramBatch.from_datagrams(datagrams[start : start + 20], arrival_ns))
        pipeline.advance(arrival_ns[-1])
    pipeline.close()
    assert first.calls == ending.calls == second.calls
    closed = [o.reason for o in ending.outputs if isinstance(o, StreamClosed)]
    assert closed == [CloseReason.ENDED, CloseReason.STOPPED]
    samples = [o.samples.ravel() for o in first.outputs if isinstance(o, AudioBlock)]
    assert (np.concatenate(samples) == pcmu(datagrams)).all()
    last_of_it = first.outputs.index(next(o for o in first.outputs if isinstance(o, StreamClosed)))
    assert first.calls[last_of_it + 1 :].count("event") == 3  # opened anew, format, closed


def test_whoever_the_engine_asks_may_end_a_call() -> None:
    def admits(identity: StreamIdentity, endpoint: object) -> bool:
        pipeline.end_call(f"{LEG}-A")
        return True

    sink = KeepingSink()
    pipeline = Pipeline(Engine(EngineConfig(admits=admits, probation=False)), [sink])
    feed(pipeline, Sender().packets(3))
    feed(pipeline, Sender(leg=1, ssrc=2).packets(3), start_ms=60)
    pipeline.close()
    assert pipeline.engine.counts()["accepted"] == 6
    opened = sum(isinstance(o, StreamOpened) for o in sink.outputs)
    assert opened == sum(isinstance(o, StreamClosed) for o in sink.outputs) == 4  # each packet of leg A begins it anew
