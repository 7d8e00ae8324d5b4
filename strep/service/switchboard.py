"""Tie streams to calls: what webhooks say decides whose a leg is, and whether it is recorded in its place.

No sockets and no tasks: webhooks and events of streams come in, acts (strep.service.calls) and events go out, and the
time comes from `clock_ns`. What a leg that is heard for the first time comes to:

1. Its call was forked here, or a rule accepts it: it is recorded in its place.
2. Its call is over: it is refused; that is the rest of what was on its way. The end of a fork is not that of its call,
   which somebody may fork anew.
3. Otherwise `service.unknown` says: quarantined within bounds, refused, or accepted.

What is refused is told. When a call becomes one of the first kind, its legs in quarantine go on in their place, and
those that were refused are asked about again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from strep.analysis import Found
from strep.analysis.jsonl import describe_found
from strep.audio.formats import PayloadTypeMap
from strep.control.webhooks import WebhookEvent
from strep.service.calls import Act, Call, Phase
from strep.service.codecs import payload_types_from
from strep.service.config import ServiceConfig
from strep.service.directory import CallDirectory
from strep.service.events import CallView, ServiceEvent
from strep.service.quarantine import Quarantine
from strep.service.rules import waits_for
from strep.service.undecided import UndecidedCalls
from strep.sinks.recordings import CallAbout
from strep.stream.events import CloseReason, Event, Leg, StreamClosed, StreamIdentity, StreamOpened, TelephoneEvent
from strep.utc import utc_text
from strep.wire.batch import Endpoint

_log = logging.getLogger(__name__)
QUARANTINE_FOLDER = "quarantine"
_SECOND_NS = 1_000_000_000
#: Ended calls are looked for this often: there may be tens of thousands.
_EXPIRE_EVERY_NS = 60 * _SECOND_NS
_LOOK_EVERY_NS = _SECOND_NS
#: Legs that were refused, told once each until ended calls are looked for again; more of them are counted only: whoever
#: makes legs up must not fill logs.
_MOST_REFUSALS = 1000


@dataclass(frozen=True, slots=True)
class Wires:
    """Where the switchboard's decisions go. None of them may raise.

    act: something is to be done about a call. tell: something happened. show: a call came to another phase.
    end_leg: a leg's recordings are to be closed. readmit: legs that were refused are to be asked about again.
    recorded_bytes: is asked how much was recorded of a leg that is open.
    """

    act: Callable[[Call, Act], None]
    tell: Callable[[ServiceEvent], None]
    show: Callable[[CallView], None]
    end_leg: Callable[[str], None]
    readmit: Callable[[], None]
    recorded_bytes: Callable[[str], int]


class Switchboard:
    """A switchboard that holds the calls. counts: how many of what happened, by the kind of event.

    undecided: the calls that wait for what the rules ask for. changed: is called when what is to be kept for a service
    after this one has changed. clock_ns is the wall clock, steady_ns one that nobody sets.
    """

    def __init__(
        self,
        config: ServiceConfig,
        wires: Wires,
        clock_ns: Callable[[], int],
        steady_ns: Callable[[], int] | None = None,
    ) -> None:
        limits = config.limits
        self.calls = CallDirectory(limits.calls)
        self.quarantine = Quarantine(limits.of_quarantine(), wires.recorded_bytes)
        self.undecided = UndecidedCalls(limits.undecided, limits.undecided_s * _SECOND_NS)
        self.counts: dict[str, int] = {}
        self.changed: Callable[[], None] = lambda: None
        self._config, self._wires, self._clock_ns = config, wires, clock_ns
        self._steady_ns = steady_ns or clock_ns
        self._unknown = config.service.unknown
        self._silence_ns = config.media.idle_timeout_s * _SECOND_NS
        self._streams: dict[tuple[int, int], tuple[StreamIdentity, Call | None]] = {}
        self._refused_any = False
        self._refusals: set[str] = set()
        self._looked_ns = self._expired_ns = 0

    def take(self, event: WebhookEvent) -> None:
        """Take a webhook."""
        now_ns = self._clock_ns()
        is_new = self.calls.get(event.call_control_id or "") is None
        call = self.calls.of_event(event, now_ns)
        if call is None:
            return
        if is_new:
            self._show(call, "call.initiated")
        self.apply(call, lambda: call.take(event, self._config.rules, now_ns))
        if is_new and call.is_kept:
            self.changed()

    def apply(self, call: Call, change: Callable[[], Iterable[Act]]) -> None:
        """Change a call, and do and tell what follows from that."""
        phase, took, failure, was_kept, kept = call.phase, call.takes_media, call.failure, call.is_kept, _kept(call)
        acts = list(change())
        self.calls.index(call)
        if call.phase is Phase.ANSWERED and call.decision is None:
            self.undecided.add(call, self._steady_ns())
        else:
            self.undecided.discard(call)
        if (was_kept or call.is_kept) and _kept(call) != kept:
            self.changed()
        if call.failure is not None and failure is None:
            _log.warning("call %s is not recorded: %s", call.call_control_id, call.failure)
            self._show(call, "call.fork_failed", reason=call.failure)
        if call.phase is not phase:
            self._show(call, f"call.{call.phase.value}")
        if call.takes_media and not took:
            self._release(call)
        for act in acts:
            self._wires.act(call, act)

    def close(self, call: Call) -> None:
        """Close the recordings of a call, whose last packets have come."""
        call.close()
        for leg in legs_of(call):
            self._wires.end_leg(leg)

    def tick(self) -> None:
        """Do what is due. To be called several times a second."""
        now_ns = self._clock_ns()
        for leg in self.quarantine.over(now_ns):
            self._tell("leg.cut_off", leg=leg)
            self._refused_any = True
            self._wires.end_leg(leg)
        for call, reason in self.undecided.over(self._steady_ns()):
            self._give_up(call, reason, now_ns)
        if not 0 <= now_ns - self._looked_ns < _LOOK_EVERY_NS:
            self._looked_ns = now_ns
            for call in self.calls:
                if call.is_forked or call.phase is Phase.INITIATED:
                    self._pass_time(call, now_ns)
        if not 0 <= now_ns - self._expired_ns < _EXPIRE_EVERY_NS:
            self._expired_ns = now_ns
            self.calls.expire(now_ns)
            self._refusals.clear()

    def admits(self, identity: StreamIdentity, endpoint: Endpoint) -> bool:
        """Tell the engine whether a leg that it did not know is to be received."""
        call = self.calls.of_stream(identity)
        if call is not None and call.takes_media:
            return True
        reason = self._why_not(identity, call)
        if reason:
            self._refuse(identity, call, reason)
        elif call is not None and call.is_closed:
            call.let_go()
        return not reason

    def _why_not(self, identity: StreamIdentity, call: Call | None) -> str:
        """Say why media that nobody here asked for is refused; empty: it is not."""
        if call is not None and call.is_closed and call.phase is Phase.ENDED:
            return "the call has ended"
        if self._unknown == "refuse":
            return "service.unknown"
        if self._unknown == "quarantine" and not self.quarantine.admit(identity.call, self._clock_ns()):
            return "limits of quarantine"
        return ""

    def _refuse(self, identity: StreamIdentity, call: Call | None, reason: str) -> None:
        self._refused_any = True
        if identity.call in self._refusals:
            return
        if len(self._refusals) >= _MOST_REFUSALS:
            self.counts["leg.refused"] = self.counts.get("leg.refused", 0) + 1
            return
        self._refusals.add(identity.call)
        self._tell("leg.refused", call, leg=identity.call, reason=reason)

    def payload_types_of(self, identity: StreamIdentity, endpoint: Endpoint) -> PayloadTypeMap | None:
        """Tell the engine what payload types mean in a stream, if more is known than the configuration says."""
        call = self.calls.of_stream(identity)
        told = self._config.media.payload_types
        hints = payload_types_from(call.facts.codecs, told) if call else {}
        return PayloadTypeMap(hints) if hints else None

    def about(self, identity: StreamIdentity) -> CallAbout | None:
        """Tell the sink whose recording it is, and whether it belongs into quarantine."""
        call = self.calls.of_stream(identity)
        folder = QUARANTINE_FOLDER if self.is_quarantined(call) else ""
        if call is None:
            return CallAbout({}, folder) if folder else None
        return CallAbout(self.describe(call), folder)

    def is_quarantined(self, call: Call | None) -> bool:
        """Tell whether what is recorded of a call (None: of one that is not known) belongs into quarantine."""
        is_wanted = call is not None and (call.is_ours or bool(call.decision and call.decision.accept))
        return not is_wanted and self._unknown != "accept"

    def describe(self, call: Call) -> dict[str, Any]:
        """Give what a sidecar says of a call."""
        decision = call.decision
        return call.facts.describe() | {"rule": decision.rule if decision else "", "ended_by": call.ended_by}

    def watch(self, receiver: int, event: Event) -> None:
        """Take an event of a stream."""
        key = receiver, event.slot
        if isinstance(event, StreamOpened):
            self._open(key, event)
        elif isinstance(event, StreamClosed):
            self._close(key, event)
        elif isinstance(event, TelephoneEvent):
            identity, call = self._streams.get(key, (None, None))
            if identity is not None:
                self._tell("digit", call, **_words(identity), digit=event.name, duration_ms=event.duration_ms)

    def take_found(self, found: Found) -> None:
        """Take what a plugin found in a stream, which may be over by now."""
        call = self.calls.of_stream(found.identity)
        words = _words(found.identity) | ({"direction": "both"} if found.is_pair else {})
        self._tell(f"finding.{found.finding.KIND}", call, **words | describe_found(found), at=utc_text(found.time_ns))

    def tell(self, kind: str, call: Call | None = None, **detail: Any) -> None:
        """Tell that something happened."""
        self._tell(kind, call, **detail)

    def _open(self, key: tuple[int, int], event: StreamOpened) -> None:
        identity = event.identity
        call = self.calls.of_stream(identity)
        self._streams[key] = identity, call
        if call is not None:
            call.stream_opened(self._clock_ns())
        self._tell("stream.opened", call, **_words(identity), source=event.source, ssrc=event.ssrc)
        if identity.call in self.quarantine:
            self._tell("leg.quarantined", call, leg=identity.call, source=event.source)

    def _close(self, key: tuple[int, int], event: StreamClosed) -> None:
        identity, call = self._streams.pop(key, (event.report.identity, None))
        report = event.report
        self._tell(
            "stream.closed",
            call,
            **_words(identity),
            reason=event.reason.value,
            packets=sum(source.packets for source in report.sources),
            lost_packets=sum(source.lost for source in report.sources),
            duration_s=round(report.length_samples / max(report.sample_rate_hz, 1), 3),
        )
        if not any(other.call == identity.call for other, _ in self._of_receiver(key[0])):
            self.quarantine.leave(identity.call)
        if call is not None:
            is_idle = event.reason is CloseReason.IDLE
            self.apply(call, lambda: call.stream_closed(self._clock_ns(), is_idle=is_idle))

    def _of_receiver(self, receiver: int) -> Iterator[tuple[StreamIdentity, Call | None]]:
        # Only legs in quarantine are looked for, and of these there are few; but all streams are looked at.
        if self.quarantine:
            yield from (entry for (number, _), entry in self._streams.items() if number == receiver)

    def _release(self, call: Call) -> None:
        """Let the media of a call that it is known now go on in its place."""
        for leg in legs_of(call):
            if self.quarantine.release(leg):
                self._tell("leg.released", call, leg=leg)
        for key, (identity, known) in list(self._streams.items()) if self.quarantine.released else ():
            if known is None and self.calls.of_stream(identity) is call:
                self._streams[key] = identity, call
                call.stream_opened(self._clock_ns())
        if self._refused_any:
            self._refused_any = False
            self._wires.readmit()

    def _pass_time(self, call: Call, now_ns: int) -> None:
        self.apply(call, lambda: call.pass_time(self._silence_ns, now_ns))

    def _give_up(self, call: Call, reason: str, now_ns: int) -> None:
        names = waits_for(self._config.rules, call.facts)
        self.apply(call, lambda: call.give_up(self._config.rules, now_ns))
        _log.warning(
            "call %s was decided without its %s, which no webhook has told (%s); it is %s",
            call.call_control_id,
            ", ".join(names),
            reason,
            "not forked until one does" if call.is_provisional else f"{call.phase.value} by another rule",
        )
        self._tell("call.undecided", call, waits_for=names, reason=reason, is_forked=not call.is_provisional)

    def _show(self, call: Call, kind: str, **detail: Any) -> None:
        self._tell(kind, call, **detail)
        self._wires.show(CallView.of(call))

    def _tell(self, kind: str, call: Call | None = None, /, **detail: Any) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        known = self.describe(call) if call else {}
        self._wires.tell(ServiceEvent(self._clock_ns(), kind, known, detail))


def _kept(call: Call) -> tuple[object, ...]:
    """Give what of a call changes its document. Facts that nobody added to are the same object: it costs little."""
    return call.phase, call.decision, call.is_ours, call.facts


def legs_of(call: Call) -> list[str]:
    """Name the legs that a call's media can come as, as StreamIdentity.call does."""
    if call.pair is not None:
        return [conversation_of(call.pair)]
    return [f"{call.facts.call_leg_id}-{leg.name}" for leg in Leg] if call.facts.call_leg_id else []


def conversation_of(pair: tuple[int, int]) -> str:
    """Name what comes to a pair of ports, as a receiver with rx and tx does."""
    return f"rx-{pair[0]}+tx-{pair[1]}"


def _words(identity: StreamIdentity) -> dict[str, Any]:
    return {"leg": identity.call, "direction": identity.direction.name.lower()}
