"""Follow one call from its first webhook to its end: a state machine without clock and I/O.

    INITIATED ──answered──> ANSWERED ──a rule says fork──> FORKING ──ok, fork.started──> FORKED ──stop──> STOPPING
                               │  ^                           │                             │                │
                               │  └────── fork refused ───────┤                             │                │
                               └──────────────────────────────┴── fork.stopped, stopped ────┴────────────────┴> UNFORKED

    From each of them: ──hangup, found to be gone──> ENDED

Webhooks come late, twice and in any order, and all of that gives the same end:

1. A phase is only ever left forwards, but for a fork that was refused. What comes for a call that has ENDED adds to
   what is known of it, and nothing else.
2. A call is told to fork once at most: `Act.FORK` is given once, and the command that is sent for it keeps its id.
3. A call is decided as soon as what the rules ask for is known, however late that comes. When it is not waited for any
   longer (`give_up`), a later rule may have the call; if none does, what comes yet decides it still. That a call was
   answered, several webhooks tell, and the platform when it is asked, which is done for one that rings for long.
4. A fork that somebody else started before ours is not ours: the call is then not forked again.
5. After the end of its fork, and after its own, the media of a call is taken until `close`: what is on its way still
   belongs to it.
6. The end of a fork is not that of the call: somebody may fork it anew. That is not a fork of ours: its media is taken
   if a rule accepts it, and else is what nobody here asked for.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from strep.control import StreamType
from strep.control.webhooks import WebhookEvent
from strep.service.facts import CallFacts
from strep.service.rules import Decision, ForkMode, Rule, decide

_SECOND_NS = 1_000_000_000
#: What says that a call was answered, whichever of them comes first: all of them need its audio.
_ANSWERED = frozenset(
    {
        "call.answered",
        "call.bridged",
        "call.dtmf.received",
        "call.fork.started",
        "call.machine.detection.ended",
        "call.playback.started",
        "call.speak.started",
        "streaming.started",
    }
)
#: So long after a call was heard of first, the platform is asked whether it was answered, as the webhook may be lost.
#: Most calls are answered within 10 s, and none rings for longer than some minutes: a call costs few questions.
_ASK_AFTER_NS = tuple(seconds * _SECOND_NS for seconds in (10, 30, 70, 150, 310, 630))


class Phase(enum.StrEnum):
    """How far we are with a call."""

    INITIATED = "initiated"
    ANSWERED = "answered"
    FORKING = "forking"
    FORKED = "forked"
    STOPPING = "stopping"
    UNFORKED = "unforked"  #: it goes on, but our fork of it is over
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Status:
    """What the platform says of a call when it is asked. is_answered: that it was, as far as that can be told."""

    is_alive: bool
    is_answered: bool = False


class Act(enum.Enum):
    """What is to be done about a call now."""

    FORK = "fork"  #: send fork_start
    STOP = "stop"  #: send fork_stop
    CHECK = "check"  #: ask the platform whether the call is alive
    CLOSE = "close"  #: close its recordings, when the last packets have come


#: Phases in which media should come.
_WITH_MEDIA = frozenset({Phase.FORKED, Phase.STOPPING})
#: Phases in which no fork of ours goes on, nor will.
_OVER = frozenset({Phase.UNFORKED, Phase.ENDED})


class Call:
    """One call. Every method gives the acts that follow from it.

    since_ns: when it came to its phase. decision: what the rules say, once they can. is_ours: we have it forked, or
    try to, or had it forked last. is_provisional: the decision is not to fork, and was made without all that the rules
    ask for. is_resumed: it was known to a service before this one. is_closed: its recordings are
    closed. pair: the ports that it was allotted, for rx and tx. command_id, sent_ns: of its fork command. failure: why
    its fork failed. ended_by: what ended it, or its fork.
    """

    def __init__(self, facts: CallFacts, now_ns: int) -> None:
        self.facts = facts
        self.phase = Phase.INITIATED
        self.since_ns = now_ns
        self.decision: Decision | None = None
        self.is_ours = self.is_provisional = self.is_resumed = self.is_closed = False
        self.pair: tuple[int, int] | None = None
        self.command_id: str | None = None
        self.sent_ns = 0
        self.failure: str | None = None
        self.ended_by: str | None = None
        self.open_streams = 0
        self._heard_ns = now_ns
        self._asked = 0
        self._is_forked_elsewhere = False

    @property
    def call_control_id(self) -> str:
        """Give its id for commands."""
        return self.facts.call_control_id

    @property
    def takes_media(self) -> bool:
        """Tell whether its media is recorded in its place."""
        is_accepted = bool(self.decision and self.decision.accept)
        if self.phase is Phase.ENDED:
            return not self.is_closed and (self.is_ours or is_accepted)
        return is_accepted or (self.is_ours and not self.is_closed)

    @property
    def is_forked(self) -> bool:
        """Tell whether it counts as a fork of ours that goes on."""
        return self.is_ours and self.phase not in _OVER

    @property
    def is_kept(self) -> bool:
        """Tell whether a service after this one must know of it: it is undecided yet, or its media is taken, or was."""
        if self.phase is Phase.ENDED:
            return self.takes_media
        is_decided = self.decision is not None and not self.is_provisional
        return not is_decided or self.takes_media or self.phase is Phase.UNFORKED

    def take(self, event: WebhookEvent, rules: Sequence[Rule], now_ns: int) -> list[Act]:
        """Take a webhook."""
        self.facts = self.facts.with_event(event)
        kind = event.event_type
        if kind == "call.hangup":
            return self._end("hangup", now_ns)
        if kind == "call.fork.stopped" and self.is_ours:
            return self._unfork("fork.stopped", now_ns)
        if kind == "call.fork.started":
            self._note_fork(now_ns)
        if kind in _ANSWERED and self.phase is Phase.INITIATED:
            self._move(Phase.ANSWERED, now_ns)
        return self._decide(rules, now_ns)

    def pass_time(self, silence_ns: int, now_ns: int) -> list[Act]:
        """Do what is due: look after a call that rings for long, and after one that was not heard for so long."""
        if self.phase is Phase.INITIATED:
            is_due = self._asked < len(_ASK_AFTER_NS) and now_ns - self.since_ns >= _ASK_AFTER_NS[self._asked]
            self._asked += is_due
            return [Act.CHECK] if is_due else []
        if self.phase in _WITH_MEDIA and not self.open_streams and now_ns - self._heard_ns >= silence_ns:
            self._heard_ns = now_ns
            return [Act.CHECK]
        return []

    def give_up(self, rules: Sequence[Rule], now_ns: int) -> list[Act]:
        """Decide without what has not come."""
        return self._decide(rules, now_ns, final=True)

    def fork_done(self, now_ns: int) -> list[Act]:
        """Take the platform's yes to the fork."""
        if self.phase is Phase.FORKING:
            self._move(Phase.FORKED, now_ns)
        return []

    def fork_early(self, now_ns: int) -> list[Act]:
        """Take the platform's word that the call, which was to be forked, rings still: it is decided when answered."""
        if self.phase is Phase.FORKING:
            self.decision, self.is_ours, self.command_id, self.sent_ns = None, False, None, 0
            self._move(Phase.INITIATED, now_ns)
        return []

    def fork_failed(self, reason: str, now_ns: int, *, is_gone: bool = False, was_sent: bool = True) -> list[Act]:
        """Take the platform's last no to the fork; `is_gone`: because there is no such call any more.

        Should the platform have done it all the same, the media is taken, and its fork.started tells us; but not if the
        command never was sent.
        """
        if self.phase is Phase.FORKING:
            self.failure = reason
            self.is_ours = was_sent
            self._move(Phase.ANSWERED, now_ns)
        return self._end("gone", now_ns) if is_gone else []

    def stop(self, now_ns: int) -> list[Act]:
        """End its fork."""
        if not self.is_ours or self.phase not in (Phase.FORKING, Phase.FORKED):
            return []
        self._move(Phase.STOPPING, now_ns)
        return [Act.STOP]

    def stop_done(self, now_ns: int) -> list[Act]:
        """Take the platform's answer to the end of the fork, whichever it was: nothing more is expected."""
        return self._unfork("stopped", now_ns) if self.phase is Phase.STOPPING else []

    def checked(self, status: Status, rules: Sequence[Rule], now_ns: int) -> list[Act]:
        """Take what the platform says of the call."""
        self._heard_ns = now_ns
        if self.phase is not Phase.INITIATED:
            return [] if status.is_alive else self._end("gone", now_ns)
        if not status.is_answered:  # of one that rings the platform need not say that it is alive
            return []
        self._move(Phase.ANSWERED, now_ns)
        return self._decide(rules, now_ns)

    def stream_opened(self, now_ns: int) -> None:
        """Take note of media."""
        self._heard_ns = now_ns
        self.open_streams += 1

    def stream_closed(self, now_ns: int, *, is_idle: bool) -> list[Act]:
        """Take note that a stream has closed; silence on all of them has us ask whether the call is alive."""
        self.open_streams = max(self.open_streams - 1, 0)
        self._heard_ns = now_ns
        return [Act.CHECK] if is_idle and not self.open_streams and self.is_forked else []

    def close(self) -> None:
        """Take no media from now on, but that of somebody else's fork, if a rule accepts it."""
        self.is_closed = True

    def let_go(self) -> None:
        """Take note that what comes of it is no more from a fork of ours."""
        self.is_ours = False

    def document(self) -> dict[str, Any]:
        """Describe it for the state file."""
        decision = self.decision or Decision()
        return self.facts.document() | {
            "phase": self.phase.value,
            "rule": decision.rule,
            "fork": decision.fork.value,
            "stream_type": decision.stream_type.value if decision.stream_type else None,
            "accept": decision.accept,
            "is_decided": self.decision is not None and not self.is_provisional,
            "is_ours": self.is_ours,
            "is_forked_elsewhere": self._is_forked_elsewhere,
            "command_id": self.command_id,
            "sent_ns": self.sent_ns,
            "pair": list(self.pair) if self.pair else None,
            "ended_by": self.ended_by,
        }

    @classmethod
    def resume(cls, document: Mapping[str, Any], now_ns: int) -> Call:
        """Make a call of what `document` made. Raises ValueError, TypeError or KeyError for anything else."""
        call = cls(CallFacts.read(document), now_ns)
        if document["is_decided"]:
            stream_type = document["stream_type"]
            call.decision = Decision(
                str(document["rule"]),
                ForkMode(document["fork"]),
                StreamType(stream_type) if stream_type else None,
                bool(document["accept"]),
            )
        call.phase = Phase(document["phase"])
        call.command_id = None if document["command_id"] is None else str(document["command_id"])
        call.sent_ns = int(document["sent_ns"])
        call.pair = _pair(document["pair"])
        call.ended_by = None if document["ended_by"] is None else str(document["ended_by"])
        call.is_ours, call.is_resumed = bool(document["is_ours"]), True
        call._is_forked_elsewhere = bool(document["is_forked_elsewhere"])
        return call

    def resumed(self, give_up_ns: int, now_ns: int) -> list[Act]:
        """Go on with a call of a service before this one, once it was found alive."""
        if self.phase is Phase.STOPPING:
            return [Act.STOP]
        if self.phase is Phase.UNFORKED:
            return [Act.CLOSE]
        if self.phase is not Phase.FORKING:
            return []
        if self.command_id and now_ns - self.sent_ns < give_up_ns:
            return [Act.FORK]  # the same command: the platform does it once
        return self.fork_failed("the service was down while it was to be forked", now_ns)

    def _note_fork(self, now_ns: int) -> None:
        if self.is_ours and self.phase in (Phase.ANSWERED, Phase.FORKING):
            self._move(Phase.FORKED, now_ns)
        elif not self.is_ours:
            self._is_forked_elsewhere = True

    def _decide(self, rules: Sequence[Rule], now_ns: int, *, final: bool = False) -> list[Act]:
        if self.phase is not Phase.ANSWERED or not (self.decision is None or self.is_provisional):
            return []
        decision = decide(rules, self.facts, final=final)
        if decision is None:
            return []
        if self._is_forked_elsewhere:
            decision = replace(decision, fork=ForkMode.NO)
        self.decision = decision
        self.is_provisional = final and decision.fork is ForkMode.NO
        if decision.fork is ForkMode.NO:
            return []
        self.is_ours = True
        self._move(Phase.FORKING, now_ns)
        return [Act.FORK]

    def _unfork(self, reason: str, now_ns: int) -> list[Act]:
        if self.phase in _OVER:
            return []
        self.ended_by = reason
        self._move(Phase.UNFORKED, now_ns)
        return [Act.CLOSE]

    def _end(self, reason: str, now_ns: int) -> list[Act]:
        if self.phase is Phase.ENDED:
            return []
        self.ended_by = reason
        self._move(Phase.ENDED, now_ns)
        return [Act.CLOSE]

    def _move(self, phase: Phase, now_ns: int) -> None:
        self.phase, self.since_ns = phase, now_ns


def _pair(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    rx, tx = map(int, value)
    return rx, tx
