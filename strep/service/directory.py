"""Find calls by what names them: call_control_id in webhooks, call_leg_id in STREP, a port pair for plain RTP."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Iterator

from strep.control.webhooks import WebhookEvent
from strep.service.calls import Call, Phase
from strep.service.facts import CallFacts
from strep.stream.events import StreamIdentity

_SECOND_NS = 1_000_000_000
#: The platform repeats a webhook for some minutes; one that comes after this begins a call anew, which ends at once
#: when it is forked ("call has ended").
_REMEMBER_ENDED_NS = 900 * _SECOND_NS
#: No call is announced and then heard of no more for so long: its hangup was lost.
_REMEMBER_SILENT_NS = 24 * 3600 * _SECOND_NS


class CallDirectory:
    """A call directory that holds at most `capacity` calls. overflowed counts what was not taken in because all of them
    go on.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._calls: OrderedDict[str, Call] = OrderedDict()
        self._by_leg: dict[uuid.UUID, Call] = {}
        self._by_conversation: dict[str, Call] = {}
        self.overflowed = 0

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[Call]:
        return iter(list(self._calls.values()))

    def get(self, call_control_id: str) -> Call | None:
        """Give the call of an id for commands."""
        return self._calls.get(call_control_id)

    def of_stream(self, identity: StreamIdentity) -> Call | None:
        """Give the call that a stream belongs to."""
        if identity.call_leg_id is not None:
            return self._by_leg.get(identity.call_leg_id)
        return self._by_conversation.get(identity.conversation)

    def of_event(self, event: WebhookEvent, now_ns: int) -> Call | None:
        """Give the call that a webhook speaks of, a new one if need be; None: of none, or there are too many."""
        call_control_id = event.call_control_id
        if not call_control_id:
            return None
        call = self._calls.get(call_control_id)
        if call is None:
            if not self._make_room():
                self.overflowed += 1
                return None
            call = self.add(Call(CallFacts(call_control_id).with_event(event), now_ns))
        return call

    def add(self, call: Call) -> Call:
        """Take a call in."""
        self._calls[call.call_control_id] = call
        self.index(call)
        return call

    def index(self, call: Call) -> None:
        """Take note of what a call can be found by since more is known of it."""
        if call.facts.call_leg_id is not None:
            self._by_leg.setdefault(call.facts.call_leg_id, call)

    def allot(self, call: Call, conversation: str) -> None:
        """Take note that the plain RTP of a conversation is that of a call, from now on."""
        self._by_conversation[conversation] = call

    def free(self, call: Call, conversation: str) -> None:
        """Forget that, if it is still so."""
        if self._by_conversation.get(conversation) is call:
            del self._by_conversation[conversation]

    def expire(self, now_ns: int) -> None:
        """Forget calls that ended long ago, or were never heard of again."""
        for call in self:
            keep_ns = _REMEMBER_ENDED_NS if call.phase is Phase.ENDED else _REMEMBER_SILENT_NS
            if now_ns - call.since_ns >= keep_ns and not call.open_streams and not call.is_forked:
                self._forget(call)

    def _make_room(self) -> bool:
        if len(self._calls) < self._capacity:
            return True
        # The oldest that has ended; else one that is not ours. As old ones come first, this looks at few.
        for call in self._calls.values():
            if call.phase is Phase.ENDED and not call.open_streams:
                self._forget(call)
                return True
        return False

    def _forget(self, call: Call) -> None:
        del self._calls[call.call_control_id]
        if call.facts.call_leg_id and self._by_leg.get(call.facts.call_leg_id) is call:
            del self._by_leg[call.facts.call_leg_id]
