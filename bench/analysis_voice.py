"""Measure how well, and at what cost, both detectors of speech (voice, silero) find it, beside WebRTC's.

The material is that of bench/speech_material.py, where it also says what counts as speech. The thresholds of both
plugins were chosen on every other prompt; what is measured here are the rest. Among these are 16 s of screaming
monkeys, and some tones, which count as speech by their energy: so everything is scored once as it is labelled, and once
without the frames of such recordings.

WebRTC's detector (webrtcvad-wheels, where it is installed) is called per packet of 20 ms, as it has to be: as it is,
and with pauses bridged as the plugin bridges them.
"""

from __future__ import annotations

import functools
import importlib
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.markup import escape
from rich.table import Table

from bench.hop_cost import SECONDS, STREAMS, conversation_hops, ns_per_20_ms
from bench.speech_material import (
    FRAME_SAMPLES,
    SAMPLE_RATE_HZ,
    Call,
    Noise,
    bridge,
    has_prompts,
    make_call,
)
from strep.errors import ConfigError
from strep.plugins.base import Finding, Hops, Plugin, Wants
from strep.plugins.conversation import Speech
from strep.plugins.silero import SileroPlugin
from strep.plugins.voice import VoiceConfig, VoicePlugin

NOISES: tuple[Noise, ...] = ("white", "pink", "babble")
SNRS_DB = (20.0, 10.0, 5.0)
_HELD_OUT_HALF = 1
#: Modes, and whether pauses are bridged. All are in the report, and some are shown.
_WEBRTC = ((1, False), (2, False), (3, False), (2, True), (3, True))
SHOWN = ("voice", "silero", "webrtcvad mode 2", "webrtcvad mode 2, bridged")
_MISSING = {
    "silero": "silero: not installed (pip install 'strep[silero]')",
    "webrtcvad": "webrtcvad: not installed (pip install webrtcvad-wheels)",
}
SILERO_STREAMS = (2, 100, 1000)
_SILERO_SECONDS = 600.0  # of single streams: some seconds of work altogether
_HANGOVER_FRAMES = VoiceConfig().hangover_ms // 20


Score = tuple[float, float]
Scores = dict[str, dict[str, Score | None]]


def measure(calls: int = 16, seconds: float = 60.0, streams: int = STREAMS) -> dict[str, Any]:
    """Measure precision and recall of frames for every noise, and what 20 ms cost for so many streams.

    None stands for a detector that is not installed.
    """
    found: Scores = {}
    found_without_sounds: Scores = {}
    conditions: list[tuple[Noise, float | None]] = [(noise, snr_db) for noise in NOISES for snr_db in SNRS_DB]
    for noise, snr_db in [("white", None), *conditions] if has_prompts() else []:
        made = [make_call(call, seconds, noise, snr_db, _HELD_OUT_HALF) for call in range(calls)]
        name = "clean" if snr_db is None else f"{noise} {snr_db:.0f} dB"
        detected = _detect_by_all(made)
        found[name] = {by: score(made, frames) if frames else None for by, frames in detected.items()}
        found_without_sounds[name] = {
            by: score(made, frames, with_sounds=False) if frames else None for by, frames in detected.items()
        }
    return {
        "minutes": calls * seconds / 60,
        "found": found,
        "found_without_sounds": found_without_sounds,
        "ns_per_20_ms": _costs(streams),
    }


def tables(report: dict[str, Any]) -> list[Table]:
    """Show a report."""
    title = "frames of speech, precision/recall: "
    scores = [
        _score_table(report["found"], title + "as labelled by energy"),
        _score_table(report["found_without_sounds"], title + "without recordings that are no speech"),
    ]
    costs = Table("", title="what it costs to find speech, per stream", title_justify="left")
    costs.add_column("ns per 20 ms", justify="right")
    for name, ns in report["ns_per_20_ms"].items():
        costs.add_row(escape(_MISSING[name]) if ns is None else name, "-" if ns is None else f"{ns:,.0f}")
    return [*scores, costs] if report["found"] else [costs]


def _score_table(found: Scores, title: str) -> Table:
    result = Table("", title=title, title_justify="left")
    for detector in SHOWN:
        result.add_column(detector, justify="right")
    for name, scores in found.items():
        shown = [scores[detector] for detector in SHOWN]
        result.add_row(
            name, *("/".join(f"{one:.3f}".lstrip("0") for one in score) if score else "-" for score in shown)
        )
    return result


def _costs(streams: int) -> dict[str, float | None]:
    """Give what 20 ms of one stream cost each detector."""
    costs: dict[str, float | None] = {f"voice, {streams:,} streams at once": ns_per_20_ms("voice", streams, SECONDS)}
    if webrtc():
        costs["webrtcvad mode 2, a packet at a time"] = ns_of_webrtc(streams)
    else:
        costs["webrtcvad"] = None
    if silero():
        for count in SILERO_STREAMS:
            name = f"silero, {count:,} streams at once"
            costs[name] = ns_per_20_ms("silero", count, min(_SILERO_SECONDS / count, SECONDS))
    else:
        costs["silero"] = None
    return costs


def _detect_by_all(calls: list[Call]) -> dict[str, list[NDArray[np.bool_]] | None]:
    """Run all detectors; None stands for one that is missing."""
    plugin = silero()
    found: dict[str, list[NDArray[np.bool_]] | None] = {
        "voice": detect(calls, VoicePlugin()),
        "silero": detect(calls, plugin) if plugin else None,
    }
    for mode, is_bridged in _WEBRTC:
        label = f"webrtcvad mode {mode}" + ", bridged" * is_bridged
        found[label] = (
            [detect_by_webrtc(call.samples, mode, bridged=is_bridged) for call in calls] if webrtc() else None
        )
    return found


def silero() -> SileroPlugin | None:
    """Make the plugin, None where what it needs is not installed."""
    try:
        return SileroPlugin()
    except ConfigError:
        return None


def detect(calls: list[Call], plugin: Plugin) -> list[NDArray[np.bool_]]:
    """Run a plugin over calls of one length, two of which make a pair; gives which frames are speech.

    A frame is when half of it is in what the plugin finds.
    """
    hop, length = plugin.wants.hop_samples, len(calls[0].samples)
    hops = -(-length // hop)
    samples = np.zeros((len(calls), hops * hop), np.int16)
    samples[:, :length] = [call.samples for call in calls]
    pairs = samples.reshape(len(calls) // 2, 2, hops, hop)
    rows, speech = np.arange(len(pairs)), np.zeros(samples.shape, np.bool_)
    plugin.start(len(rows))
    found, state = list[Finding](), np.zeros((len(rows), 2), np.uint8)
    for number in range(hops):
        position = np.full(len(rows), number * hop)
        found += plugin.process(Hops(SAMPLE_RATE_HZ, rows, position, position, pairs[:, :, number], state))
    for finding in [*found, *plugin.finish()]:
        if isinstance(finding, Speech):
            part = slice(finding.position, finding.position + finding.length_samples)
            speech[2 * finding.row + finding.direction, part] = True
    frames = speech[:, :length].reshape(len(calls), -1, FRAME_SAMPLES)
    return list(frames.mean(axis=2) >= 0.5)


def score(calls: list[Call], found: list[NDArray[np.bool_]], *, with_sounds: bool = True) -> Score:
    """Give precision and recall: of frames that were found, and of those that are speech, so many are both.

    with_sounds: count frames of recordings that are sounds as they are labelled, rather than not at all.
    """
    is_counted = np.concatenate([with_sounds | ~call.is_sound for call in calls])
    is_speech = np.concatenate([call.speech for call in calls]) & is_counted
    is_found = np.concatenate(found) & is_counted
    both = float((is_speech & is_found).sum())
    return both / max(float(is_found.sum()), 1.0), both / max(float(is_speech.sum()), 1.0)


def webrtc() -> Any:
    """Give the module webrtcvad, None where it is not installed."""
    try:
        return importlib.import_module("webrtcvad")
    except ImportError:
        return None


def detect_by_webrtc(samples: NDArray[np.int16], mode: int, *, bridged: bool = False) -> NDArray[np.bool_]:
    """Ask WebRTC's detector of each frame."""
    detector, packets = webrtc().Vad(mode), [frame.tobytes() for frame in samples.reshape(-1, FRAME_SAMPLES)]
    speech = np.array([detector.is_speech(packet, SAMPLE_RATE_HZ) for packet in packets])
    return bridge(speech, _HANGOVER_FRAMES) if bridged else speech


@functools.cache
def ns_of_webrtc(streams: int, packets: int = 20) -> float:
    """Give what a packet of 20 ms costs; each stream has a detector, and so many packets."""
    detectors = [webrtc().Vad(2) for _ in range(streams)]
    took_ns = 0
    for hops in conversation_hops(Wants(SAMPLE_RATE_HZ, FRAME_SAMPLES), streams, packets):
        start_ns = time.thread_time_ns()
        for detector, packet in zip(detectors, hops.samples, strict=True):
            detector.is_speech(packet.tobytes(), SAMPLE_RATE_HZ)
        took_ns += time.thread_time_ns() - start_ns
    return took_ns / (streams * packets)
