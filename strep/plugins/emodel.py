"""Rate a transmission as ITU-T G.107 (06/2015) does, the E-model: how good will people say that it is?

    R = Ro - Is - Id - Ie,eff + A

Ro is the signal against all noise, Is what comes with the voice (too loud, sidetone, quantizing), Id what comes with
delay, Ie,eff what the codec and the loss of packets do, and A what people forgive. All other symbols are those of the
standard. Checked against the values that it works out: R = 93.2 with all defaults, and its Annex B for what R means.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erf, exp, log10, sqrt

from strep.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Equipment:
    """A codec as ITU-T G.113 Appendix I has it.

    ie: impairment without loss. bpl: how well it stands loss, by itself or with concealment.
    """

    ie: float
    bpl: float


#: G.113 (11/2007) tables I.1 and I.4. Those of which no bpl is published have the one of G.711 without concealment,
#: which is the worst that there is.
EQUIPMENT = {
    "PCMU": Equipment(0, 25.1),  # with concealment, which strep has, as most receivers have
    "PCMA": Equipment(0, 25.1),
    "L16": Equipment(0, 25.1),
    "G729": Equipment(11, 19.0),
    "G723": Equipment(15, 16.1),
    "GSM-EFR": Equipment(5, 10.0),
    "AMR": Equipment(5, 10.0),  # at 12.2 kbit/s, where it is GSM-EFR
    "GSM": Equipment(20, 4.3),
    "G726-40": Equipment(2, 4.3),
    "G726-32": Equipment(7, 4.3),
    "G726-24": Equipment(25, 4.3),
    "G726-16": Equipment(50, 4.3),
}


@dataclass(frozen=True, slots=True)
class Path:
    """A transmission path: every parameter of G.107 table 2, with its default there.

    slr, rlr: loudness ratings, dB. stmr, lstr: sidetone, dB. ds, dr: D-values of the telephones. telr, wepl: echo, dB.
    t_ms: mean one-way delay of the echo path; tr_ms: round-trip delay of the four-wire loop; ta_ms: absolute delay.
    qdu: quantizing distortion units. ppl: packets lost, per cent; burst_r: 1 where losses are random. nc_dbm0p,
    nfor_dbmp: circuit noise and noise floor. ps_db, pr_db: noise in the rooms, dB(A). a: advantage factor.
    """

    slr: float = 8
    rlr: float = 2
    stmr: float = 15
    lstr: float = 18
    ds: float = 3
    dr: float = 3
    telr: float = 65
    wepl: float = 110
    t_ms: float = 0
    tr_ms: float = 0
    ta_ms: float = 0
    qdu: float = 1
    ie: float = 0
    bpl: float = 4.3
    ppl: float = 0
    burst_r: float = 1
    nc_dbm0p: float = -70
    nfor_dbmp: float = -64
    ps_db: float = 35
    pr_db: float = 35
    a: float = 0


def rating(path: Path) -> float:
    """Compute the rating factor R of a path. Raises ConfigError for a loss that is no percentage."""
    if not 0 <= path.ppl <= 100 or path.burst_r <= 0:
        raise ConfigError(f"expected a loss of 0 to 100 % and a burst ratio above 0, found {path.ppl}, {path.burst_r}")
    no = _noise(path)
    ro = 15 - 1.5 * (path.slr + no)
    sidetone = _sidetone(path)
    simultaneous = _too_loud(path, no) + sidetone + _quantizing(path, ro)
    return ro - simultaneous - _delay(path, ro, no, sidetone) - _equipment(path) + path.a


def simple_rating(equipment: Equipment, delay_ms: float, loss_percent: float, burst_r: float = 1) -> float:
    """Compute R where only the codec, the delay and the loss are known, and all else is as by default."""
    return rating(
        Path(
            t_ms=delay_ms,
            tr_ms=2 * delay_ms,
            ta_ms=delay_ms,
            ie=equipment.ie,
            bpl=equipment.bpl,
            ppl=loss_percent,
            burst_r=burst_r,
        )
    )


def mos(r: float) -> float:
    """Give the mean opinion (1 to 4.5) that goes with a rating: G.107 Annex B."""
    if r <= 0:
        return 1.0
    return 4.5 if r >= 100 else 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6


def good_or_better_percent(r: float) -> float:
    """Give how many per cent will say that it is good or excellent: G.107 Annex B."""
    return 50 * (1 + erf((r - 60) / 16 / sqrt(2)))


def poor_or_worse_percent(r: float) -> float:
    """Give how many per cent will say that it is poor or bad: G.107 Annex B."""
    return 50 * (1 + erf((45 - r) / 16 / sqrt(2)))


def _noise(path: Path) -> float:
    """Add up all noise at the 0 dBr point, No: equations 7-3 to 7-7."""
    olr = path.slr + path.rlr
    at_sender = path.ps_db - path.slr - path.ds - 100 + 0.004 * (path.ps_db - olr - path.ds - 14) ** 2
    pre = path.pr_db + 10 * log10(1 + 10 ** ((10 - path.lstr) / 10))
    at_receiver = path.rlr - 121 + pre + 0.008 * (pre - 35) ** 2
    sources = (path.nc_dbm0p, at_sender, at_receiver, path.nfor_dbmp + path.rlr)
    return 10 * log10(sum(10 ** (noise / 10) for noise in sources))


def _too_loud(path: Path, no: float) -> float:
    """Rate an overall loudness that is too high, Iolr: equations 7-9 and 7-10."""
    x = path.slr + path.rlr + 0.2 * (64 + no - path.rlr)
    return 20 * (_root(1 + (x / 8) ** 8, 8) - x / 8)


def _sidetone(path: Path) -> float:
    """Rate the sidetone, Ist: equations 7-11 and 7-12."""
    stmro = -10 * log10(10 ** (-path.stmr / 10) + exp(-path.t_ms / 4) * 10 ** (-path.telr / 10))
    return (
        12 * _root(1 + abs((stmro - 13) / 6) ** 8, 8)
        - 28 * _root(1 + abs((stmro + 1) / 19.4) ** 35, 35)
        - 13 * _root(1 + abs((stmro - 3) / 33) ** 13, 13)
        + 29
    )


def _quantizing(path: Path, ro: float) -> float:
    """Rate the quantizing distortion, Iq: equations 7-13 to 7-17."""
    q = 37 - 15 * log10(path.qdu)
    g = 1.07 + 0.258 * q + 0.0602 * q**2
    y = (ro - 100) / 15 + 46 / 8.4 - g / 9
    z = 46 / 30 - g / 40
    return 15 * log10(1 + 10**y + 10**z)


def _delay(path: Path, ro: float, no: float, sidetone: float) -> float:
    """Rate echo and delay, Id = Idte + Idle + Idd: equations 7-18 to 7-28."""
    terv = path.telr - 40 * log10((1 + path.t_ms / 10) / (1 + path.t_ms / 150)) + 6 * exp(-0.3 * path.t_ms**2)
    if path.stmr < 9:
        terv += sidetone / 2
    difference = -1.5 * (no - path.rlr) - (80 + 2.5 * (terv - 14))
    talker = (difference / 2 + sqrt(difference**2 / 4 + 100) - 1) * (1 - exp(-path.t_ms))
    if path.stmr > 20:
        talker = sqrt(talker**2 + sidetone**2)
    difference = ro - 10.5 * (path.wepl + 7) / _root(path.tr_ms + 1, 4)
    listener = difference / 2 + sqrt(difference**2 / 4 + 169)
    return talker + listener + _absolute_delay(path.ta_ms)


def _absolute_delay(ta_ms: float) -> float:
    """Rate a delay that is too long to talk, Idd: equations 7-27 and 7-28, with the default sensitivity."""
    if ta_ms <= 100:
        return 0.0
    x = log10(ta_ms / 100) / log10(2)
    return 25 * (_root(1 + x**6, 6) - 3 * _root(1 + (x / 3) ** 6, 6) + 2)


def _equipment(path: Path) -> float:
    """Rate the codec and the loss, Ie,eff: equation 7-29."""
    if path.ppl == 0:
        return path.ie
    return path.ie + (95 - path.ie) * path.ppl / (path.ppl / path.burst_r + path.bpl)


def _root(x: float, degree: int) -> float:
    return float(x ** (1 / degree))
