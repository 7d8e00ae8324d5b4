"""Hold all calls: they come in, are dialed, and are let go of when they are long over."""

from __future__ import annotations

import base64
import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from strep.emulator.about import CallAbout, CallDirection
from strep.emulator.call import CallContext, EmulatedCall
from strep.emulator.callee import Callee, Outcome
from strep.emulator.codec import CODECS, Party, encoded_conversation, speech
from strep.emulator.impairments import Impairments
from strep.emulator.schedule import Schedule
from strep.emulator.sender import ForkSender
from strep.emulator.states import NS_PER_S, CallState, HangupCause, Lifecycle
from strep.emulator.stream import RtpStream
from strep.errors import ConfigError
from strep.stream.events import Direction, Leg

#: A few kilobytes each. Not all of them can be forked at once: see strep.emulator.sender for how many a core sends.
MAX_CALLS = 10_000
#: Seven hours: the account of what was sent takes a byte for each packet.
MAX_REPEATS = 1000
#: So long after its end the platform still tells of a call.
KEPT_NS = 600 * NS_PER_S
_CODEC_NAMES = ", ".join(CODECS)


@dataclass(frozen=True, slots=True)
class CallMedia:
    """How a call sounds and how long it goes on.

    codec: one of CODECS. payload_type: to send instead of the usual one. bridged: has a leg B as well. waits_for_fork:
    the conversation begins when the call is first forked. repeats: how often the parties hold it before they hang up;
    None: as long as nobody ends the call. impairments: what the network does to forks; None: the same as to all.
    Raises ConfigError when a value cannot be.
    """

    codec: str = "PCMU"
    payload_type: int | None = None
    bridged: bool = False
    waits_for_fork: bool = False
    repeats: int | None = None
    impairments: Impairments | None = None

    def __post_init__(self) -> None:
        if self.codec not in CODECS:
            raise ConfigError(f"codec: expected one of {_CODEC_NAMES}, found {self.codec!r}")
        if self.payload_type is not None and not 0 <= self.payload_type <= 127:
            raise ConfigError(f"payload_type: expected 0 to 127, found {self.payload_type}")
        if self.repeats is not None and not 1 <= self.repeats <= MAX_REPEATS:
            raise ConfigError(f"repeats: expected 1 to {MAX_REPEATS}, found {self.repeats}")


@dataclass(slots=True)
class Settings:
    """What holds for calls that say nothing else. callees: by number, who is not like `callee`."""

    impairments: Impairments = field(default_factory=Impairments)
    callee: Callee = field(default_factory=Callee)
    callees: dict[str, Callee] = field(default_factory=dict)


class Exchange:
    """An exchange that holds the calls and lets time pass for them.

    clock_ns: call time. wall_s: seconds since 1970. sender: what sends forks. tell: hears of all that happens.
    """

    def __init__(
        self,
        seed: int | None,
        clock_ns: Callable[[], int],
        sender: ForkSender,
        tell: Callable[[EmulatedCall, str, Mapping[str, object]], None],
        forget: Callable[[EmulatedCall], None],
        *,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self.settings = Settings()
        self.schedule = Schedule()
        self.sender = sender
        self.queues: dict[str, list[EmulatedCall]] = {}
        self._random = random.Random(seed)
        #: Ids that came later than the others, from a generator of their own: so the first ones stay as they were.
        self._more_random = random.Random(None if seed is None else f"{seed} exchange")
        self._clock_ns, self._forget = clock_ns, forget
        self._around = CallContext(self.now_ns, wall_s, self.schedule, tell)
        self._calls: dict[str, EmulatedCall] = {}

    @property
    def calls(self) -> Mapping[str, EmulatedCall]:
        """Give every call that is remembered, by call_control_id."""
        return MappingProxyType(self._calls)

    def now_ns(self) -> int:
        """Give the call time: of what is just happening, when that was due."""
        return self._clock_ns() if self.schedule.running_ns is None else self.schedule.running_ns

    def new_id(self) -> str:
        """Make an id."""
        return str(uuid.UUID(bytes=self._more_random.randbytes(16), version=4))

    def find(self, call_control_id: str) -> EmulatedCall | None:
        """Give a call, unless it never was, or has been over for ten minutes."""
        call = self._calls.get(call_control_id)
        return None if call is None or self._is_long_over(call) else call

    def make_room(self) -> bool:
        """Tell whether there is room for one call more, after having let go of those that are long over."""
        if len(self._calls) >= MAX_CALLS:
            for call in [call for call in self._calls.values() if self._is_long_over(call)]:
                del self._calls[call.call_control_id]
                self._forget(call)
        return len(self._calls) < MAX_CALLS

    def add(self, about: CallAbout, lifecycle: Lifecycle, media: CallMedia) -> EmulatedCall:
        """Add a call, and tell of it. Raises ConfigError when there are MAX_CALLS calls."""
        if not self.make_room():
            raise ConfigError(f"expected at most {MAX_CALLS} calls on one platform")
        length = len(encoded_conversation(media.codec)[0])
        call_control_id = "v3:" + base64.urlsafe_b64encode(self._random.randbytes(39)).decode("ascii")
        call_leg_id = uuid.UUID(bytes=self._random.randbytes(16), version=4)
        legs = (Leg.A, Leg.B) if media.bridged else (Leg.A,)
        call = EmulatedCall(
            call_control_id,
            call_leg_id,
            about,
            lifecycle,
            [self._stream(media, about, leg, direction) for leg in legs for direction in Direction],
            (media.repeats or MAX_REPEATS) * length,
            self._around,
            impairments=media.impairments or self.settings.impairments,
            waits_for_fork=media.waits_for_fork,
        )
        self._calls[call_control_id] = call
        return call

    def dial(
        self, about: CallAbout, media: CallMedia, *, timeout_s: int, time_limit_s: int, state: str = ""
    ) -> EmulatedCall:
        """Dial somebody, who does as `Callee` says. state: what call.initiated says of it, if anything.

        Raises ConfigError when there are MAX_CALLS calls.
        """
        limits = {"timeout_ns": timeout_s * NS_PER_S, "time_limit_ns": time_limit_s * NS_PER_S}
        call = self.add(about, Lifecycle(self.now_ns(), CallState.DIALED, **limits), media)
        call.tell("call.initiated", **({"state": state} if state else {}))
        callee = self.settings.callees.get(about.to, self.settings.callee)
        call.later(round(callee.rings_after_s * NS_PER_S), call.lifecycle.ring)
        if callee.outcome is not Outcome.SILENT:
            call.later(round(callee.acts_after_s * NS_PER_S), lambda: _act(call, callee.outcome))
        return call

    def callee(self, number: str) -> Callee:
        """Give what whoever has a number does."""
        return self.settings.callees.get(number, self.settings.callee)

    def impair(self, impairments: Impairments) -> None:
        """Have the network do this to every fork from now on."""
        self.settings.impairments = impairments
        for call in self._calls.values():
            call.impair(impairments)

    def _is_long_over(self, call: EmulatedCall) -> bool:
        ended_ns = call.lifecycle.ended_ns
        return ended_ns is not None and self.now_ns() - ended_ns > KEPT_NS

    def _stream(self, media: CallMedia, about: CallAbout, leg: Leg, direction: Direction) -> RtpStream:
        codec = CODECS[media.codec]
        stream = RtpStream(
            leg,
            direction,
            codec if media.payload_type is None else replace(codec, payload_type=media.payload_type),
            encoded_conversation(media.codec)[leg ^ direction],  # caller in on A is caller out on B
            ssrc=self._random.getrandbits(32),
            first_sequence_number=self._random.getrandbits(16),
            first_timestamp=self._random.getrandbits(32),
        )
        if about.direction is CallDirection.OUTGOING:  # the other party is the one that was called
            stream.play(speech(media.codec, Party(1 - (leg ^ direction))))
        return stream


def _act(call: EmulatedCall, outcome: Outcome) -> None:
    if outcome is Outcome.ANSWERS:
        call.answer()
    else:
        call.hang_up(_CAUSES[outcome], call.other_party)


_CAUSES = {
    Outcome.BUSY: HangupCause.USER_BUSY,
    Outcome.REJECTS: HangupCause.CALL_REJECTED,
    Outcome.NOT_FOUND: HangupCause.NOT_FOUND,
    Outcome.NO_ANSWER: HangupCause.NO_ANSWER,
}
