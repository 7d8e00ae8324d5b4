"""Ask what is known of calls ahead of time, for a recording that goes on where nobody can be asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from strep.sinks.recordings.about import CallAbout
from strep.sinks.recordings.open_recording import FIRST_FLUSH_NS
from strep.sinks.recordings.recording import Failure
from strep.stream.events import StreamIdentity, StreamOpened

#: The file is begun after FIRST_FLUSH_NS, in the folder that the answer says; this is a tick before.
_AGAIN_AFTER_NS = FIRST_FLUSH_NS - 50_000_000
#: What a killed program leaves was written within the last minute; so what it says of the call is little older. An
#: answer takes 5 us: with 4,000 calls, 0.4 % of the time.
_EVERY_NS = 10 * 10**9


class Asking:
    """The streams that are open, and what was last said of the call of each. What `about` raises goes to `failed`.

    Answers are by slot, and only those that are new. None says nothing: what was said before holds.
    """

    def __init__(
        self, about: Callable[[StreamIdentity], CallAbout | None], failed: Callable[[Failure], object]
    ) -> None:
        self._about, self._failed = about, failed
        self._open: dict[int, StreamOpened] = {}
        self._said: dict[int, CallAbout] = {}
        self._soon: deque[tuple[int, StreamOpened]] = deque()
        self._later: deque[tuple[int, StreamOpened]] = deque()

    def opened(self, event: StreamOpened) -> dict[int, CallAbout]:
        """Take in a stream; give what is known of its call."""
        self._open[event.slot] = event
        self._soon.append((event.time_ns + _AGAIN_AFTER_NS, event))
        return self._ask(event)

    def closed(self, slot: int) -> dict[int, CallAbout]:
        """Forget a stream; give what is new of its call."""
        event = self._open.pop(slot, None)
        answers = self._ask(event) if event else {}
        self._said.pop(slot, None)
        return answers

    def due(self, now_ns: int) -> dict[int, CallAbout]:
        """Give what is new of the calls that it is time to ask about."""
        answers: dict[int, CallAbout] = {}
        for waiting in (self._soon, self._later):
            while waiting and waiting[0][0] <= now_ns:
                _, event = waiting.popleft()
                if self._open.get(event.slot) is event:
                    answers |= self._ask(event)
                    self._later.append((now_ns + _EVERY_NS, event))
        return answers

    def _ask(self, event: StreamOpened) -> dict[int, CallAbout]:
        try:
            about = self._about(event.identity)
        except Exception as error:  # the fault of whoever was asked must cost no recording
            self._failed(Failure(event.identity.call, f"what it is about could not be asked: {error!r}"))
            return {}
        if about is None or about == self._said.get(event.slot):
            return {}
        self._said[event.slot] = about
        return {event.slot: about}
