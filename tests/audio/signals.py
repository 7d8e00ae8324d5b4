"""Sounds and encoded payloads that the audio tests share."""

from collections.abc import Iterator

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray


def speech_like(seconds: float, rate_hz: int, seed: int = 1) -> NDArray[np.int16]:
    """Sum a few tones that swell and fade at syllable speed, and noise."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    tones = [(150, 3.1, 5000), (410, 2.3, 4000), (1200, 4.7, 2500), (2600, 5.3, 1200)]
    voice = sum(
        amplitude * (0.5 + 0.5 * np.sin(2 * np.pi * swell * time)) * np.sin(2 * np.pi * pitch * time)
        for pitch, swell, amplitude in tones
    )
    noise = np.random.default_rng(seed).normal(0, 200, len(time))
    return np.rint(voice + noise).astype(np.int16)


def tone(hz: float, seconds: float, rate_hz: int, amplitude: float = 10_000) -> NDArray[np.int16]:
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.rint(amplitude * np.sin(2 * np.pi * hz * time)).astype(np.int16)


def audio_frames(samples: NDArray[np.int16], rate_hz: int, frame_samples: int) -> Iterator[av.AudioFrame]:
    for start in range(0, len(samples) - frame_samples + 1, frame_samples):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + frame_samples], format="s16", layout="mono")
        frame.sample_rate = rate_hz
        frame.pts = start
        yield frame


def encoded(
    codec: str, samples: NDArray[np.int16], rate_hz: int, frame_samples: int, options: dict[str, str] | None = None
) -> list[bytes]:
    """Encode by libavcodec to one payload a frame."""
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, AudioCodecContext)
    context.sample_rate, context.layout, context.format = rate_hz, "mono", "s16"
    context.options = options or {}
    return [
        bytes(packet) for frame in audio_frames(samples, rate_hz, frame_samples) for packet in context.encode(frame)
    ]


def snr_db(truth: NDArray[np.int16], found: NDArray[np.int16]) -> float:
    noise = np.sum((truth.astype(float) - found) ** 2)
    return float(10 * np.log10(np.sum(truth.astype(float) ** 2) / max(noise, 1e-9)))


def random_payloads(count: int, size: int, seed: int) -> list[bytes]:
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 256, size, dtype=np.uint8).tobytes() for _ in range(count)]
