"""Keep one call of the emulated platform: its state, where its conversation is, and its fork."""

from __future__ import annotations

import enum
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from strep.emulator.codec import PACKET_NS
from strep.emulator.fork import Fork, SentStream
from strep.emulator.media import ForkedStream, Impairments, RtpStream
from strep.stream.events import Direction, Leg

#: For so long the platform knows a command_id again.
REMEMBERED_NS = 60 * 1_000_000_000
#: Of one call; a call that gets more commands within a minute is under test, and the oldest are forgotten first.
_REMEMBERED_COMMANDS = 1000


class CallState(enum.StrEnum):
    """Is how far a call has come."""

    RINGING = "ringing"
    ACTIVE = "active"
    ENDED = "ended"


class Call:
    """Is one call: two parties who speak the conversation, and at most one fork at a time.

    The platform receives the caller (D=0) and transmits the agent (D=1) on leg A; a bridged call has a leg B as well,
    which receives the agent and transmits the caller. The conversation begins when the call is answered, or, with
    `waits_for_fork`, when it is first forked, so that the fork has all of it. At its end the parties hang up.
    `is_streaming` says that media streaming is used on the call, which rules out a fork.
    """

    def __init__(
        self,
        call_control_id: str,
        call_leg_id: uuid.UUID,
        streams: Sequence[RtpStream],
        length_packets: int,
        *,
        impairments: Impairments,
        waits_for_fork: bool,
        media_ns: Callable[[], int],
    ) -> None:
        self.call_control_id = call_control_id
        self.call_leg_id = call_leg_id
        self.streams = streams
        self.length_packets = length_packets
        self.impairments = impairments
        self.is_streaming = False
        self.fork: Fork | None = None
        self.commands = RecentCommands()
        self._waits_for_fork, self._media_ns = waits_for_fork, media_ns
        self._was_answered = self._was_hung_up = False
        self._began_ns: int | None = None

    @property
    def state(self) -> CallState:
        """Tell how far the call has come by now."""
        if self._was_hung_up or self._spoken_ns >= self.length_packets * PACKET_NS:
            return CallState.ENDED
        return CallState.ACTIVE if self._was_answered else CallState.RINGING

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
        return 0 if self._began_ns is None else self._media_ns() - self._began_ns

    def answer(self) -> None:
        """Let the parties speak."""
        self._was_answered = True
        if not self._waits_for_fork and self._began_ns is None:
            self._began_ns = self._media_ns()

    def hang_up(self) -> None:
        """End the call, and its fork."""
        self._was_hung_up = True
        self.stop_fork()

    def start_fork(self, stream_type: str, streams: Sequence[ForkedStream]) -> Fork:
        """Fork what is left of the call."""
        packets = range(self.next_packet, self.length_packets)
        if self._began_ns is None:
            self._began_ns = self._media_ns()
        self.fork = Fork(self.call_leg_id, stream_type, streams, packets, self.impairments)
        return self.fork

    def stop_fork(self) -> None:
        """End the fork, if there is one."""
        if self.fork:
            self.fork.end()


class RecentCommands:
    """Remembers the ids of the commands that were carried out within the last minute."""

    def __init__(self) -> None:
        self._done_ns: OrderedDict[str, int] = OrderedDict()

    def has(self, command_id: str, now_ns: int) -> bool:
        """Tell whether this command was carried out already."""
        done_ns = self._done_ns.get(command_id)
        return done_ns is not None and now_ns - done_ns < REMEMBERED_NS

    def add(self, command_id: str, now_ns: int) -> None:
        """Remember a command that was carried out."""
        self._done_ns[command_id] = now_ns
        self._done_ns.move_to_end(command_id)
        if len(self._done_ns) > _REMEMBERED_COMMANDS:
            self._done_ns.popitem(last=False)
