"""Read what a session description says about audio: where it is to be sent, and what its payload types mean.

Only that much of RFC 8866, and leniently: what cannot be read is left out, for it comes from a peer.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from strep.audio.formats import AudioFormat, parse_format

_LARGEST_PORT = 65_535
_LARGEST_PAYLOAD_TYPE = 127


@dataclass(frozen=True, slots=True)
class SdpAudio:
    """One audio section: the `ip:port` that wants to receive it, and what its rtpmap and fmtp lines say.

    Static payload types need no rtpmap (RFC 3551), so they may be missing from `formats`.
    """

    address: str
    formats: Mapping[int, AudioFormat]


@dataclass(slots=True)
class _Section:
    port: int
    host: str
    formats: dict[int, AudioFormat] = field(default_factory=dict)
    parameters: dict[int, str] = field(default_factory=dict)

    @property
    def told_formats(self) -> dict[int, AudioFormat]:
        """Give the formats with their parameters, which may stand before them or behind."""
        return {number: it.with_parameters(self.parameters.get(number, "")) for number, it in self.formats.items()}


def parse_sdp_audio(data: bytes) -> tuple[SdpAudio, ...]:
    """List the audio sections that are in use, of a session description or a SIP message around one.

    A section with port 0 was turned down (RFC 3264 section 6), and one without an IP address leads nowhere: both are
    left out. A `c=` line of the section goes before that of the session (RFC 8866 section 5.7). Never raises.
    """
    host, sections = "", list[_Section]()
    in_session = True
    for line in data.decode("latin-1").split("\n"):
        kind, _, value = line.strip().partition("=")
        if kind == "v":  # another description, in a message of several parts
            host, in_session = "", True
        elif kind == "m":
            sections.append(_Section(_audio_port(value), host))
            in_session = False
        elif kind == "c" and in_session:
            host = _host(value)
        elif kind == "c":
            sections[-1].host = _host(value)
        elif kind == "a" and not in_session and value.startswith("rtpmap:"):
            sections[-1].formats.update(_rtpmap(value.removeprefix("rtpmap:")))
        elif kind == "a" and not in_session and value.startswith("fmtp:"):
            sections[-1].parameters.update(_fmtp(value.removeprefix("fmtp:")))
    return tuple(SdpAudio(f"{it.host}:{it.port}", it.told_formats) for it in sections if it.host and it.port)


def _audio_port(value: str) -> int:
    """Read `audio 49170/2 RTP/AVP 0` up to the port; 0 for other media, or none (RFC 8866 section 5.14)."""
    media, _, rest = value.partition(" ")
    port = rest.partition(" ")[0].partition("/")[0]
    if media != "audio" or not port.isdecimal() or len(port) > 5 or int(port) > _LARGEST_PORT:
        return 0
    return int(port)


def _host(value: str) -> str:
    """Read `IN IP4 224.2.1.1/127` (RFC 8866 section 5.7) in its shortest form, brackets around IPv6; or nothing."""
    address = value.split(" ")[-1].partition("/")[0]
    try:
        host = ipaddress.ip_address(address)
    except ValueError:
        return ""
    return f"[{host}]" if host.version == 6 else str(host)


def _rtpmap(value: str) -> dict[int, AudioFormat]:
    """Read `99 opus/48000/2` (RFC 8866 section 6.6)."""
    number, name = _numbered(value)
    try:
        return {} if number is None else {number: parse_format(name)}
    except ValueError:  # ConfigError is one, and so is a number of more digits than int() takes
        return {}


def _fmtp(value: str) -> dict[int, str]:
    """Read `99 octet-align=1; mode-set=7` (RFC 8866 section 6.15)."""
    number, parameters = _numbered(value)
    return {} if number is None else {number: parameters}


def _numbered(value: str) -> tuple[int | None, str]:
    """Part the payload type that a value begins with from the rest; None if it begins with none."""
    number, _, rest = value.partition(" ")
    if not number.isdecimal() or len(number) > 3 or int(number) > _LARGEST_PAYLOAD_TYPE:
        return None, rest
    return int(number), rest
