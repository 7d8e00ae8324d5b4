"""List the tones that networks send while a call is set up, by country.

Sources: ITU-T E.180 Supplement 2 (02/2003), "Various tones used in national networks"; E.180 (03/98) for the special
information tone; T.30 for facsimile; BT SIN 350 for GB. The values were compared with those that Asterisk's
indications.conf quotes from them, not with the supplement's own text; Australia's modulated tones (400x17, 425x25) and
that Brazil's 0.25-0.25-0.75-0.25 s means "unobtainable" rest on no second source. Where a country has several tones for
one meaning, those are listed that are heard today. Not listed: China's special information tone (pulses of 0.1 s,
shorter than what is looked at) and tones that differ in level only (Australia's congestion tone).

Frequencies that are added ("+" in the supplement) are all in `hz`; one that modulates another one ("x") is
`modulation_hz`. Two that are nearer to each other than CLOSE_HZ, and a modulated one, are one beating tone to us.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from strep.errors import ConfigError

#: Nearer ones do not come apart in what tone_spectrum looks at; the nearest that must are 440 and 480 Hz, 1.5 % down.
CLOSE_HZ = 37.0


class ToneKind(StrEnum):
    """A tone kind that says what a tone means (ITU-T E.182). Where one tone has several meanings, the earlier one here
    is preferred.
    """

    RINGBACK = "ringback"
    BUSY = "busy"
    CONGESTION = "congestion"
    UNOBTAINABLE = "unobtainable"
    DIAL = "dial"
    SPECIAL_INFORMATION = "special_information"
    FAX_CALLING = "fax_calling"
    FAX_ANSWERING = "fax_answering"
    BEEP = "beep"


@dataclass(frozen=True, slots=True)
class Tone:
    """A row of the table.

    countries: ISO 3166-1, none where it is the same everywhere. cadence_ms: on, off, on, off ...; one length alone is a
    tone that goes on for so long at least.
    """

    kind: ToneKind
    countries: tuple[str, ...]
    hz: tuple[float, ...]
    cadence_ms: tuple[int, ...]
    modulation_hz: float = 0.0

    @property
    def is_beating(self) -> bool:
        """Tell whether it is one tone whose loudness swings."""
        return self.modulation_hz > 0 or (len(self.hz) == 2 and self.hz[1] - self.hz[0] < CLOSE_HZ)

    @property
    def heard_hz(self) -> tuple[float, ...]:
        """Give the frequencies that come apart: two, or one."""
        return (sum(self.hz) / len(self.hz),) if self.is_beating else self.hz

    @property
    def cycle_ms(self) -> int:
        """Give the length of a cycle, in ms."""
        return sum(self.cadence_ms)


#: Longer than every on time of the table (2.5 s), so that no cadence is taken for a dial tone.
_STEADY = (3000,)
_DOUBLE_RING = (400, 200, 400, 2000)
_RING, _BUSY, _CONGESTION = ToneKind.RINGBACK, ToneKind.BUSY, ToneKind.CONGESTION
_UNOBTAINABLE, _DIAL = ToneKind.UNOBTAINABLE, ToneKind.DIAL

TONES: tuple[Tone, ...] = (
    Tone(_RING, ("US", "CA"), (440, 480), (2000, 4000)),
    Tone(_RING, ("GB", "NZ", "AU"), (400, 450), _DOUBLE_RING),
    Tone(_RING, ("AU",), (413, 438), _DOUBLE_RING),
    Tone(_RING, ("AU",), (400,), _DOUBLE_RING, 17),
    Tone(_RING, ("IN",), (400,), _DOUBLE_RING, 25),
    Tone(_RING, ("JP",), (400,), (1000, 2000), 16),
    Tone(_RING, ("DE", "IT", "NL", "BR", "CH", "MX"), (425,), (1000, 4000)),
    Tone(_RING, ("AT",), (420,), (1000, 5000)),
    Tone(_RING, ("BE",), (425,), (1000, 3000)),
    Tone(_RING, ("ES",), (425,), (1500, 3000)),
    Tone(_RING, ("FR",), (440,), (1500, 3500)),
    Tone(_RING, ("CN",), (450,), (1000, 4000)),
    Tone(_BUSY, ("US", "CA"), (480, 620), (500, 500)),
    Tone(_BUSY, ("GB",), (400,), (375, 375)),
    Tone(_BUSY, ("AU",), (425,), (375, 375)),
    Tone(_BUSY, ("JP", "NZ"), (400,), (500, 500)),
    Tone(_BUSY, ("IN",), (400,), (750, 750)),
    Tone(_BUSY, ("DE",), (425,), (480, 480)),
    Tone(_BUSY, ("IT", "NL", "CH", "BE"), (425,), (500, 500)),
    Tone(_BUSY, ("AT",), (420,), (400, 400)),
    Tone(_BUSY, ("BR", "MX"), (425,), (250, 250)),
    Tone(_BUSY, ("ES",), (425,), (200, 200)),
    Tone(_BUSY, ("FR",), (440,), (500, 500)),
    Tone(_BUSY, ("CN",), (450,), (350, 350)),
    Tone(_CONGESTION, ("US", "CA"), (480, 620), (250, 250)),
    Tone(_CONGESTION, ("GB",), (400,), (400, 350, 225, 525)),
    Tone(_CONGESTION, ("IN", "NZ"), (400,), (250, 250)),
    Tone(_CONGESTION, ("DE",), (425,), (240, 240)),
    Tone(_CONGESTION, ("NL",), (425,), (250, 250)),
    Tone(_CONGESTION, ("IT", "CH"), (425,), (200, 200)),
    Tone(_CONGESTION, ("AT",), (420,), (200, 200)),
    Tone(_CONGESTION, ("ES",), (425,), (200, 200, 200, 200, 200, 600)),
    Tone(_CONGESTION, ("CN",), (450,), (700, 700)),
    Tone(_UNOBTAINABLE, ("AU",), (425,), (2500, 500)),
    Tone(_UNOBTAINABLE, ("BR",), (425,), (250, 250, 750, 250)),
    Tone(_UNOBTAINABLE, ("GB",), (400,), _STEADY),
    Tone(_DIAL, ("US", "CA", "GB"), (350, 440), _STEADY),
    Tone(_DIAL, ("DE", "ES", "NL", "BR", "CH", "BE", "MX"), (425,), _STEADY),
    Tone(_DIAL, ("AT",), (420,), _STEADY),
    Tone(_DIAL, ("IT",), (425,), (200, 200, 600, 1000)),
    Tone(_DIAL, ("FR",), (440,), _STEADY),
    Tone(_DIAL, ("CN",), (450,), _STEADY),
    Tone(_DIAL, ("JP", "NZ"), (400,), _STEADY),
    Tone(_DIAL, ("IN",), (400,), _STEADY, 25),
    Tone(_DIAL, ("AU",), (413, 438), _STEADY),
    Tone(_DIAL, ("AU",), (425,), _STEADY, 25),
    # T.30, CNG: 0.5 s on, 3 s off, each +-15 %. CED: 2.6 to 4.0 s; this is 2.6 less the tolerance of cadences.
    Tone(ToneKind.FAX_CALLING, (), (1100,), (500, 3000)),
    Tone(ToneKind.FAX_ANSWERING, (), (2100,), (2300,)),
)

#: E.180: three tones one after the other, each so far off at most, 330 +-70 ms long with up to 30 ms between;
#: North America's (914 or 985, 1371 or 1429, 1777 Hz, 274 or 380 ms) are within that.
SPECIAL_INFORMATION_HZ = (950.0, 1400.0, 1800.0)
SPECIAL_INFORMATION_OFF_HZ = 50.0
COUNTRIES = frozenset(country for tone in TONES for country in tone.countries)


def tones_of(countries: Iterable[str] | None) -> tuple[Tone, ...]:
    """Choose the rows of some countries, None for all; what is the same everywhere is always in.

    Raises ConfigError for a country that has no row.
    """
    if countries is None:
        return TONES
    chosen = frozenset(countries)
    if unknown := sorted(chosen - COUNTRIES):
        raise ConfigError(f"expected countries of {', '.join(sorted(COUNTRIES))}, found {', '.join(unknown)}")
    chosen_rows = list[Tone]()
    for tone in TONES:
        named = tuple(country for country in tone.countries if country in chosen)
        if named or not tone.countries:
            chosen_rows.append(Tone(tone.kind, named, tone.hz, tone.cadence_ms, tone.modulation_hz))
    return tuple(chosen_rows)
