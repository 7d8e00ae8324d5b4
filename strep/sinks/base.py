"""Say what a sink is: something that takes a stream's events and audio and keeps them."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

from strep.audio.block import AudioBlock
from strep.stream.events import Event


class Sink(Protocol):
    """A taker of what the engine puts out, in order: an event of a stream comes before the audio it speaks of.

    A sink raises SinkError when it cannot write; it must leave valid files behind at every instant.
    """

    def event(self, event: Event) -> None:
        """Take one event."""

    def block(self, block: AudioBlock) -> None:
        """Take decoded audio of many streams."""

    def flush(self, now_ns: int) -> bool | None:
        """Bring what is due to disk. `now_ns` is the watermark: everything that arrived before it has been seen.

        True says that more waits than was done: it is called again soon, also while nothing arrives.
        """

    def close(self) -> None:
        """Finish every file. No call may follow."""


class Backlog(NamedTuple):
    """The work that waits in a sink. share: of its room, how much is taken. age_ns: how long the oldest has waited.

    moves: whether any of it was done lately: less to do helps who is slow, but not who stands still.
    """

    share: float = 0.0
    age_ns: int = 0
    moves: bool = True


#: What waits where nothing does.
NO_BACKLOG = Backlog()


@runtime_checkable
class SettlingSink(Sink, Protocol):
    """A sink that finishes elsewhere what it was given, so that whoever has other things to do need not wait for it."""

    def backlog(self) -> Backlog:
        """Tell how much it is behind."""

    def settle(self) -> None:
        """Wait until all that was given is kept. Any thread may wait; only `close` follows. Raises nothing."""
