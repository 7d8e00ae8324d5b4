"""Be a value within a parameter of a command: an object with documented names. A dict of the same does as well."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """An object within a command. Names that are not documented are let through: the platform may know them."""

    model_config = ConfigDict(
        frozen=True,
        defer_build=True,
        extra="allow",
        validate_by_name=True,
        validate_by_alias=True,
        alias_generator=lambda name: name.rstrip("_"),  # from_
        protected_namespaces=(),  # the platform has names that begin with model_
    )
