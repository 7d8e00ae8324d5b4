"""Make of the codecs that webhooks name what the payload-type map needs.

They come without numbers, and nothing else signals those of a fork. But this platform was seen to use few numbers, so
that a codec that was named says what one of them means, where the configuration does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from strep.audio.formats import AudioFormat

_OPUS, _AMR_WB = AudioFormat("OPUS", 48_000, 48_000, 2), AudioFormat("AMR-WB", 16_000, 16_000)
#: Numbers that were seen with this platform.
_SEEN: Mapping[str, tuple[AudioFormat, tuple[int, ...]]] = {
    "OPUS": (_OPUS, (102, 111, 116)),
    "AMR-WB": (_AMR_WB, (100, 110)),
}


def payload_types_from(codecs: Iterable[str], told: Mapping[int, AudioFormat]) -> dict[int, AudioFormat]:
    """Say what payload types mean in a call that names these codecs; what was `told` goes first."""
    hints: dict[int, AudioFormat] = {}
    for name in codecs:
        if name in _SEEN:
            format, numbers = _SEEN[name]
            hints.update(dict.fromkeys(numbers, format))
    return {**hints, **told} if hints else {}
