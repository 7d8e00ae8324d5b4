"""Hold a recording against what was sent: is it the call, the whole call, and nothing but the call?

1. Channels: left holds, sample for sample, what a decoder makes of the caller's payloads as they were sent; right, the
   agent's. Around that there is silence.
2. Speech: what is in there sounds like what was spoken before it was encoded (signal to noise ratio, codec delay out).
3. Alignment: both begin at the same instant, within ALIGNMENT_MS.
4. Length: the recording is as long as the call, within a packet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import soundfile
from numpy.typing import NDArray

from strep.audio.decoders import new_decoder
from strep.cli.output import counted
from strep.emulator import SentStream
from strep.emulator.codec import PACKETS_PER_SECOND
from strep.sinks.recordings import Recording
from strep.stream.events import Direction

ALIGNMENT_MS = 5
#: A channel is looked for within a second to both sides; what is further off is not in its place in any sense.
_SEARCH_S = 1
_CHANNELS = {Direction.INBOUND: ("left", "caller"), Direction.OUTBOUND: ("right", "agent")}


@dataclass(frozen=True, slots=True)
class Fidelity:
    """What a codec does to speech: what it delays it by, in samples, and the least ratio it leaves.

    Measured on the shipped conversation: G.711 37 dB, G.722 26 dB, Opus (24 kbit/s) 11 dB; each with room for the
    first seconds alone. Opus delays by 312 samples of 48 kHz by its tables; its resampler makes 310 fit best.
    """

    delay_samples: int
    least_snr_db: float


_FIDELITY = {"PCMU": Fidelity(0, 30), "PCMA": Fidelity(0, 30), "G722": Fidelity(22, 20), "OPUS": Fidelity(310, 8)}


@dataclass(frozen=True, slots=True)
class DemoFinding:
    """One thing that was checked."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class _Party:
    """What one channel must hold. expected, spoken: int16[n], after and before the codec."""

    channel: str
    name: str
    expected: NDArray[np.int16]
    spoken: NDArray[np.int16]
    rate_hz: int
    fidelity: Fidelity

    @property
    def is_silent(self) -> bool:
        """Tell whether there is nothing to find it by. A codec may make a little noise even of silence."""
        return not self.expected.any()


def check_recordings(recordings: Sequence[Recording], sent: Mapping[Direction, SentStream]) -> list[DemoFinding]:
    """Check that there is one recording, and that it is what was sent. sent: of leg A, by direction."""
    if len(recordings) != 1:
        return [DemoFinding("one recording", False, f"expected 1 recording of the call, found {len(recordings)}")]
    samples, rate_hz = soundfile.read(str(recordings[0].path), dtype="int16", always_2d=True)
    return check_samples(samples, rate_hz, sent)


def check_datagrams(
    sent: Mapping[Direction, SentStream], datagrams: Mapping[str, int], kernel_drops: int
) -> DemoFinding:
    """Check that every datagram that was sent was accepted, and none else came."""
    count = sum(int(stream.copies.sum()) for stream in sent.values())
    accepted, total = datagrams["accepted"], sum(datagrams.values())
    detail = f"{accepted} of {count}, {total - accepted} others, {kernel_drops} kernel drops"
    return DemoFinding("every datagram arrived", count == accepted == total and not kernel_drops, detail)


def check_samples(samples: NDArray[np.int16], rate_hz: int, sent: Mapping[Direction, SentStream]) -> list[DemoFinding]:
    """Check int16[n, channels] against what was sent."""
    parties = {direction: _party(direction, sent[direction]) for direction in Direction}
    sent_hz = parties[Direction.INBOUND].rate_hz
    if samples.shape[1] != len(Direction) or rate_hz != sent_hz:
        found = f"{samples.shape[1]} channels at {rate_hz} Hz"
        return [DemoFinding("stereo", False, f"expected {len(Direction)} channels at {sent_hz} Hz, found {found}")]
    offsets = {d: None if p.is_silent else _best_offset(samples[:, d], p) for d, p in parties.items()}
    findings = []
    for direction, party in parties.items():
        offset, other = offsets[direction], offsets[Direction(1 - direction)]
        at = offset if offset is not None else other or 0  # silence fits anywhere: take it where the other one is
        findings.append(_check_channel(samples[:, direction], party, at, parties[Direction(1 - direction)]))
    return [*findings, _check_alignment(offsets, rate_hz), _check_length(samples, parties, rate_hz)]


def _party(direction: Direction, stream: SentStream) -> _Party:
    audio_format = stream.stream.codec.format
    decoder = new_decoder(audio_format)
    decoded = [decoder.decode(payload) for payload in stream.payloads()]
    channel, name = _CHANNELS[direction]
    return _Party(
        channel,
        name,
        np.concatenate([np.zeros(0, np.int16), *decoded]),
        stream.samples(),
        audio_format.sample_rate_hz,
        _FIDELITY[audio_format.encoding],
    )


def _best_offset(heard: NDArray[np.int16], party: _Party) -> int:
    """Find the frame where what was sent begins: the lag of the highest correlation, by way of the spectrum."""
    most = _SEARCH_S * party.rate_hz
    size = 1 << (len(heard) + len(party.expected) + most).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(party.expected, size))
    correlation = np.fft.irfft(spectrum, size)
    lags = np.concatenate((np.arange(most + 1), np.arange(-most, 0)))
    return int(lags[np.argmax(correlation[lags])])


def _check_channel(heard: NDArray[np.int16], party: _Party, offset: int, other: _Party) -> DemoFinding:
    name = f"{party.channel} is the {party.name}"
    count = len(party.expected)
    placed = _cut(heard, offset, count)
    differing = np.flatnonzero(placed != party.expected)
    if len(differing):
        if np.array_equal(_cut(heard, _best_offset(heard, other), len(other.expected)), other.expected):
            return DemoFinding(
                name, False, f"expected the {party.name}, found the {other.name}: the channels are swapped"
            )
        at_s = differing[0] / party.rate_hz
        equal = f"{count - len(differing)} of {count} samples as sent"
        return DemoFinding(name, False, f"{equal}; the first that differs is {at_s:.3f} s into the call")
    added = int(np.count_nonzero(heard) - np.count_nonzero(placed))
    if added:
        return DemoFinding(
            name, False, f"expected silence before and after the call, found {counted(added, 'sample')} of sound"
        )
    exact = f"{count} samples as sent"
    if not party.spoken.any():
        return DemoFinding(name, True, f"{exact}; nothing was said")
    snr_db = _snr_db(placed, party)
    least_db = party.fidelity.least_snr_db
    detail = f"{exact}, {snr_db:.1f} dB signal to noise"
    if snr_db < least_db:
        return DemoFinding(name, False, f"{detail}, expected {least_db:g} dB")
    return DemoFinding(name, True, detail)


def _cut(heard: NDArray[np.int16], offset: int, count: int) -> NDArray[np.int16]:
    """Take `count` samples from `offset` on, which may be below 0; silence where there are none."""
    before, after = max(-offset, 0), max(offset + count - len(heard), 0)
    return np.pad(heard, (before, after))[offset + before : offset + before + count]


def _snr_db(placed: NDArray[np.int16], party: _Party) -> float:
    delay = party.fidelity.delay_samples
    heard = placed[delay:].astype(np.float64)
    spoken = party.spoken[: len(heard)].astype(np.float64)
    noise = float(np.square(heard - spoken).sum())
    return 10 * float(np.log10(np.square(spoken).sum() / max(noise, 1)))


def _check_alignment(offsets: Mapping[Direction, int | None], rate_hz: int) -> DemoFinding:
    name = "left and right begin together"
    left, right = offsets[Direction.INBOUND], offsets[Direction.OUTBOUND]
    if left is None or right is None:
        return DemoFinding(name, True, "not measured, for there is nothing to be heard on one side")
    apart_ms = (left - right) / rate_hz * 1000
    return DemoFinding(name, abs(apart_ms) <= ALIGNMENT_MS, f"{abs(apart_ms):.3f} ms apart (most {ALIGNMENT_MS})")


def _check_length(samples: NDArray[np.int16], parties: Mapping[Direction, _Party], rate_hz: int) -> DemoFinding:
    expected = max(len(party.expected) for party in parties.values())
    passed = abs(len(samples) - expected) <= rate_hz // PACKETS_PER_SECOND
    return DemoFinding("as long as the call", passed, f"{len(samples) / rate_hz:.3f} s of {expected / rate_hz:.3f} s")
