"""Measure how well, and at what cost, strep's two detectors of speech (voice, silero) do it, beside WebRTC's.

The material is that of bench/speech_material.py, where it also says what counts as speech. The thresholds of both
plugins were chosen on every other prompt; what is measured here are the rest. Among these are 16 s of screaming
monkeys, and some tones, which count as speech by their energy: so everything is scored once as it is labelled, and once
without the frames of such recordings.

WebRTC's (webrtcvad-wheels, where it is
installed) is called per packet of 20 ms, as it has to be; with pauses bridged as the plugin does it, too.
"""

from __future__ import annotations

import importlib
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from bench.hop_cost import conversations, ns_per_hop
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
from strep.plugins.base import Finding, Hops, Plugin
from strep.plugins.conversation import Speech
from strep.plugins.silero import SileroPlugin
from strep.plugins.voice import VoiceConfig, VoicePlugin

NOISES: tuple[Noise, ...] = ("white", "pink", "babble")
SNRS_DB = (20.0, 10.0, 5.0)
_HELD_OUT_HALF = 1
_WEBRTC = ((1, False), (2, False), (3, False), (2, True), (3, True))
SILERO_IS_MISSING = "silero: not installed (pip install 'strep[silero]')"
SILERO_STREAMS = (2, 100, 1000)
_SILERO_HOPS = 20_000  # of single streams, and 5 of each at least: some seconds altogether
_HANGOVER_FRAMES = VoiceConfig().hangover_ms // 20


Score = tuple[float, float]
Scores = dict[str, dict[str, Score | None]]


def measure(calls: int = 16, seconds: float = 60.0, streams: int = 2000, rounds: int = 1520) -> dict[str, Any]:
    """Measure precision and recall of frames for every noise, and the cost of a hop for so many streams."""
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
    samples = conversations(streams, 100)
    cost = {"strep": ns_per_hop(VoicePlugin(), samples, rounds)}
    if webrtc():
        cost["webrtcvad mode 2, per packet"] = ns_per_packet_of_webrtc(samples[:, :20])
    return {
        "minutes": calls * seconds / 60,
        "found": found,
        "found_without_sounds": found_without_sounds,
        "streams": streams,
        "ns_per_hop": cost,
        "silero_ns_per_hop": ns_per_hop_of_silero(rounds) if silero() else None,
    }


def table(report: dict[str, Any]) -> Table:
    """Show a report."""
    result = Table(title="speech, 20 ms frames: precision / recall", title_justify="left")
    detectors = list(next(iter(report["found"].values()), {"strep": None}))
    result.add_column("")
    for detector in detectors:
        result.add_column(detector, justify="right")
    for part, suffix in (("found", ""), ("found_without_sounds", ", sounds left out")):
        for name, scores in report[part].items():
            result.add_row(name + suffix, *(f"{one[0]:.3f} / {one[1]:.3f}" if one else "-" for one in scores.values()))
        result.add_section()
    for name, ns in report["ns_per_hop"].items():
        result.add_row(f"ns a hop and stream: {name}", f"{ns:,.0f}")
    for count, ns in (report["silero_ns_per_hop"] or {}).items():
        us_a_second = ns * SAMPLE_RATE_HZ / SileroPlugin.wants.hop_samples / 1000
        result.add_row(f"silero, {count} streams", f"{ns:,.0f} ns a hop of 32 ms, {us_a_second:,.0f} us a second")
    if not report["silero_ns_per_hop"]:
        result.add_row(SILERO_IS_MISSING, "-")
    return result


def _detect_by_all(calls: list[Call]) -> dict[str, list[NDArray[np.bool_]] | None]:
    """Run all detectors; None stands for one that is missing."""
    plugin = silero()
    found: dict[str, list[NDArray[np.bool_]] | None] = {
        "strep": detect(calls, VoicePlugin()),
        "silero" if plugin else SILERO_IS_MISSING: detect(calls, plugin) if plugin else None,
    }
    for mode, bridged in _WEBRTC if webrtc() else ():
        label = f"webrtcvad mode {mode}" + ", bridged" * bridged
        found[label] = [detect_by_webrtc(call.samples, mode, bridged=bridged) for call in calls]
    return found


def silero() -> SileroPlugin | None:
    """Make the plugin, None where what it needs is not installed."""
    try:
        return SileroPlugin()
    except ConfigError:
        return None


def ns_per_hop_of_silero(rounds: int) -> dict[str, float]:
    """Give what a hop of 32 ms of a stream costs, by how many streams there are."""
    cost = {}
    for streams in SILERO_STREAMS:
        samples = conversations(streams, 20, hop_samples=SileroPlugin.wants.hop_samples)
        cost[f"{streams:,}"] = ns_per_hop(SileroPlugin(), samples, max(5, min(rounds, _SILERO_HOPS // streams)))
    return cost


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


def ns_per_packet_of_webrtc(samples: NDArray[np.int16]) -> float:
    """Give what a packet costs: int16[hops, streams, FRAME_SAMPLES]; each stream has a detector."""
    detectors = [webrtc().Vad(2) for _ in range(samples.shape[1])]
    start_ns = time.thread_time_ns()
    for hop in samples:
        for detector, packet in zip(detectors, hop, strict=True):
            detector.is_speech(packet.tobytes(), SAMPLE_RATE_HZ)
    return (time.thread_time_ns() - start_ns) / float(samples.shape[0] * samples.shape[1])
