"""Make up for short losses: repeat the last pitch period of what came before, fading out.

The rules: only received audio is repeated, never concealed audio; the gain falls in a straight line from 1 to 0 over
60 ms from the first lost sample, and what is lost beyond that is silence. The repetition is the idea of ITU-T G.711
Appendix I (which searches 5 to 15 ms, and adds an overlap that needs to delay the stream: not done here).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strep.errors import ConfigError

#: After this long, speech has moved on, and repeating it sounds worse than silence (G.711 Appendix I ends here too).
CONCEAL_LIMIT_MS = 60
#: Pitch periods looked for: 400 Hz, above a child's voice, down to 67 Hz, below a deep man's.
_SHORTEST_PERIOD_MS, _LONGEST_PERIOD_MS = 2.5, 15.0

#: Rows that the columns search together: so what they go over several times stays in the cache.
_ROWS_AT_A_TIME = 64


def history_samples(sample_rate_hz: int) -> int:
    """Give the most history that `conceal` looks at, in samples: the longest period, and as much to compare it with."""
    return 2 * round(_LONGEST_PERIOD_MS * sample_rate_hz / 1000)


def conceal(
    history: NDArray[np.int16], length: int, *, sample_rate_hz: int, fade_position: int = 0
) -> NDArray[np.int16]:
    """Make up `length` samples that follow `history`.

    history: int16[h], the received samples before the loss, the newest last; below 5 ms of it the result is zeros.
    fade_position: how many samples of this loss are concealed already. For a loss of several packets, call once for
    each with the same history; the results join without a seam, and equal one call for all.
    Returns int16[length], no louder than the history. Raises ConfigError when a number is negative or the rate is 0.
    """
    if length < 0 or fade_position < 0 or sample_rate_hz <= 0:
        found = f"length {length}, fade_position {fade_position}, sample_rate_hz {sample_rate_hz}"
        raise ConfigError(f"concealment needs lengths from 0 and a positive rate, got {found}")
    period = _pitch_period(history, sample_rate_hz)
    position = np.arange(fade_position, fade_position + length)
    gain = 1 - position / (CONCEAL_LIMIT_MS * sample_rate_hz / 1000)
    if period == 0 or length == 0 or gain[0] <= 0:
        return np.zeros(length, np.int16)
    repeated = history[len(history) - period + position % period]
    return np.rint(repeated * np.maximum(gain, 0)).astype(np.int16)


def conceal_columns(history: NDArray[np.int16], length: int, *, sample_rate_hz: int) -> NDArray[np.int16]:
    """Make up `length` samples behind each of n histories of one length: `conceal` is the twin for one.

    history: int16[n, h]. Returns int16[n, length].
    """
    made = np.zeros((len(history), length), np.int16)
    position = np.arange(length)
    gain = np.maximum(1 - position / (CONCEAL_LIMIT_MS * sample_rate_hz / 1000), 0)
    for first in range(0, len(history), _ROWS_AT_A_TIME):
        some = history[first : first + _ROWS_AT_A_TIME]
        period = _pitch_periods(some, sample_rate_hz)
        if period is None:
            break
        place = some.shape[1] - period[:, None] + position % period[:, None]
        made[first : first + len(some)] = np.rint(np.take_along_axis(some, place, axis=1) * gain)
    return made


def _pitch_periods(history: NDArray[np.int16], sample_rate_hz: int) -> NDArray[np.int64] | None:
    """Find each row's lag as `_pitch_period` does; None if the history is too short."""
    shortest = max(1, round(_SHORTEST_PERIOD_MS * sample_rate_hz / 1000))
    longest = min(history_samples(sample_rate_hz), history.shape[1]) // 2
    if longest < shortest:
        return None
    recent = history[:, history.shape[1] - 2 * longest :].astype(np.float64)
    start = longest - np.arange(shortest, longest + 1)
    # By Fourier transforms, without a loop over lags. The sums are whole numbers below 2^37, which float64 gives to
    # within 0.001: rounded, they are exact, and so the choice is the same as `_pitch_period`'s.
    both, window = np.fft.rfft(recent), np.fft.rfft(recent[:, longest:], 2 * longest)
    likeness = np.rint(np.fft.irfft(both * window.conj(), 2 * longest))[:, start]
    squares = np.cumsum(np.pad(recent, ((0, 0), (1, 0))) ** 2, axis=1)
    energy = squares[:, start + longest] - squares[:, start]
    period: NDArray[np.int64] = shortest + np.argmax(likeness / np.sqrt(energy + 1), axis=1)
    return period


def _pitch_period(history: NDArray[np.int16], sample_rate_hz: int) -> int:
    """Find the lag, in samples, at which the newest samples are most like those before them; 0 if history is too short.

    The window compared is as long as the longest lag, or half the history if that is less.
    """
    shortest = max(1, round(_SHORTEST_PERIOD_MS * sample_rate_hz / 1000))
    longest = min(history_samples(sample_rate_hz), len(history)) // 2
    if longest < shortest:
        return 0
    recent = history[len(history) - 2 * longest :].astype(np.float64)
    window, earlier = recent[longest:], recent[: 2 * longest - shortest]
    # Entry k is for lag `longest - k`. float64 holds these sums exactly, in any order: the choice is the same anywhere.
    likeness = np.correlate(earlier, window, "valid")
    energy = np.convolve(earlier**2, np.ones(longest), "valid")
    score = likeness / np.sqrt(energy + 1)
    return shortest + int(np.argmax(score[::-1]))
