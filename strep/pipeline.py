"""Join the engine to what takes its output: sinks, and listeners in the same program.

The same pipeline serves a live receiver and a capture file; it has no clock and opens nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from strep.audio.block import AudioBlock
from strep.engine import Engine
from strep.sinks.base import Sink
from strep.stream.outbox import Output
from strep.wire.batch import DatagramBatch


class Pipeline:
    """Feeds an engine and hands its output to every sink, in the order given, then to `listener`."""

    def __init__(
        self, engine: Engine, sinks: Sequence[Sink] = (), listener: Callable[[Output], None] | None = None
    ) -> None:
        self.engine = engine
        self._sinks = tuple(sinks)
        self._listener = listener
        self._closed = False

    def feed(self, batch: DatagramBatch) -> None:
        """Take datagrams in order of arrival."""
        self._hand_on(self.engine.feed(batch))

    def advance(self, watermark_ns: int) -> None:
        """Say that all that arrived before `watermark_ns` was fed: what is due comes out, and sinks write."""
        self._hand_on(self.engine.advance(watermark_ns))
        for sink in self._sinks:
            sink.flush(watermark_ns)

    def end_call(self, call: str) -> None:
        """Close both directions of a leg, by StreamIdentity.call, because its fork is over."""
        self._hand_on(self.engine.end_call(call))

    def close(self) -> None:
        """Close every stream and every sink. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            self._hand_on(self.engine.close())
        finally:
            for sink in self._sinks:
                sink.close()

    def _hand_on(self, outputs: list[Output]) -> None:
        for output in outputs:
            for sink in self._sinks:
                if isinstance(output, AudioBlock):
                    sink.block(output)
                else:
                    sink.event(output)
            if self._listener is not None:
                self._listener(output)
