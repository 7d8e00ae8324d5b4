"""What does it cost to hear streams, all at once and one frame of one stream after the other?

That is the plugins' own code in both forms: given a hop of 2,000 streams in each call, and given a hop of one stream
(of a pair, where the plugin wants pairs) in each call. Beside them is what else is called per packet: WebRTC's detector
of speech, and a Goertzel filter in Python for each of the eight frequencies of digits.
"""

from __future__ import annotations

from typing import Any

from rich.table import Table

from bench.analysis_dtmf import ns_of_python, ns_while_dialling
from bench.analysis_voice import ns_of_webrtc, webrtc
from bench.hop_cost import SECONDS, STREAMS, ns_per_20_ms
from strep.plugins.registry import load_plugin

NAMES = ("level", "voice", "dtmf", "progress", "quality", "echo")
WEBRTC, PYTHON = "webrtcvad mode 2", "Goertzel in Python"
#: What is done per packet, and by which plugin.
_BESIDE = {"voice": WEBRTC, "dtmf": PYTHON}


def measure(streams: int = STREAMS, seconds: float = SECONDS) -> dict[str, Any]:
    """Give nanoseconds per 20 ms of audio and stream, which is heard for so many seconds; None: not installed."""
    return {
        "streams": streams,
        "plugins": {
            name: {
                "all_at_once_ns": ns_per_20_ms(name, streams, seconds),
                "frame_by_frame_ns": ns_per_20_ms(name, 2 if load_plugin(name).wants.is_pair else 1, seconds),
            }
            for name in NAMES
        },
        "per_packet_ns": {WEBRTC: ns_of_webrtc(streams) if webrtc() else None, PYTHON: ns_of_python()},
        "everyone_dials_ns": ns_while_dialling(streams),
    }


def tables(report: dict[str, Any]) -> list[Table]:
    """Show a report. Ratios are to what the plugin costs that hears all at once."""
    title = "ns per 20 ms of audio and stream: in block form, and a call per frame"
    table = Table("", title=title, title_justify="left")
    for heading in (f"{report['streams']:,} streams a call", "a call per frame", "ratio"):
        table.add_column(heading, justify="right")
    for name, found in report["plugins"].items():
        together, alone = found["all_at_once_ns"], found["frame_by_frame_ns"]
        table.add_row(name, f"{together:,.0f}", f"{alone:,.0f}", f"{alone / together:.0f} x")
        if name in _BESIDE:
            beside = report["per_packet_ns"][_BESIDE[name]]
            shown = ("not installed", "-") if beside is None else (f"{beside:,.0f}", f"{beside / together:.0f} x")
            table.add_row(f"  or {_BESIDE[name]}", "", *shown)
        if name == "dtmf":
            table.add_row("  everyone dials", f"{report['everyone_dials_ns']:,.0f}", "", "")
    return [table]
