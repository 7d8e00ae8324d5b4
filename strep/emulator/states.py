"""Keep how far a call has come. Pure: time is an argument, and each step says whether it was one.

    DIALED ──> RINGING ──> ACTIVE <──> BRIDGED
       │          │          │            │
       └──────────┴──────────┴────────────┴──> ENDED

A call that the platform dials begins as DIALED, one that comes in as RINGING. Whether it is forked, recorded or played
to is no part of it: such things begin and end while it is ACTIVE or BRIDGED.
"""

from __future__ import annotations

import enum

NS_PER_S = 1_000_000_000


class CallState(enum.StrEnum):
    """How far a call has come."""

    DIALED = "dialed"
    RINGING = "ringing"
    ACTIVE = "active"
    BRIDGED = "bridged"
    ENDED = "ended"


class HangupCause(enum.StrEnum):
    """Why a call ended, in the words of `call.hangup`."""

    CALL_REJECTED = "call_rejected"
    NORMAL_CLEARING = "normal_clearing"
    ORIGINATOR_CANCEL = "originator_cancel"
    TIMEOUT = "timeout"
    TIME_LIMIT = "time_limit"
    USER_BUSY = "user_busy"
    NOT_FOUND = "not_found"
    NO_ANSWER = "no_answer"
    UNSPECIFIED = "unspecified"


class HangupSource(enum.StrEnum):
    """Who ended a call, in the words of `call.hangup`."""

    CALLER = "caller"
    CALLEE = "callee"
    UNKNOWN = "unknown"


#: RFC 3261 section 21; what has no response of its own is "unspecified", as the platform says it.
SIP_HANGUP_CAUSES = {
    HangupCause.CALL_REJECTED: "603",
    HangupCause.NORMAL_CLEARING: "200",
    HangupCause.ORIGINATOR_CANCEL: "487",
    HangupCause.USER_BUSY: "486",
    HangupCause.NOT_FOUND: "404",
    HangupCause.NO_ANSWER: "480",
    HangupCause.TIMEOUT: "408",
}


class Lifecycle:
    """One call's way through the states.

    timeout_ns: how long it may take to be answered. time_limit_ns: how long it may last from then on. None: for ever.
    """

    def __init__(
        self,
        now_ns: int,
        state: CallState = CallState.RINGING,
        *,
        timeout_ns: int | None = None,
        time_limit_ns: int | None = None,
    ) -> None:
        self.state = state
        self.began_ns = now_ns
        self.answered_ns: int | None = None
        self.ended_ns: int | None = None
        self.cause: HangupCause | None = None
        self.source: HangupSource | None = None
        self._timeout_ns, self._time_limit_ns = timeout_ns, time_limit_ns

    @property
    def is_alive(self) -> bool:
        """Tell whether it has not ended."""
        return self.state is not CallState.ENDED

    @property
    def is_answered(self) -> bool:
        """Tell whether the parties can speak now."""
        return self.state in (CallState.ACTIVE, CallState.BRIDGED)

    @property
    def deadline_ns(self) -> int | None:
        """Give when it ends by itself, unless something happens before: not answered in time, or too long."""
        if not self.is_alive:
            return None
        since_ns, limit_ns = self.began_ns, self._timeout_ns
        if self.answered_ns is not None:
            since_ns, limit_ns = self.answered_ns, self._time_limit_ns
        return None if limit_ns is None else since_ns + limit_ns

    def duration_ns(self, now_ns: int) -> int:
        """Give for how long the parties could speak until now, or until the end."""
        if self.answered_ns is None:
            return 0
        return (now_ns if self.ended_ns is None else self.ended_ns) - self.answered_ns

    def ring(self) -> bool:
        """Have the dialed party's telephone ring."""
        return self._step(CallState.RINGING, CallState.DIALED)

    def answer(self, now_ns: int) -> bool:
        """Let the parties speak."""
        if not self._step(CallState.ACTIVE, CallState.DIALED, CallState.RINGING):
            return False
        self.answered_ns = now_ns
        return True

    def bridge(self) -> bool:
        """Join it to another call."""
        return self._step(CallState.BRIDGED, CallState.ACTIVE)

    def unbridge(self) -> bool:
        """Part it from the other call."""
        return self._step(CallState.ACTIVE, CallState.BRIDGED)

    def end(self, now_ns: int, cause: HangupCause, source: HangupSource) -> bool:
        """End it."""
        if not self._step(CallState.ENDED, *(state for state in CallState if state is not CallState.ENDED)):
            return False
        self.ended_ns, self.cause, self.source = now_ns, cause, source
        return True

    def expire(self, now_ns: int) -> bool:
        """End it if its deadline has come. Nobody in particular did that, so the source is unknown."""
        deadline_ns = self.deadline_ns
        if deadline_ns is None or now_ns < deadline_ns:
            return False
        cause = HangupCause.TIMEOUT if self.answered_ns is None else HangupCause.TIME_LIMIT
        return self.end(deadline_ns, cause, HangupSource.UNKNOWN)

    def _step(self, to: CallState, *before: CallState) -> bool:
        if self.state not in before:
            return False
        self.state = to
        return True
