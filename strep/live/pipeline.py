"""Join the engine to what takes its output: sinks, and listeners in the same program.

The same pipeline serves a live receiver and a capture file; it has no clock and opens nothing. What holds when a sink
raises, which is its own fault and nobody else's:

1. It is closed as far as it can be, gets nothing more, and its error is logged and kept in `failures`.
2. The engine and the other sinks go on, and `close` raises the first of those errors when all is closed.
3. When no sink is left, there is nothing to go on for: what was called raises at once. Observers are none to go on for.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence

from strep.audio.block import AudioBlock
from strep.sinks.base import NO_BACKLOG, Backlog, SettlingSink, Sink
from strep.stream.engine import Engine
from strep.stream.outbox import Output
from strep.wire.batch import DatagramBatch

_log = logging.getLogger(__name__)


class Pipeline:
    """A pipeline that feeds an engine and hands its output to every sink, in the order given, then to `listener`.

    observers: sinks that keep nothing, such as analysis.
    failures: what sinks raised, the first one first. Every call may raise that, as the rules above say.
    """

    def __init__(
        self,
        engine: Engine,
        sinks: Sequence[Sink] = (),
        listener: Callable[[Output], None] | None = None,
        observers: Sequence[Sink] = (),
    ) -> None:
        self.engine = engine
        self.failures: list[Exception] = []
        self._sinks = [*sinks, *observers]
        self._observers = tuple(observers)
        self._listener = listener
        self._ended = self._finished = self._closed = False
        self._busy = False  # the engine runs, or what it put out is being handed on
        self._to_end: dict[str, None] = {}  # in order, each once

    def feed(self, batch: DatagramBatch) -> None:
        """Take datagrams in order of arrival."""
        self._hand_on(lambda: self.engine.feed(batch))
        self._check()

    def advance(self, watermark_ns: int) -> bool:
        """Say that all that arrived before `watermark_ns` was fed: what is due comes out, and sinks write.

        True says that a sink has more to do, and that this should be called again soon.
        """
        self._hand_on(lambda: self.engine.advance(watermark_ns))
        with self._undisturbed():
            busy = self._each(lambda sink: sink.flush(watermark_ns))
        self._check()
        return busy

    def end_call(self, call: str) -> None:
        """Close both directions of a leg, by StreamIdentity.call, because its fork is over.

        What is held back of it is handed on before this returns. Only where a sink, or whoever the engine asks, calls
        this, it is done right after what is being handed on.
        """
        self._to_end[call] = None
        if not self._busy:
            self._end_calls()
            self._check()

    def leave_out(self, calls: int) -> None:
        """Leave out so many calls, below zero take so many back, because of the load: see strep.live.overload."""
        if calls > 0:
            self._hand_on(lambda: self.engine.leave_out(calls))
            self._check()
        elif calls < 0:
            self.engine.take_back(-calls)

    def end_streams(self) -> None:
        """Close every stream. A second call does nothing."""
        if not self._ended:
            self._ended = True
            self._hand_on(self.engine.close)

    def backlog(self) -> Backlog:
        """Tell how much the sink is behind that is behind most, of those that work elsewhere."""
        behind = [sink.backlog() for sink in self._sinks if isinstance(sink, SettlingSink)]
        return max(behind, default=NO_BACKLOG)

    def settle(self) -> None:
        """Wait until sinks that work elsewhere have kept all that they were given; any thread may wait.

        Comes between `end_streams` and `finish`, which would wait as long.
        """
        for sink in self._sinks:
            if isinstance(sink, SettlingSink) and sink not in self._observers:
                sink.settle()

    def finish(self) -> None:
        """Close every stream, and every sink but the observers. A second call does nothing."""
        if self._finished:
            return
        self._finished = True
        try:
            self.end_streams()
        finally:
            self._close_sinks([sink for sink in self._sinks if sink not in self._observers])

    def close(self) -> None:
        """Close every stream and every sink. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            self.finish()
        finally:
            self._close_sinks(self._sinks)
        self._check()

    def _close_sinks(self, sinks: Sequence[Sink]) -> None:
        for sink in tuple(sinks):
            self._sinks.remove(sink)
            try:
                sink.close()
            except Exception as error:
                self._note(sink, error)

    def _hand_on(self, run: Callable[[], list[Output]]) -> None:
        """Let the engine do something, and hand on what it puts out."""
        with self._undisturbed():
            outputs = run()
            if outputs:
                self._each(lambda sink: _give(sink, outputs))
                if self._listener is not None:
                    for output in outputs:
                        self._listener(output)

    @contextlib.contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Put off to the end what whoever is called meanwhile asks for."""
        self._busy = True
        try:
            yield
        finally:
            self._busy = False
        if self._to_end:
            self._end_calls()

    def _end_calls(self) -> None:
        calls, self._to_end = self._to_end, {}
        self._hand_on(lambda: [output for call in calls for output in self.engine.end_call(call)])

    def _each(self, act: Callable[[Sink], bool | None]) -> bool:
        """Let every sink do something, and tell whether one says True; one that raises is left out from now on."""
        answers = []
        for sink in tuple(self._sinks):
            try:
                answers.append(act(sink))
            except Exception as error:
                self._note(sink, error)
                self._sinks.remove(sink)
                with contextlib.suppress(Exception):  # it is broken already; this is for the files that it has open
                    sink.close()
        return any(answers)

    def _note(self, sink: Sink, error: Exception) -> None:
        self.failures.append(error)
        _log.error("%s failed and is left out from now on", type(sink).__name__, exc_info=error)

    def _check(self) -> None:
        if self.failures and not any(sink not in self._observers for sink in self._sinks):
            raise self.failures[0]


def _give(sink: Sink, outputs: list[Output]) -> None:
    for output in outputs:
        if isinstance(output, AudioBlock):
            sink.block(output)
        else:
            sink.event(output)
