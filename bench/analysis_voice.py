"""Measure how well, and at what cost, strep.plugins.voice tells when someone speaks, beside WebRTC's detector.

The material is that of bench/speech_material.py, where it also says what counts as speech. The thresholds of the
detector were chosen on every other prompt; what is measured here are the rest. WebRTC's (webrtcvad-wheels, where it is
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
from strep.plugins.base import Finding, Hops
from strep.plugins.voice import Speech, VoiceConfig, VoicePlugin

NOISES: tuple[Noise, ...] = ("white", "pink", "babble")
SNRS_DB = (20.0, 10.0, 5.0)
_HELD_OUT_HALF = 1
_WEBRTC = ((1, False), (2, False), (3, False), (2, True), (3, True))
_HANGOVER_FRAMES = VoiceConfig().hangover_ms // 20


def measure(calls: int = 16, seconds: float = 60.0, streams: int = 2000, rounds: int = 1520) -> dict[str, Any]:
    """Measure precision and recall of frames for every noise, and the cost of a hop for so many streams."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    conditions: list[tuple[Noise, float | None]] = [(noise, snr_db) for noise in NOISES for snr_db in SNRS_DB]
    for noise, snr_db in [("white", None), *conditions] if has_prompts() else []:
        made = [make_call(call, seconds, noise, snr_db, _HELD_OUT_HALF) for call in range(calls)]
        name = "clean" if snr_db is None else f"{noise} {snr_db:.0f} dB"
        found[name] = {"strep": score(made, detect(made))}
        for mode, bridged in _WEBRTC if webrtc() else ():
            label = f"webrtcvad mode {mode}" + ", bridged" * bridged
            found[name][label] = score(made, [detect_by_webrtc(call.samples, mode, bridged=bridged) for call in made])
    samples = conversations(streams, 100)
    cost = {"strep": ns_per_hop(VoicePlugin(), samples, rounds)}
    if webrtc():
        cost["webrtcvad mode 2, per packet"] = ns_per_packet_of_webrtc(samples[:, :20])
    return {"minutes": calls * seconds / 60, "found": found, "streams": streams, "ns_per_hop": cost}


def table(report: dict[str, Any]) -> Table:
    """Show a report."""
    result = Table(title="speech, 20 ms frames: precision / recall", title_justify="left")
    detectors = list(next(iter(report["found"].values()), {"strep": None}))
    result.add_column("")
    for detector in detectors:
        result.add_column(detector, justify="right")
    for name, scores in report["found"].items():
        result.add_row(name, *(f"{precision:.3f} / {recall:.3f}" for precision, recall in scores.values()))
    result.add_section()
    for name, ns in report["ns_per_hop"].items():
        result.add_row(f"ns a hop and stream: {name}", f"{ns:,.0f}")
    return result


def detect(calls: list[Call]) -> list[NDArray[np.bool_]]:
    """Run the plugin over calls of one length, two of which make a pair; gives which frames are speech."""
    samples = np.stack([call.samples for call in calls]).reshape(len(calls) // 2, 2, -1, FRAME_SAMPLES)
    rows, frames = np.arange(len(samples)), samples.shape[2]
    plugin, speech = VoicePlugin(), np.zeros((len(calls), frames), np.bool_)
    plugin.start(len(rows))
    found, state = list[Finding](), np.zeros((len(rows), 2), np.uint8)
    for frame in range(frames):
        position = np.full(len(rows), frame * FRAME_SAMPLES)
        found += plugin.process(Hops(SAMPLE_RATE_HZ, rows, position, position, samples[:, :, frame], state))
    for finding in [*found, *plugin.finish()]:
        if isinstance(finding, Speech):
            first = finding.position // FRAME_SAMPLES
            frames_of_it = slice(first, first + finding.length_samples // FRAME_SAMPLES)
            speech[2 * finding.row + finding.direction, frames_of_it] = True
    return list(speech)


def score(calls: list[Call], found: list[NDArray[np.bool_]]) -> tuple[float, float]:
    """Give precision and recall: of frames that were found, and of those that are speech, so many are both."""
    is_speech, is_found = (np.concatenate(frames) for frames in ([call.speech for call in calls], found))
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
