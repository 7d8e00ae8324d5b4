"""Serve a Platform over HTTP as the API describes it: an ASGI application.

The paths are there with /v2 and, as the older API has them, without. What only an emulator has lies under /emulator
(strep.emulator.control_api).
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from strep.emulator import refusal
from strep.emulator.control_api import control_routes
from strep.emulator.faults import Fault
from strep.emulator.platform import Platform
from strep.emulator.requests import read_body

PATH_PREFIX = "/v2"
#: All of them, so that a wrong method is refused in the API's own words.
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
#: As the platform has it for its lists.
_PAGE_SIZE, _LARGEST_PAGE = 20, 250

Endpoint = Callable[[Request], Awaitable[Response]]


def create_app(platform: Platform) -> Starlette:
    """Make the ASGI application of a platform. Where its lifespan is run, shutting down closes the platform."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with platform:
            yield

    routes = [
        Route(prefix + path, _with_faults(platform, endpoint), methods=_METHODS)
        for prefix in (PATH_PREFIX, "")
        for path, endpoint in _endpoints(platform).items()
    ]
    handlers = {refusal.Refusal: _refuse, HTTPException: _refuse_path, ClientDisconnect: _give_up}
    routes += control_routes(platform)
    return Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)


def _endpoints(platform: Platform) -> Mapping[str, Endpoint]:
    async def dial(request: Request) -> Response:
        _check_method(request, "POST")
        return _data(platform.dial(await read_body(request)))

    async def retrieve(request: Request) -> Response:
        _check_method(request, "GET")
        return _data(platform.retrieve(request.path_params["call_control_id"]))

    async def command(request: Request) -> Response:
        action = request.path_params["action"]
        _check_method(request, "PUT" if action == "client_state_update" else "POST")
        return _data(platform.command(request.path_params["call_control_id"], action, await read_body(request)))

    async def active_calls(request: Request) -> Response:
        _check_method(request, "GET")
        calls = platform.active_calls(request.path_params["connection_id"])
        return JSONResponse(_page(calls, request))

    return {
        "/calls": dial,
        "/calls/{call_control_id}": retrieve,
        "/calls/{call_control_id}/actions/{action}": command,
        "/connections/{connection_id}/active_calls": active_calls,
    }


def _with_faults(platform: Platform, endpoint: Endpoint) -> Endpoint:
    """Have the platform's faults befall an endpoint: before it does anything, or after it has done it."""

    async def faulty(request: Request) -> Response:
        platform.check_authorization(request.headers.get("authorization", ""))
        faults = platform.faults
        fault = platform.answer_fault(request.path_params.get("call_control_id", ""))
        if fault is Fault.RATE_LIMITED:
            raise refusal.rate_limited(faults.rate_limit_reset_s)
        if fault is Fault.SERVER_ERROR:
            raise refusal.server_error()
        response = await endpoint(request)
        if fault is Fault.ANSWER_LOST:
            raise refusal.server_error()
        if fault is Fault.TIMEOUT:
            await platform.dawdle(faults.timeout_s)
            raise refusal.gateway_timeout()
        return response

    return faulty


def _data(answer: Mapping[str, object]) -> Response:
    return JSONResponse({"data": dict(answer)})


def _page(items: list[dict[str, object]], request: Request) -> dict[str, object]:
    """Cut a list into pages, by number (page[number], page[size]) or from an item on (page[after], page[limit])."""
    query = request.query_params
    size = _query_number(query.get("page[size]") or query.get("page[limit]"), _PAGE_SIZE, _LARGEST_PAGE)
    first = (_query_number(query.get("page[number]"), 1, len(items) + 1) - 1) * size
    ids = [str(item["call_control_id"]) for item in items]
    if (after := query.get("page[after]")) in ids:
        first = ids.index(str(after)) + 1
    shown = items[first : first + size]
    meta: dict[str, object] = {
        "total_items": len(items),
        "total_results": len(items),
        "total_pages": math.ceil(len(items) / size),
        "page_number": first // size + 1,
        "page_size": size,
        "cursors": {"before": ids[first], "after": ids[first + len(shown) - 1]} if shown else {},
    }
    return {"data": shown, "meta": meta}


def _query_number(text: str | None, default: int, most: int) -> int:
    return min(max(int(text), 1), most) if text and text.isdecimal() and len(text) < 10 else default


def _check_method(request: Request, method: str) -> None:
    if request.method != method:
        raise refusal.method_not_allowed()


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, refusal.Refusal), "it is registered for these only"
    return Response(json.dumps(error.document()), error.http_status, error.headers, "application/json")


async def _refuse_path(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "it is registered for these only"
    is_method = error.status_code == 405
    return await _refuse(request, refusal.method_not_allowed() if is_method else refusal.resource_not_found())


async def _give_up(_: Request, error: Exception) -> Response:
    return Response(status_code=400)  # whoever asked has gone, and will not read it
