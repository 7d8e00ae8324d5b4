"""Keep one call of the emulated platform: who takes part, how far it is, where its conversation is, and its fork."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from strep.emulator.about import CallAbout, CallDirection
from strep.emulator.codec import PACKET_NS, Party, speech
from strep.emulator.dtmf import Digits
from strep.emulator.fork import Fork, SentStream
from strep.emulator.impairments import Impairments
from strep.emulator.media import ForkedStream
from strep.emulator.recent import RecentCommands
from strep.emulator.schedule import Schedule, Timer
from strep.emulator.script import Pause
from strep.emulator.states import SIP_HANGUP_CAUSES, CallState, HangupCause, HangupSource, Lifecycle
from strep.emulator.stream import RtpStream
from strep.stream.events import Direction, Leg

#: Of one call at a time: a recording, a gather, what is played. A program that has more open has lost count.
MAX_ACTIVITIES = 100


@dataclass(slots=True)
class Activity:
    """Something that goes on in a call, until it is ended with a status; `end` says so to whom it concerns."""

    end: Callable[[str], None]
    timers: list[Timer] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CallContext:
    """What a call lives in: the time, what is due later, and whom it tells. wall_s: seconds since 1970."""

    now_ns: Callable[[], int]
    wall_s: Callable[[], float]
    schedule: Schedule
    tell: Callable[[EmulatedCall, str, Mapping[str, object]], None]


class EmulatedCall:
    """One call: two parties who speak the conversation, and at most one fork at a time.

    The platform receives the other party (D=0) and transmits to it (D=1) on leg A; a call added as bridged has a leg B
    as well, which receives what leg A transmits and the other way round. Who called is the caller of the conversation,
    who was called the agent. The conversation begins when the call is answered, or, with `waits_for_fork`, when it is
    first forked, so that the fork has all of it. At its end the parties hang up. `is_streaming` says that media
    streaming is used on the call, which rules out a fork.

    Calls joined by the `bridge` command hear each other; each stays a leg A with a call_leg_id of its own.
    """

    def __init__(
        self,
        call_control_id: str,
        call_leg_id: uuid.UUID,
        about: CallAbout,
        lifecycle: Lifecycle,
        streams: Sequence[RtpStream],
        length_packets: int,
        context: CallContext,
        *,
        impairments: Impairments,
        waits_for_fork: bool,
    ) -> None:
        self.call_control_id = call_control_id
        self.call_leg_id = call_leg_id
        self.about = about
        self.lifecycle = lifecycle
        self.streams = streams
        self.length_packets = length_packets
        self.impairments = impairments
        self.is_streaming = False
        self.fork: Fork | None = None
        self.commands = RecentCommands()
        self.activities: dict[str, Activity] = {}
        #: What is to be played after what is played now.
        self.playlist: deque[Callable[[], None]] = deque()
        self.bridged_to: EmulatedCall | None = None
        #: Whether it goes on when the call that it is bridged to ends.
        self.parks_after_unbridge = False
        self.on_answer: list[Callable[[], object]] = []
        self.on_digit: Callable[[str], None] | None = None
        self.start_s = context.wall_s()
        self.end_s: float | None = None
        self._around = context
        self._waits_for_fork = waits_for_fork
        self._began_ns: int | None = None
        self._deadline: Timer | None = None
        self._watch_deadline()

    # What there is to know

    @property
    def state(self) -> CallState:
        """Tell how far the call has come by now."""
        if self._spoken_ns >= self.length_packets * PACKET_NS:
            return CallState.ENDED
        return self.lifecycle.state

    @property
    def codecs(self) -> tuple[str, ...]:
        """List the codecs of the call by name, as the other party offered them."""
        return tuple(dict.fromkeys(stream.codec.format.encoding for stream in self.streams))

    @property
    def party(self) -> Party:
        """Tell which part of the conversation the other party speaks."""
        return Party.CALLER if self.about.direction is CallDirection.INCOMING else Party.AGENT

    @property
    def is_forked(self) -> bool:
        """Tell whether the call is being forked."""
        return self.fork is not None and self.fork.is_active

    @property
    def next_packet(self) -> int:
        """Give the number of the next 20 ms of conversation to begin."""
        return -(-self._spoken_ns // PACKET_NS)

    @property
    def sent(self) -> Mapping[tuple[Leg, Direction], SentStream]:
        """Give the account of what the present or else the last fork sent, by leg and direction."""
        return {(sent.stream.leg, sent.stream.direction): sent for sent in (self.fork.sent if self.fork else ())}

    @property
    def _spoken_ns(self) -> int:
        return 0 if self._began_ns is None else self._around.now_ns() - self._began_ns

    # What the parties do

    def answer(self, custom_headers: Sequence[Mapping[str, object]] = ()) -> None:
        """Let the parties speak, unless they do already. custom_headers: what whoever answers says with it."""
        if not self.lifecycle.answer(self._around.now_ns()):
            return
        self._watch_deadline()
        if not self._waits_for_fork:
            self._begin()
        about, self.about.custom_headers = self.about.custom_headers, tuple(custom_headers)
        self.tell("call.answered", state="answered")
        self.about.custom_headers = about
        for follow in self.on_answer:
            follow()

    def hang_up(self, cause: HangupCause = HangupCause.NORMAL_CLEARING, source: HangupSource | None = None) -> None:
        """End the call, and all that goes on in it. source: by default the other party."""
        if self.lifecycle.end(self._around.now_ns(), cause, source or self.other_party):
            self.stop_fork()
            self._finish()

    def send_dtmf(self, digits: str, *, in_band: bool = False) -> None:
        """Have the other party press keys: they are in the media, and each is told of when it was pressed.

        in_band: as tones rather than as telephone events. Raises ConfigError when there are no such keys.
        """
        pressed = Digits(digits, in_band=in_band)
        self._send_digits(Direction.INBOUND, pressed)
        if self.bridged_to:
            self.bridged_to.transmit_dtmf(pressed)
        for press in pressed.presses():
            at_ns = self._around.now_ns() + (press.start_ms + pressed.tone_ms) * 1_000_000
            self.later(at_ns - self._around.now_ns(), partial(self._receive_digit, press.digit))

    def hold(self, kind: Pause = Pause.ABSENT) -> None:
        """Have the other party put the call on hold: nothing more comes from there. kind: what is sent instead.

        Raises ConfigError when there is no such pause in the codec of the call, or of one it is bridged to.
        """
        spoken = self._spoken()
        for stream, _ in spoken:
            stream.check_pause(kind)
        for stream, packet in spoken:
            stream.pause(kind, at=packet)
        self.tell("call.hold")

    def unhold(self) -> None:
        """Have the other party speak again."""
        for stream, packet in self._spoken():
            stream.resume(at=packet)
        self.tell("call.unhold")

    # What the platform does

    def transmit_dtmf(self, digits: Digits) -> None:
        """Send keys to the other party."""
        self._send_digits(Direction.OUTBOUND, digits)

    def bridge(self, other: EmulatedCall) -> None:
        """Let both parties hear each other. Both calls must be active."""
        for call, partner in ((self, other), (other, self)):
            call.lifecycle.bridge()
            call.bridged_to = partner
            call._begin()
        for call, partner in ((self, other), (other, self)):
            call._transmit(partner.party, partner.next_packet)
        for call in (self, other):
            call.tell("call.bridged")

    def unbridge(self) -> EmulatedCall | None:
        """Part the call from the one it is bridged to, if it is, and give that."""
        partner = self.bridged_to
        for call in (self, partner) if partner else ():
            call.lifecycle.unbridge()
            call.bridged_to = None
            call._transmit(Party(1 - call.party), call.next_packet)
        return partner

    def start_fork(self, stream_type: str, streams: Sequence[ForkedStream]) -> Fork:
        """Fork what is left of the call."""
        packets = range(self.next_packet, self.length_packets)
        self._begin()
        self.fork = Fork(self.call_leg_id, stream_type, streams, packets, self.impairments)
        self.tell("call.fork.started", stream_type=stream_type)
        return self.fork

    def stop_fork(self) -> None:
        """End the fork, if there is one."""
        if self.fork and self.fork.is_active:
            self.fork.end()
            self.tell("call.fork.stopped", stream_type=self.fork.stream_type)

    def impair(self, impairments: Impairments) -> None:
        """Have the network do this to the call's fork from now on, and to later ones."""
        self.impairments = impairments
        if self.fork and self.fork.is_active:
            self.fork.impairments = impairments

    # What goes on in it

    def begin_activity(self, name: str, end: Callable[[str], None]) -> Activity:
        """Have something go on until `finish_activity`, or until the call ends, which is the status call_hangup."""
        assert name not in self.activities, "whoever begins it has looked"
        self.activities[name] = Activity(end)
        return self.activities[name]

    def finish_activity(self, name: str, status: str = "completed") -> bool:
        """End something that goes on. Tell whether it did."""
        activity = self.activities.pop(name, None)
        if activity:
            for timer in activity.timers:
                timer.cancel()
            activity.end(status)
        return activity is not None

    def later(self, delay_ns: int, action: Callable[[], object]) -> Timer:
        """Have something happen after a while, unless the call has ended by then."""

        def act() -> None:
            if self.lifecycle.is_alive:
                action()

        return self._around.schedule.at(self._around.now_ns() + delay_ns, act)

    def wall_s(self) -> float:
        """Give the time of day: seconds since 1970."""
        return self._around.wall_s()

    def tell(self, event_type: str, **own: object) -> None:
        """Tell the application of something that happened."""
        self._around.tell(self, event_type, own)

    @property
    def other_party(self) -> HangupSource:
        """Give the other party in the words of `call.hangup`."""
        return HangupSource.CALLER if self.about.direction is CallDirection.INCOMING else HangupSource.CALLEE

    @property
    def our_party(self) -> HangupSource:
        """Give the application's side in the words of `call.hangup`."""
        return HangupSource.CALLEE if self.about.direction is CallDirection.INCOMING else HangupSource.CALLER

    # How it is done

    def _begin(self) -> None:
        """Begin the conversation, unless it has begun."""
        if self._began_ns is None:
            self._began_ns = self._around.now_ns()
            self.later(self.length_packets * PACKET_NS, self._say_goodbye)

    def _say_goodbye(self) -> None:
        """End the call at the end of the conversation. Its fork ends by itself, when the last of it has been sent."""
        if self.lifecycle.end(self._around.now_ns(), HangupCause.NORMAL_CLEARING, self.other_party):
            if self.fork and self.fork.is_active:
                self.tell("call.fork.stopped", stream_type=self.fork.stream_type)
            self._finish()

    def _watch_deadline(self) -> None:
        if self._deadline:
            self._deadline.cancel()
        deadline_ns = self.lifecycle.deadline_ns
        if deadline_ns is not None:
            self._deadline = self.later(deadline_ns - self._around.now_ns(), self._expire)

    def _expire(self) -> None:
        if self.lifecycle.expire(self._around.now_ns()):
            self.stop_fork()
            self._finish()

    def _finish(self) -> None:
        """Do what there is to do when the call has ended."""
        self.end_s = self._around.wall_s()
        if self._deadline:
            self._deadline.cancel()
        for name in list(self.activities):
            self.finish_activity(name, "call_hangup")
        cause, source = self.lifecycle.cause, self.lifecycle.source
        assert cause and source, "it has ended"
        is_incoming = self.about.direction is CallDirection.INCOMING
        sip = "unspecified" if is_incoming else SIP_HANGUP_CAUSES.get(cause, "unspecified")
        self.tell(
            "call.hangup",
            hangup_cause=cause.value,
            hangup_source=source.value,
            sip_hangup_cause=sip,
            state="hangup",
        )
        partner, self.bridged_to = self.bridged_to, None
        if partner:
            partner._lose_partner()

    def _lose_partner(self) -> None:
        """Go on alone, or hang up, when the call that it was bridged to has ended."""
        self.bridged_to = None
        self.lifecycle.unbridge()
        if self.parks_after_unbridge:
            self._transmit(Party(1 - self.party), self.next_packet)
        else:
            self.hang_up(HangupCause.NORMAL_CLEARING, HangupSource.UNKNOWN)

    def _transmit(self, party: Party, packet: int) -> None:
        """Transmit from now on what a party says from a packet of its conversation on."""
        for stream in self._streams(Direction.OUTBOUND):
            now = self.next_packet
            stream.play(speech(stream.codec.format.encoding, party), at=now, shift=packet - now)

    def _send_digits(self, direction: Direction, digits: Digits) -> None:
        for stream in self._streams(direction):
            stream.send_digits(digits, at=self.next_packet)

    def _receive_digit(self, digit: str) -> None:
        self.tell("call.dtmf.received", digit=digit)
        if self.on_digit:
            self.on_digit(digit)

    def _spoken(self) -> list[tuple[RtpStream, int]]:
        """List the streams that hold what the other party says, each with its next packet."""
        spoken = [(stream, self.next_packet) for stream in self._streams(Direction.INBOUND)]
        if self.bridged_to:
            heard = self.bridged_to
            spoken += [(stream, heard.next_packet) for stream in heard._streams(Direction.OUTBOUND)]
        return spoken

    def _streams(self, direction: Direction) -> list[RtpStream]:
        """List the streams that hold what leg A receives, or transmits: on leg B it is the other way round."""
        return [stream for stream in self.streams if stream.leg ^ stream.direction == direction]
