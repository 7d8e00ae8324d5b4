"""Write what the platform says of a call: the call resource of its answers, and the payloads of its webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from strep.emulator.call import EmulatedCall
from strep.emulator.states import NS_PER_S

Document = dict[str, object]

#: In every webhook of a call, but for those that the description leaves one out of.
_IDS = ("call_control_id", "call_leg_id", "call_session_id", "client_state", "connection_id")
_PARTIES = ("from", "to")
_START = ("start_time", "custom_headers", "sip_headers", "tags")
#: What each event says of the call besides; what it says of itself comes from whoever tells it.
COMMON_FIELDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "call.ai_gather.ended": _PARTIES,
        "call.ai_gather.message_history_updated": _PARTIES,
        "call.ai_gather.partial_results": _PARTIES,
        "call.answered": (*_PARTIES, *_START),
        "call.bridged": _PARTIES,
        "call.conversation.ended": _PARTIES,
        "call.dequeued": (),
        "call.dtmf.received": _PARTIES,
        "call.enqueued": (),
        "call.fork.started": (),
        "call.fork.stopped": (),
        "call.gather.ended": _PARTIES,
        "call.hangup": (*_PARTIES, *_START),
        "call.hold": _PARTIES,
        "call.initiated": (*_PARTIES, *_START, "caller_id_name", "connection_codecs", "direction", "offered_codecs"),
        "call.machine.detection.ended": _PARTIES,
        "call.machine.greeting.ended": _PARTIES,
        "call.machine.premium.detection.ended": _PARTIES,
        "call.machine.premium.greeting.ended": _PARTIES,
        "call.playback.ended": (),
        "call.playback.started": (),
        "call.recording.saved": (),
        "call.refer.completed": _PARTIES,
        "call.refer.failed": _PARTIES,
        "call.refer.started": _PARTIES,
        "call.speak.ended": (),
        "call.speak.started": (),
        "call.unhold": _PARTIES,
        "siprec.started": (),
        "siprec.stopped": (),
        "streaming.started": (),
        "streaming.stopped": (),
    }
)


def iso_time(now_s: float) -> str:
    """Write a time as the platform does: 2018-02-02T22:25:27.521992Z. now_s: since 1970."""
    return datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def payload(call: EmulatedCall, event_type: str, own: Mapping[str, object]) -> Document:
    """Write an event's payload. own: what it says besides what it says of the call."""
    about = _about(call)
    ids = [name for name in _IDS if (event_type, name) != ("call.recording.saved", "call_control_id")]
    names = (*ids, *COMMON_FIELDS[event_type])
    return {**{name: about[name] for name in names}, **own}


def event(event_type: str, event_id: str, occurred_at: str, contents: Mapping[str, object]) -> Document:
    """Write a webhook's document but for the number of the attempt, which only its delivery knows."""
    return {
        "data": {
            "record_type": "event",
            "event_type": event_type,
            "id": event_id,
            "occurred_at": occurred_at,
            "payload": dict(contents),
        }
    }


def call_resource(call: EmulatedCall, now_ns: int) -> Document:
    """Write what GET /calls/{call_control_id} says of a call."""
    resource: Document = {
        **_listed(call, now_ns),
        "is_alive": call.lifecycle.is_alive,
        "start_time": iso_time(call.start_s),
    }
    if call.end_s is not None:
        resource["end_time"] = iso_time(call.end_s)
    return resource


def active_call(call: EmulatedCall, now_ns: int) -> Document:
    """Write what the list of active calls says of a call."""
    return _listed(call, now_ns)


def _listed(call: EmulatedCall, now_ns: int) -> Document:
    return {
        "record_type": "call",
        "call_control_id": call.call_control_id,
        "call_leg_id": str(call.call_leg_id),
        "call_session_id": call.about.call_session_id,
        "client_state": call.about.client_state,
        "call_duration": call.lifecycle.duration_ns(now_ns) // NS_PER_S,
    }


def _about(call: EmulatedCall) -> Document:
    about, codecs = call.about, ",".join(call.codecs)
    return {
        "call_control_id": call.call_control_id,
        "call_leg_id": str(call.call_leg_id),
        "call_session_id": about.call_session_id,
        # Not there until a command gave it: the platform says null then.
        "client_state": about.client_state or None,
        "connection_id": about.connection_id,
        "from": about.from_,
        "to": about.to,
        "direction": about.direction.value,
        "caller_id_name": about.from_display_name or about.from_,
        "connection_codecs": codecs,
        "offered_codecs": codecs,
        "custom_headers": list(about.custom_headers),
        "sip_headers": list(about.sip_headers),
        "start_time": iso_time(call.start_s),
        "tags": [],
    }
