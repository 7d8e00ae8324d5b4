"""Be messages of a conversation with an AI assistant, by who says them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from strep.control.commands.part import Part


class ToolFunction(Part):
    """The function that an assistant called."""

    name: str


class ToolCall(Part):
    """An assistant's call of a tool."""

    id: str
    type: Literal["function"]
    function: ToolFunction


class UserMessage(Part):
    """What the caller said."""

    role: Literal["user"]
    content: str
    metadata: dict[str, Any] | None = None


class AssistantMessage(Part):
    """What the assistant said, or the tools that it called."""

    role: Literal["assistant"]
    content: str | None = None
    tool_calls: list[ToolCall] | None = None
    metadata: dict[str, Any] | None = None


class ToolMessage(Part):
    """What a tool answered."""

    role: Literal["tool"]
    content: str
    tool_call_id: str
    metadata: dict[str, Any] | None = None


class SystemMessage(Part):
    """A system message that tells the assistant what to do."""

    role: Literal["system"]
    content: str
    metadata: dict[str, Any] | None = None


class DeveloperMessage(Part):
    """A developer message that tells the assistant what to do, as newer models have it."""

    role: Literal["developer"]
    content: str
    metadata: dict[str, Any] | None = None


Message = Annotated[
    UserMessage | AssistantMessage | ToolMessage | SystemMessage | DeveloperMessage, Field(discriminator="role")
]


class PlainMessage(Part):
    """A message as the gathering of information takes it."""

    role: Literal["assistant", "user"] | None = None
    content: str | None = None
