"""Make up for short losses: repeat the last pitch period of what came before, fading out.

The rules: only received audio is repeated, never concealed audio; the gain falls in a straight line from 1 to 0 over
60 ms from the first lost sample, and what is lost beyond that is silence. The repetition is the idea of ITU-T G.711
Appendix I (which searches 5 to 15 ms, and adds an overlap that needs to delay the stream: not done here).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strep.compiler import rule

#: After this long, speech has moved on, and repeating it sounds worse than silence (G.711 Appendix I ends here too).
CONCEAL_LIMIT_MS = 60
#: Pitch periods looked for, microseconds: 400 Hz, above a child's voice, down to 67 Hz, below a deep man's.
_SHORTEST_PERIOD_US, _LONGEST_PERIOD_US = 2_500, 15_000


@rule
def _samples_of(time_us: int, sample_rate_hz: int) -> int:
    return (time_us * sample_rate_hz + 500_000) // 1_000_000


@rule
def history_samples(sample_rate_hz: int) -> int:
    """Give the most history that `conceal` looks at, in samples: the longest period, and as much to compare it with."""
    return 2 * _samples_of(_LONGEST_PERIOD_US, sample_rate_hz)


@rule
def conceal(history: NDArray[np.int16], sample_rate_hz: int, made_up: NDArray[np.int16]) -> None:
    """Make up samples that follow `history`, no louder than it.

    history: int16[h], the received samples before the loss, the newest last; below 5 ms of it the result is zeros.
    made_up: int16[m], is filled.
    """
    period, limit = _pitch_period(history, sample_rate_hz), CONCEAL_LIMIT_MS * sample_rate_hz // 1000
    begin = len(history) - period
    for k in range(len(made_up)):
        made_up[k] = 0
        if period > 0 and k < limit:
            made_up[k] = np.rint(history[begin + k % period] * (1 - k / limit))


@rule
def _pitch_period(history: NDArray[np.int16], sample_rate_hz: int) -> int:
    """Find the lag, in samples, at which the newest samples are most like those before them; 0 if history is too short.

    The window compared is as long as the longest lag, or half the history if that is less.
    """
    shortest = max(1, _samples_of(_SHORTEST_PERIOD_US, sample_rate_hz))
    longest = min(history_samples(sample_rate_hz), len(history)) // 2
    if longest < shortest:
        return 0
    # As int32, of which the products are exact, and so are their sums, which are int64.
    samples = history[len(history) - 2 * longest :].astype(np.int32)
    newest, older = samples[longest:], samples[longest - shortest : 2 * longest - shortest]
    energy, period, best = (older * older).sum(), shortest, -np.inf
    for lag in range(shortest, longest + 1):
        older = samples[longest - lag : 2 * longest - lag]
        score = (newest * older).sum() / np.sqrt(energy + 1.0)
        if score > best:
            period, best = lag, score
        if lag < longest:
            energy += samples[longest - lag - 1] ** 2 - older[-1] ** 2
    return period
