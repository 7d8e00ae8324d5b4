"""Tell who speaks when, and how the two sides of a leg talk with each other.

Measured by `python -m bench analysis` on prompts that the thresholds were not chosen on, with known onsets; see
bench/speech_material.py for what counts as speech. Precision / recall of frames of 20 ms by signal to noise ratio, and
beside it the same of webrtcvad in mode 2:

                    strep.plugins.voice                  webrtcvad, mode 2
              20 dB      10 dB      5 dB         20 dB      10 dB      5 dB
    white   .98/.97    .99/.91    .99/.86       .96/.96    .69/.94    .60/.95
    pink    .98/.96    .99/.90    .98/.82       .98/.94    .66/.92    .59/.95
    babble  .97/.96    .96/.92    .91/.87       .84/.98    .62/.97    .57/.98

What is speech is a matter of where one draws the line: with that of the labels 5 dB lower, recall at 20 dB is .945 to
.951, and 5 dB higher, precision .957 to .968. What stands out from the noise without being speech, as music and ringing
tones do, counts as speech here; strep.plugins.silero knows better, at sixty times the cost.

A hop of a stream costs some 0.3 us at 2,000 streams, and a call of webrtcvad 1.7 us.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from strep.plugins.activity import HOP_SAMPLES, ActivityLimits, VoiceActivity
from strep.plugins.base import PluginConfig, Wants
from strep.plugins.conversation import (
    SAMPLE_RATE_HZ,
    ConversationConfig,
    ConversationPlugin,
    Speech,
    SpeechStart,
    Talk,
)

__all__ = ["Speech", "SpeechStart", "Talk", "VoiceConfig", "VoicePlugin"]

_HOP_MS = 1000 * HOP_SAMPLES // SAMPLE_RATE_HZ


class VoiceConfig(ConversationConfig):
    """A voice config that says what is speech; see ConversationConfig for the rest.

    A hop of 20 ms is speech when it stands out from the noise floor by range_share of what the loudest hop of late does
    (in dB), but no less than least_db, and most_db is always enough; speech goes on by keeping_share of that.
    """

    range_share: float = Field(default=0.45, gt=0, lt=1)
    least_db: float = Field(default=8.0, ge=3, le=30)
    most_db: float = Field(default=10.0, ge=3, le=60)
    keeping_share: float = Field(default=0.7, gt=0, le=1)


class VoicePlugin(ConversationPlugin):
    """A voice plugin that finds speech by its energy."""

    NAME: ClassVar[str] = "voice"
    CONFIG: ClassVar[type[PluginConfig]] = VoiceConfig
    wants = Wants(sample_rate_hz=SAMPLE_RATE_HZ, hop_samples=HOP_SAMPLES, is_pair=True)

    def detector(self, streams: int) -> VoiceActivity:
        """Make the detector."""
        config: VoiceConfig = self.config
        limits = ActivityLimits(
            config.range_share,
            config.least_db,
            config.most_db,
            config.keeping_share,
            hangover_hops=config.hangover_ms // _HOP_MS,
        )
        return VoiceActivity(streams, limits)
