"""Map RTP payload types to audio formats (RFC 3551 table 4, and what the caller adds).

`rtp_clock_hz` is not `sample_rate_hz`: G.722 samples at 16 kHz and counts at 8 kHz (RFC 3551 section 4.5.2).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from strep.errors import ConfigError


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """What a payload type means: `encoding` is the media subtype name of its RTP payload format, upper case.

    parameters: of those that SDP's fmtp gives, the ones without which payloads cannot be read, sorted by name.
    """

    encoding: str
    rtp_clock_hz: int
    sample_rate_hz: int
    channels: int = 1
    parameters: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        name = f"{self.encoding}/{self.rtp_clock_hz}" + (f"/{self.channels}" if self.channels > 1 else "")
        return ";".join([name, *(f"{key}={value}" for key, value in self.parameters)])

    def with_parameters(self, text: str) -> AudioFormat:
        """Add what `octet-align=1; mode-set=7` says of how to read payloads, and leave out the rest; never raises."""
        wanted = _PARAMETERS.get(self.encoding, frozenset())
        pairs = (pair.partition("=") for pair in text.split(";"))
        told = {name.strip().lower(): value.strip() for name, _, value in pairs}
        read = {name: value for name, value in told.items() if name in wanted and _PARAMETER_VALUE.fullmatch(value)}
        return replace(self, parameters=tuple(sorted({**dict(self.parameters), **read}.items())))


#: RFC 3551 section 4.2: receivers take packets of up to 200 ms. What lies behind is not heard, whatever the codec.
LONGEST_PACKET_MS = 200
_PCMU = AudioFormat("PCMU", 8000, 8000)
#: Static payload types of RFC 3551 table 4 that carry audio.
STATIC_PAYLOAD_TYPES: Mapping[int, AudioFormat] = MappingProxyType(
    {
        0: _PCMU,
        2: AudioFormat("G726-32", 8000, 8000),  # taken back as a static type, but in use as one
        3: AudioFormat("GSM", 8000, 8000),
        4: AudioFormat("G723", 8000, 8000),
        5: AudioFormat("DVI4", 8000, 8000),
        6: AudioFormat("DVI4", 16000, 16000),
        7: AudioFormat("LPC", 8000, 8000),
        8: AudioFormat("PCMA", 8000, 8000),
        9: AudioFormat("G722", 8000, 16000),
        10: AudioFormat("L16", 44100, 44100, 2),
        11: AudioFormat("L16", 44100, 44100),
        12: AudioFormat("QCELP", 8000, 8000),
        13: AudioFormat("CN", 8000, 8000),
        15: AudioFormat("G728", 8000, 8000),
        16: AudioFormat("DVI4", 11025, 11025),
        17: AudioFormat("DVI4", 22050, 22050),
        18: AudioFormat("G729", 8000, 8000),
    }
)
#: All of them are small numbers; SDP may say anything, and is not kept.
_PARAMETER_VALUE = re.compile(r"[0-9]{1,3}")
_AMR_PARAMETERS = frozenset({"octet-align", "crc", "robust-sorting", "interleaving"})  # RFC 4867 section 8.1
_PARAMETERS: Mapping[str, frozenset[str]] = MappingProxyType({"AMR": _AMR_PARAMETERS, "AMR-WB": _AMR_PARAMETERS})
_SAMPLES_FASTER_THAN_CLOCK = {"G722": 2}
_RTPMAP = re.compile(r"([A-Za-z0-9_.-]+)(?:/(\d+))?(?:/(\d+))?")
_DEFAULT_CLOCK_HZ = {"OPUS": 48000, "AMR-WB": 16000}
_CLOCK_LIMITS_HZ = (1000, 192_000)


def parse_format(text: str) -> AudioFormat:
    """Read `opus/48000/2`, as in an SDP rtpmap (RFC 8866 section 6.6); the clock defaults to the encoding's, or 8000.

    As in `amr-wb/16000;octet-align=1`, what an SDP fmtp line says may follow. Raises ConfigError when the text is no
    such thing.
    """
    name, _, parameters = text.partition(";")
    match = _RTPMAP.fullmatch(name.strip())
    if match is None:
        raise ConfigError(f"audio format must look like opus/48000/2, got {text!r}")
    encoding = match[1].upper()
    clock_hz = int(match[2]) if match[2] else _DEFAULT_CLOCK_HZ.get(encoding, 8000)
    channels = int(match[3] or 1)
    low, high = _CLOCK_LIMITS_HZ
    if not low <= clock_hz <= high or not 1 <= channels <= 2:
        raise ConfigError(f"audio format needs a clock of {low} to {high} Hz and 1 or 2 channels, got {text!r}")
    format = AudioFormat(encoding, clock_hz, clock_hz * _SAMPLES_FASTER_THAN_CLOCK.get(encoding, 1), channels)
    return format.with_parameters(parameters)


def parse_payload_type(text: str) -> tuple[int, AudioFormat]:
    """Read `116=opus/48000/2` into a payload type and its format. Raises ConfigError when it is no such thing."""
    number, _, name = text.partition("=")
    if not number.strip().isdecimal() or not name or int(number) > 127:
        raise ConfigError(f"payload type must look like 116=opus/48000/2 with a number up to 127, got {text!r}")
    return int(number), parse_format(name)


#: Payload types this platform was seen to use for events; everything else dynamic has to be named by the caller.
_SEEN_DYNAMIC = MappingProxyType({101: AudioFormat("TELEPHONE-EVENT", 8000, 8000)})


class PayloadTypeMap:
    """A map of what a payload type means: the caller's words first, then 101, then RFC 3551's static types."""

    def __init__(self, overrides: Mapping[int, AudioFormat] | None = None) -> None:
        self._formats = {**STATIC_PAYLOAD_TYPES, **_SEEN_DYNAMIC, **(overrides or {})}

    def __getitem__(self, payload_type: int) -> AudioFormat | None:
        return self._formats.get(payload_type)

    def with_overrides(self, overrides: Mapping[int, AudioFormat]) -> PayloadTypeMap:
        """Copy this map with some payload types meaning something else (one call's, say)."""
        return PayloadTypeMap({**self._formats, **overrides})
