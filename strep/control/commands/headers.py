"""Be SIP headers that a command adds, and what a command changes of a call's sound."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from strep.control.commands.part import Part


class CustomSipHeader(Part):
    """A SIP header of your own."""

    name: str
    value: str


class SipHeader(Part):
    """One of the standard SIP headers that may be set."""

    name: Literal["User-to-User"]
    value: str


class SoundModifications(Part):
    """Changes of the pitch of a voice: directly, in octaves, or in semitones."""

    pitch: Annotated[float, Field(gt=0)] | None = None
    semitone: Annotated[float, Field(ge=-14, le=14)] | None = None
    octaves: Annotated[float, Field(ge=-1, le=1)] | None = None
    track: str = "outbound"
