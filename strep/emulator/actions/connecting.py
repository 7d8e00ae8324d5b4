"""Connect and disconnect parties: dial, answer, bridge, transfer, reject, hang up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from strep.emulator import refusal
from strep.emulator.about import CallAbout, CallDirection
from strep.emulator.actions import detection, queueing, recording, sessions
from strep.emulator.call import EmulatedCall
from strep.emulator.codec import CODECS
from strep.emulator.exchange import CallMedia, Exchange
from strep.emulator.parameters import Body, is_blank, is_set, number, text
from strep.emulator.recent import Answer
from strep.emulator.states import CallState, HangupCause

_TIMEOUT_S, _TIME_LIMIT_S = 30, 14400


def dial(exchange: Exchange, body: Body) -> tuple[EmulatedCall, Answer]:
    """Dial one or several numbers: the first to answer has the call. Gives the first call, and what is said besides."""
    linked = _linked(exchange, body)
    _check_encryption(body, text(body, "to"))
    given = body["to"]
    numbers = [str(one) for one in given] if isinstance(given, list) else [str(given)]
    if not exchange.make_room():
        raise refusal.no_room()
    session = linked.about.call_session_id if linked else exchange.new_id()
    from_ = linked.about.from_ if linked and is_set(body, "bridge_intent") else text(body, "from")
    calls: list[EmulatedCall] = []
    for to in numbers:
        about = _outgoing(body, from_, to, text(body, "connection_id"), session, text(body, "client_state"))
        calls.append(_dial(exchange, about, body, "bridging" if is_set(body, "bridge_intent") else ""))
    for call in calls:
        call.parks_after_unbridge = text(body, "park_after_unbridge") == "self"
        call.on_answer.append(_leave_others(call, calls))
        if linked and is_set(body, "bridge_on_answer"):
            call.on_answer.append(_bridge_on_answer(call, linked, is_set(body, "prevent_double_bridge")))
    return calls[0], _prepare(exchange, calls, body)


def answer(exchange: Exchange, call: EmulatedCall, body: Body) -> Answer:
    """Answer a call that comes in."""
    if call.about.direction is not CallDirection.INCOMING or call.lifecycle.is_answered:
        raise refusal.unable("Only an incoming call that is not answered yet can be answered.")
    _set_webhooks(call.about, body)
    own = _prepare(exchange, [call], body)
    call.answer(_headers(body, "custom_headers"))
    return own


def reject(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Refuse a call that comes in."""
    if call.about.direction is not CallDirection.INCOMING or call.lifecycle.is_answered:
        raise refusal.unable("Only an incoming call that is not answered yet can be rejected.")
    is_busy = text(body, "cause") == "USER_BUSY"
    call.hang_up(HangupCause.USER_BUSY if is_busy else HangupCause.CALL_REJECTED, call.our_party)


def hang_up(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """End a call; one that was dialed and is not answered yet is cancelled."""
    is_cancelled = not call.lifecycle.is_answered and call.about.direction is CallDirection.OUTGOING
    call.hang_up(HangupCause.ORIGINATOR_CANCEL if is_cancelled else HangupCause.NORMAL_CLEARING, call.our_party)


def bridge(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Join a call to another one, or to the first one in a queue."""
    if not is_blank(body.get("queue")) and not is_blank(body.get("call_control_id")):
        raise refusal.invalid_value("queue", "Either call_control_id or queue must be given, not both.")
    other = _partner(exchange, call, body)
    if is_set(body, "prevent_double_bridge") and other.bridged_to:
        call.hang_up(HangupCause.NORMAL_CLEARING, call.our_party)
        return
    call.parks_after_unbridge = text(body, "park_after_unbridge") == "self"
    recording.from_now_on(exchange, call, body)
    _join(call, other)


def transfer(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Dial somebody, and join the call to that one when it is answered. Until then, and if not, it stays as it is."""
    to = text(body, "to")
    _check_encryption(body, to)
    if not exchange.make_room():
        raise refusal.no_room()
    about = _outgoing(
        body,
        text(body, "from") or call.about.to,
        to,
        call.about.connection_id,
        call.about.call_session_id,
        text(body, "target_leg_client_state"),
    )
    new = _dial(exchange, about, body, "bridging")
    call.parks_after_unbridge = text(body, "park_after_unbridge") == "self"
    new.on_answer.append(_bridge_on_answer(new, call, False))
    _prepare(exchange, [new], body)


def _linked(exchange: Exchange, body: Body) -> EmulatedCall | None:
    """Find the call that a new one belongs to, if one is named."""
    name = text(body, "link_to")
    if not name:
        for flag in ("bridge_on_answer", "bridge_intent", "park_after_unbridge"):
            if body.get(flag):
                raise refusal.missing_parameter("link_to")
        return None
    call = exchange.find(name)
    if call is None:
        raise refusal.invalid_value("link_to", "The value must be the call_control_id of a call.")
    return call


def _partner(exchange: Exchange, call: EmulatedCall, body: Body) -> EmulatedCall:
    if queue := text(body, "queue"):
        return queueing.take_first(exchange, queue, call)
    if text(body, "video_room_id"):
        raise refusal.unable("There are no video rooms here.")
    other = exchange.find(text(body, "call_control_id"))
    if other is None or other is call:
        raise refusal.invalid_call_control_id()
    if other.state is CallState.ENDED:
        raise refusal.call_ended()
    if not other.lifecycle.is_answered:
        raise refusal.not_answered()
    return other


def _join(call: EmulatedCall, other: EmulatedCall) -> None:
    """Join two calls. Whoever they were joined to before hangs up, or is parked, as that was asked to."""
    for one in (call, other):
        partner = one.unbridge()
        if partner and partner not in (call, other) and not partner.parks_after_unbridge:
            partner.hang_up(HangupCause.NORMAL_CLEARING, partner.our_party)
    queueing.leave_for_bridge(call)
    queueing.leave_for_bridge(other)
    call.bridge(other)


def _dial(exchange: Exchange, about: CallAbout, body: Body, state: str) -> EmulatedCall:
    return exchange.dial(
        about,
        CallMedia(_preferred_codec(body)),
        timeout_s=number(body, "timeout_secs", _TIMEOUT_S),
        time_limit_s=number(body, "time_limit_secs", _TIME_LIMIT_S),
        state=state,
    )


def _prepare(exchange: Exchange, calls: Sequence[EmulatedCall], body: Body) -> Answer:
    """Have happen when a call is answered what dial and answer can ask for; say of the first what is known now."""
    own: list[Answer] = []
    for call in calls:
        own.append(recording.on_answer(exchange, call, body))
        sessions.on_answer(exchange, call, body)
        detection.on_answer(exchange, call, body)
        if digits := text(body, "send_digits_on_answer"):
            call.on_answer.append(partial(sessions.press, call, digits))
    return own[0]


def _leave_others(call: EmulatedCall, calls: Iterable[EmulatedCall]) -> Callable[[], None]:
    def leave() -> None:
        for other in calls:
            if other is not call:
                other.hang_up(HangupCause.ORIGINATOR_CANCEL, other.our_party)

    return leave


def _bridge_on_answer(call: EmulatedCall, other: EmulatedCall, prevents_double: bool) -> Callable[[], None]:
    def join() -> None:
        if not other.lifecycle.is_answered or (prevents_double and other.bridged_to):
            call.hang_up(HangupCause.NORMAL_CLEARING, call.our_party)
        else:
            _join(other, call)

    return join


def _outgoing(body: Body, from_: str, to: str, connection_id: str, session: str, client_state: str) -> CallAbout:
    about = CallAbout(
        from_,
        to,
        CallDirection.OUTGOING,
        connection_id,
        session,
        from_display_name=text(body, "from_display_name"),
        client_state=client_state,
        custom_headers=_headers(body, "custom_headers"),
        sip_headers=_headers(body, "sip_headers"),
    )
    _set_webhooks(about, body)
    return about


def _set_webhooks(about: CallAbout, body: Body) -> None:
    """Take note of whom to tell. However a call is told of, it is by POST: the methods asked for are not heeded."""
    about.webhook_url = text(body, "webhook_url") or about.webhook_url
    if isinstance(urls := body.get("webhook_urls"), dict):
        about.webhook_urls = {str(name): _url(name, url) for name, url in urls.items()}
    if isinstance(policies := body.get("webhook_retries_policies"), dict):
        about.retries = {str(name): _retries_ms(policy) for name, policy in policies.items()}


def _url(event_type: str, given: object) -> str:
    """Read a URL: as the description has it, or in a list, as the official client library types it."""
    url = given[0] if isinstance(given, list) and len(given) == 1 else given
    if not isinstance(url, str):
        raise refusal.invalid_value(f"webhook_urls/{event_type}", "The value must be a URL.")
    return url


def _retries_ms(policy: object) -> tuple[int, ...]:
    """Read the delays of a policy: at most 5, and a minute in all."""
    delays = policy.get("retries_ms") if isinstance(policy, dict) else None
    is_list = isinstance(delays, list) and all(type(delay) is int and delay >= 0 for delay in delays)
    if not isinstance(delays, list) or not is_list or len(delays) > 5 or sum(delays) > 60_000:
        detail = "Each policy must have retries_ms: at most 5 delays in milliseconds, 60000 in all."
        raise refusal.invalid_value("webhook_retries_policies", detail)
    return tuple(delays)


def _headers(body: Body, name: str) -> tuple[Mapping[str, object], ...]:
    given = body.get(name)
    return tuple(given) if isinstance(given, list) else ()


def _check_encryption(body: Body, to: str) -> None:
    """Refuse SRTP to a telephone: only SIP has it."""
    if text(body, "media_encryption") == "SRTP" and not to.startswith("sip"):
        raise refusal.srtp_refused()


def _preferred_codec(body: Body) -> str:
    """Choose the first codec asked for that is spoken here."""
    wanted = [name.strip().upper() for name in text(body, "preferred_codecs").split(",")]
    return next((name for name in wanted if name in CODECS), "PCMU")
