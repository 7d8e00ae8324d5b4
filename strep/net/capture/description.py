"""Say in a spool what its datagrams alone do not: to which inputs they came, and what the engine was told.

With it, and with the time of each turn of the receiver (strep.net.spool), whoever reads the spool does what the
receiver did, step by step. It stands as JSON in the comment of each section header.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from strep.audio.formats import parse_format
from strep.errors import ConfigError
from strep.net.address import UdpAddress
from strep.net.endpoints import InputDescription
from strep.stream.engine import EngineConfig

_MARK = "strep_spool"
_VERSION = 1
_PAYLOAD_TYPES = range(128)


@dataclass(frozen=True, slots=True)
class SpoolDescription:
    """What a spool says of its receiver.

    settings: by name, those fields of its EngineConfig that are numbers or truths. payload_types: as text, by number.
    """

    inputs: tuple[InputDescription, ...]
    settings: Mapping[str, int]
    payload_types: Mapping[str, str]

    @classmethod
    def of(cls, inputs: Iterable[InputDescription], config: EngineConfig) -> SpoolDescription:
        """Describe a receiver."""
        settings = {f.name: getattr(config, f.name) for f in fields(config) if f.name != "compiled"}
        meanings = {str(number): config.payload_types[number] for number in _PAYLOAD_TYPES}
        return cls(
            tuple(inputs),
            {name: value for name, value in settings.items() if isinstance(value, int)},
            {number: str(meaning) for number, meaning in meanings.items() if meaning},
        )

    def serialize(self) -> str:
        """Write it as JSON."""
        inputs = [
            {"address": str(i.address), "conversation": i.conversation, "direction": i.direction, "suffix": i.suffix}
            for i in self.inputs
        ]
        document = {"inputs": inputs, "settings": dict(self.settings), "payload_types": dict(self.payload_types)}
        return json.dumps({_MARK: _VERSION} | document, separators=(",", ":"))

    @classmethod
    def parse(cls, comment: str) -> SpoolDescription | None:
        """Read the comment of a section header; None when it is no such description."""
        try:
            document = json.loads(comment)
            if document[_MARK] != _VERSION:
                return None
            described = cls(
                tuple(_input(entry) for entry in document["inputs"]),
                {str(name): int(value) for name, value in document["settings"].items()},
                {str(number): str(text) for number, text in document["payload_types"].items()},
            )
            described.configure(EngineConfig())
        except (ArithmeticError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            # Anybody can write a comment.
            return None
        return described

    def configure(self, config: EngineConfig) -> EngineConfig:
        """Copy a configuration with what the receiver's engine was told. Raises ConfigError."""
        settings: dict[str, Any] = {}
        for known in fields(EngineConfig):
            if isinstance(known.default, int) and known.name in self.settings:
                value = self.settings[known.name]
                settings[known.name] = bool(value) if isinstance(known.default, bool) else value
        meanings = {int(number): parse_format(text) for number, text in self.payload_types.items()}
        if not meanings.keys() <= set(_PAYLOAD_TYPES):
            raise ConfigError(f"expected payload types of 0 to 127, found {max(meanings)}")
        return replace(config, **settings).with_payload_types(meanings)


def _input(entry: Mapping[str, Any]) -> InputDescription:
    conversation, direction = entry["conversation"], entry["direction"]
    if direction not in (0, 1):
        raise ConfigError(f"expected a direction of 0 or 1, found {direction!r}")
    address = UdpAddress.parse(entry["address"])
    return InputDescription(address, conversation and str(conversation), direction, str(entry["suffix"]))
