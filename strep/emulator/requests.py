"""Read the body of a request."""

from __future__ import annotations

import json

from starlette.requests import Request

from strep.emulator import refusal

#: A hundred times the longest command there is.
_LONGEST_BYTES = 1 << 20


async def read_body(request: Request) -> dict[str, object]:
    """Read a JSON object; no body at all is an empty one. Raises the Refusal for anything else."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > _LONGEST_BYTES:
            raise refusal.bad_request(f"The body is longer than {_LONGEST_BYTES} bytes.")
    try:
        body = json.loads(content.decode()) if content else {}
    except UnicodeDecodeError as error:
        raise refusal.undecodable(error.start) from None
    except (ValueError, RecursionError):
        raise refusal.bad_request("The body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise refusal.bad_request("The body is not a JSON object.")
    return body
