"""Serve what only an emulator has, under /emulator: have somebody call, be the other party, set faults, look behind.

    POST /emulator/calls                          somebody calls: {"from", "to", "connection_id", "codec", ...}
    GET  /emulator/calls                          all calls: state, and what their forks sent
    POST /emulator/calls/{call_control_id}/ACT    the other party does something: answer, hangup, dtmf, hold, unhold
    PUT  /emulator/calls/{call_control_id}/impairments
    GET, PUT /emulator/faults                     strep.emulator.faults.Faults
    GET, PUT /emulator/impairments                strep.emulator.impairments.Impairments, of all forks
    GET, PUT /emulator/callee                     strep.emulator.callee.Callee: what whoever is dialed does
    PUT  /emulator/callees/{number}               the same for one number
    GET  /emulator/webhooks                       the public key, and what became of webhooks
    GET  /emulator/events                         the last events

They ask for the same authorisation as the API, and suffer no faults. PUT replaces: what is not given has its default.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from strep.emulator import refusal
from strep.emulator.call import EmulatedCall
from strep.emulator.callee import Callee
from strep.emulator.documents import iso_time
from strep.emulator.faults import Faults
from strep.emulator.impairments import Impairments
from strep.emulator.parameters import Array, Destination, Flag, Number, Object, Parameters, Text
from strep.emulator.platform import Platform
from strep.emulator.requests import read_body
from strep.emulator.script import Pause
from strep.emulator.states import CallState
from strep.errors import ConfigError

PREFIX = "/emulator"
ValueT = TypeVar("ValueT", Faults, Impairments, Callee)

_HEADERS = Array(Object("name", "value"))
_INCOMING = Parameters(
    {
        "from": Text(),
        "to": Destination(),
        "connection_id": Text(),
        "from_display_name": Text(),
        "codec": Text(),
        "payload_type": Number(0, 127),
        "waits_for_fork": Flag(),
        "repeats": Number(1),
        "custom_headers": _HEADERS,
        "sip_headers": _HEADERS,
        "webhook_url": Text(),
    }
)
_DTMF = Parameters({"digits": Text(), "in_band": Flag()}, required=("digits",))
_HOLD = Parameters({"kind": Text()})


def control_routes(platform: Platform) -> list[Route]:
    """Make the routes of a platform."""

    def guarded(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def checked(request: Request) -> Response:
            platform.check_authorization(request.headers.get("authorization", ""))
            platform.advance()
            try:
                return await endpoint(request)
            except ConfigError as error:
                name, _, _ = str(error).partition(":")
                is_named = name.isidentifier()
                raise refusal.invalid_value(name, str(error)) if is_named else refusal.unable(str(error)) from None

        return checked

    api = _ControlApi(platform)
    routes: list[tuple[str, Callable[[Request], Awaitable[Response]], list[str]]] = [
        ("/calls", api.call_in, ["POST"]),
        ("/calls", api.list_calls, ["GET"]),
        ("/calls/{call_control_id}/impairments", api.impair_call, ["PUT"]),
        ("/calls/{call_control_id}/{act}", api.act, ["POST"]),
        ("/faults", api.faults, ["GET", "PUT"]),
        ("/impairments", api.impairments, ["GET", "PUT"]),
        ("/callee", api.callee, ["GET", "PUT"]),
        ("/callees/{number}", api.put_callee, ["PUT"]),
        ("/webhooks", api.webhooks, ["GET"]),
        ("/events", api.events, ["GET"]),
    ]
    return [Route(PREFIX + path, guarded(endpoint), methods=methods) for path, endpoint, methods in routes]


class _ControlApi:
    """What answers the requests."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def call_in(self, request: Request) -> Response:
        body = await read_body(request)
        unknown = sorted(set(body) - set(_INCOMING.rules))
        if unknown:
            raise refusal.invalid_value(unknown[0], "There is no such parameter.")
        _INCOMING.check(body)
        given: dict[str, Any] = {
            "from_" if name == "from" else name: value for name, value in body.items() if value is not None
        }
        return _data(_describe(self._platform.incoming_call(**given)), 201)

    async def list_calls(self, request: Request) -> Response:
        return _data([_describe(call) for call in self._platform.calls.values()])

    async def act(self, request: Request) -> Response:
        call, act, body = self._call(request), request.path_params["act"], await read_body(request)
        if call.state is CallState.ENDED:
            raise refusal.call_ended()
        if act in ("dtmf", "hold", "unhold") and not call.lifecycle.is_answered:
            raise refusal.not_answered()
        if act == "answer":
            call.answer()
        elif act == "hangup":
            call.hang_up()
        elif act == "dtmf":
            _DTMF.check(body)
            call.send_dtmf(str(body["digits"]), in_band=body.get("in_band") is True)
        elif act == "hold":
            _HOLD.check(body)
            call.hold(_pause(body.get("kind")))
        elif act == "unhold":
            call.unhold()
        else:
            raise refusal.resource_not_found()
        return _data(_describe(call))

    async def impair_call(self, request: Request) -> Response:
        call = self._call(request)
        call.impair(_read(Impairments, await read_body(request)))
        return _data(asdict(call.impairments))

    async def faults(self, request: Request) -> Response:
        if request.method == "PUT":
            self._platform.faults = _read(Faults, await read_body(request))
        return _data(asdict(self._platform.faults))

    async def impairments(self, request: Request) -> Response:
        if request.method == "PUT":
            self._platform.impairments = _read(Impairments, await read_body(request))
        return _data(asdict(self._platform.impairments))

    async def callee(self, request: Request) -> Response:
        if request.method == "PUT":
            self._platform.callee = _read(Callee, await read_body(request))
        return _data(asdict(self._platform.callee))

    async def put_callee(self, request: Request) -> Response:
        callee = _read(Callee, await read_body(request))
        self._platform.set_callee(request.path_params["number"], callee)
        return _data(asdict(callee))

    async def webhooks(self, request: Request) -> Response:
        platform = self._platform
        faults = {fault.value: count for fault, count in platform.fault_counts.items()}
        counts = platform.webhook_counts.as_dict()
        return _data(
            {"public_key": platform.public_key, "url": platform.webhook_url, "counts": counts, "faults": faults}
        )

    async def events(self, request: Request) -> Response:
        return _data(list(self._platform.events))

    def _call(self, request: Request) -> EmulatedCall:
        call = self._platform.calls.get(request.path_params["call_control_id"])
        if call is None:
            raise refusal.invalid_call_control_id()
        return call


def _describe(call: EmulatedCall) -> dict[str, object]:
    sent = [
        {
            "leg": leg.name,
            "direction": direction.name.lower(),
            "packets": stream.packets,
            "lost": stream.lost,
            "duplicates": stream.duplicates,
            "refused": stream.refused,
        }
        for (leg, direction), stream in call.sent.items()
    ]
    fork = call.fork and {"stream_type": call.fork.stream_type, "is_active": call.is_forked, "sent": sent}
    about = call.about
    return {
        "call_control_id": call.call_control_id,
        "call_leg_id": str(call.call_leg_id),
        "call_session_id": about.call_session_id,
        "connection_id": about.connection_id,
        "client_state": about.client_state,
        "from": about.from_,
        "to": about.to,
        "direction": about.direction.value,
        "state": call.state.value,
        "bridged_to": call.bridged_to.call_control_id if call.bridged_to else None,
        "codecs": list(call.codecs),
        "start_time": iso_time(call.start_s),
        "end_time": None if call.end_s is None else iso_time(call.end_s),
        "hangup_cause": call.lifecycle.cause,
        "fork": fork,
    }


def _read(kind: type[ValueT], body: Mapping[str, object]) -> ValueT:
    """Make a value of a body. Raises ConfigError when it cannot be."""
    unknown = sorted(set(body) - {field.name for field in fields(kind)})
    if unknown:
        raise refusal.invalid_value(unknown[0], "There is no such parameter.")
    given: dict[str, Any] = dict(body)
    return kind(**given)


def _pause(kind: object) -> Pause:
    try:
        return Pause(str(kind or Pause.ABSENT))
    except ValueError:
        raise refusal.not_enumerated("kind", tuple(Pause)) from None


def _data(data: object, status: int = 200) -> Response:
    return JSONResponse({"data": data}, status)
