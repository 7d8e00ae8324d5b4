"""Say of a recording what its media cannot: which call of the platform it is, and in which folder it belongs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from strep.errors import ConfigError

#: File names end at 255 bytes on every common file system, and a character takes up to 4.
_MOST_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class CallAbout:
    """What is known of the call that a recording belongs to.

    document: the part `call` of its sidecar; JSON must have words for it. subfolder: where under the sink's directory
    the recording lies, such as "quarantine" or "2024/05"; it cannot lead out of there.
    Raises ConfigError for a document or a subfolder that cannot be.
    """

    document: Mapping[str, Any]
    subfolder: str = ""

    def __post_init__(self) -> None:
        try:
            json.dumps(dict(self.document), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigError(f"what is known of a call must be JSON, found that {error}") from error
        if self.subfolder and not all(map(_is_plain, self.subfolder.split("/"))):
            raise ConfigError(
                f"subfolder must be names of at most {_MOST_CHARACTERS} characters with / between them, none of them "
                f"hidden, got {self.subfolder!r}"
            )


def _is_plain(name: str) -> bool:
    """Tell whether this names a folder that is neither hidden nor another one, on any system."""
    return 0 < len(name) <= _MOST_CHARACTERS and name.isprintable() and name[0] != "." and not set(name) & set("\\:")
