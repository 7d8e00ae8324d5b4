"""Say as it happens what somebody should know who left a recorder running: on the terminal, or in a service's log."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from strep.alarms import Alarm, warn
from strep.audio.formats import AudioFormat
from strep.cli.errors import say
from strep.cli.options import is_of_use
from strep.cli.output import counted, duration, errors_console

#: Of each kind of news, in a second: thousands of calls that end at once are no reading matter.
_LINES_PER_S = 20
#: Calls whose write errors were told. When more fail, the oldest is forgotten, and told again should it fail again.
_MOST_FAILED_CALLS = 10_000


class Announcements:
    """What tells one line of each thing that is new, through `tell`; all that follows of the same kind is silent.

    shows_recordings: tell also of each that is finished; by default where stderr is no terminal, for there the status
    line shows that we live.
    """

    def __init__(
        self,
        *,
        shows_recordings: bool | None = None,
        tell: Callable[[str], None] = say,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shows_recordings = not errors_console().is_terminal if shows_recordings is None else shows_recordings
        self._tell, self._clock_s = tell, clock_s
        self._recordings = Paced("recording", tell)
        self._failures = Paced("call with write errors", tell, "calls with write errors")
        self._left_out = Paced("call left out", tell, "calls left out")
        self._failed_calls: OrderedDict[str, None] = OrderedDict()
        self._formats: set[tuple[int, AudioFormat | None]] = set()  # 128 payload types, each unknown or told
        self._ended = False

    def format(self, call: str, payload_type: int, format: AudioFormat | None) -> None:
        """Take what a payload type means in a call: news when it cannot be decoded."""
        if (payload_type, format) in self._formats or self._ended:
            return
        self._formats.add((payload_type, format))
        if format is None:
            self._tell(
                f"{call}: payload type {payload_type} is unknown, name it with --pt; its recording is silent there"
            )
        elif not is_of_use(format):
            self._tell(f"{call}: {format.encoding} is not decoded here; its recording is silent there")

    def failure(self, call: str, reason: str) -> None:
        """Take something that could not be written: news once a call."""
        if call in self._failed_calls or self._ended:
            return
        self._failed_calls[call] = None
        if len(self._failed_calls) > _MOST_FAILED_CALLS:
            self._failed_calls.popitem(last=False)
        self._failures.say(self._clock_s(), lambda: f"{call}: not all of it could be written: {reason}")

    def left_out(self, call: str) -> None:
        """Take a call that was left out because more came than could be carried."""
        if not self._ended:
            self._left_out.say(self._clock_s(), lambda: f"{call}: left out, more calls came than can be carried")

    def alarm(self, alarm: Alarm) -> None:
        """Take an alarm, which comes rarely enough by itself; it goes to the log."""
        if not self._ended:
            warn(alarm)

    def recording(self, name: str, duration_s: float, calls: Callable[[], int]) -> None:
        """Take a finished recording; calls: counts those that go on."""
        if self._shows_recordings and not self._ended:
            self._recordings.say(
                self._clock_s(), lambda: f"recorded {name}, {duration(duration_s)}; {counted(calls(), 'call')} open"
            )

    def tick(self) -> None:
        """Tell how much was left out, when it is time to; call it now and then."""
        now_s = self._clock_s()
        if not self._ended:
            self._recordings.tick(now_s)
            self._failures.tick(now_s)
            self._left_out.tick(now_s)

    def end(self) -> None:
        """Tell nothing more: the results follow."""
        self._ended = True


class Paced:
    """What tells up to _LINES_PER_S lines a second, and then how many others there were."""

    def __init__(self, noun: str, tell: Callable[[str], None], plural: str = "") -> None:
        self._noun, self._plural, self._tell = noun, plural or f"{noun}s", tell
        self._began_s = float("-inf")
        self._said = self._left_out = 0

    def say(self, now_s: float, line: Callable[[], str]) -> None:
        """Tell a line, which is made only if it is told."""
        self.tick(now_s)
        if self._said < _LINES_PER_S:
            self._said += 1
            self._tell(line())
        else:
            self._left_out += 1

    def tick(self, now_s: float) -> None:
        """Begin another second, if it is time to."""
        if now_s - self._began_s < 1:
            return
        self._began_s, self._said = now_s, 0
        if self._left_out:
            self._tell(f"and {self._left_out} other {self._noun if self._left_out == 1 else self._plural}")
            self._left_out = 0
