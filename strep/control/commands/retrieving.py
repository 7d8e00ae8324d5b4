"""Ask what calls there are, and leave a state with one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar
from urllib.parse import quote, urlencode

from pydantic import Field

from strep.control.commands.command import CallCommand, Command, command
from strep.control.commands.kinds import ClientState, NonEmpty, about
from strep.control.commands.results import ActiveCalls, CallStatus, CommandResult
from strep.control.errors import UnexpectedAnswer


@command
class ClientStateUpdate(CallCommand[CommandResult]):
    """Leave a state with a call, which comes back in later webhooks."""

    ACTION: ClassVar[str] = "client_state_update"
    METHOD: ClassVar[str] = "PUT"

    client_state: Annotated[ClientState, about("The state: bytes, or text that is Base64 already.")]


@command
class RetrieveCall(CallCommand[CallStatus]):
    """Ask how a call is."""

    ACTION: ClassVar[str] = "retrieve_call"
    METHOD: ClassVar[str] = "GET"
    RESULT: ClassVar[type[Any]] = CallStatus

    @property
    def path(self) -> str:
        """Give the request's path."""
        return f"/calls/{quote(self.call_control_id, safe=':')}"


@command
class ListActiveCalls(Command[ActiveCalls]):
    """List the calls that are alive, a page at a time.

    page_after: `ActiveCalls.after` of the page before.
    """

    ACTION: ClassVar[str] = "list_active_calls"
    METHOD: ClassVar[str] = "GET"
    RESULT: ClassVar[type[Any]] = ActiveCalls

    connection_id: NonEmpty = Field(kw_only=False, description="Application of yours on the platform.")
    page_limit: Annotated[int | None, about("Calls a page.", ge=1, le=250)] = None
    page_after: Annotated[str | None, about("Begin behind this cursor.")] = None

    @property
    def path(self) -> str:
        """Give the request's path, with its query."""
        asked = {"page[limit]": self.page_limit, "page[after]": self.page_after, **(self.extra or {})}
        query = urlencode({name: str(value) for name, value in asked.items() if value is not None})
        return f"/connections/{quote(self.connection_id, safe='')}/active_calls{'?' if query else ''}{query}"

    def _read(self, document: Mapping[str, object]) -> ActiveCalls:
        calls, meta = document.get("data"), document.get("meta")
        if not isinstance(calls, list):
            raise UnexpectedAnswer(f"expected a JSON list as 'data' in the answer to {self.ACTION}, found none")
        meta = meta if isinstance(meta, dict) else {}
        cursors = meta.get("cursors")
        after = cursors.get("after") if isinstance(cursors, dict) and len(calls) < meta.get("total_items", 0) else None
        page = self._result({"calls": calls, "after": after, "total": meta.get("total_items")})
        page._raw = document
        return page
