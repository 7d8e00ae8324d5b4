"""Serve a Platform over HTTP as the API describes it: an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from strep.emulator import refusal
from strep.emulator.platform import Platform

PATH_PREFIX = "/v2"


def create_app(platform: Platform) -> Starlette:
    """Make the ASGI application of a platform. Where its lifespan is run, shutting down closes the platform."""

    async def command(request: Request) -> Response:
        platform.check_authorization(request.headers.get("authorization", ""))
        path = request.path_params
        platform.command(path["call_control_id"], path["action"], await _body(request))
        return JSONResponse({"data": {"result": "ok"}})

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with platform:
            yield

    route = Route(PATH_PREFIX + "/calls/{call_control_id}/actions/{action}", command, methods=["POST"])
    handlers = {refusal.Refusal: _refuse, HTTPException: _refuse_path}
    return Starlette(routes=[route], exception_handlers=handlers, lifespan=lifespan)


async def _body(request: Request) -> dict[str, object]:
    """Read a JSON object; no body at all is an empty one."""
    try:
        body = await request.json() if await request.body() else {}
    except (ValueError, RecursionError):
        raise refusal.bad_request("The body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise refusal.bad_request("The body is not a JSON object.")
    return body


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, refusal.Refusal), "it is registered for these only"
    return JSONResponse(error.document(), status_code=error.http_status)


async def _refuse_path(request: Request, _: Exception) -> Response:
    return await _refuse(request, refusal.resource_not_found())
