"""The table of tones can be told apart by what is looked at, and chosen from by country."""

import pytest

from strep.errors import ConfigError
from strep.plugins.tone_table import COUNTRIES, TONES, ToneKind, tones_of


def test_every_country_has_ringing_busy_and_dial_tone():
    for country in COUNTRIES - {"AT", "BE", "CH", "MX"}:
        kinds = {tone.kind for tone in TONES if country in tone.countries}
        assert {ToneKind.RINGBACK, ToneKind.BUSY, ToneKind.DIAL} <= kinds, country
    assert {"US", "CA", "GB", "DE", "FR", "ES", "IT", "NL", "AU", "JP", "CN", "IN", "BR"} <= COUNTRIES


def test_cadences_are_pairs_or_one_length():
    assert all(len(tone.cadence_ms) == 1 or len(tone.cadence_ms) % 2 == 0 for tone in TONES)


def test_no_pulse_is_too_short_for_a_window_of_120_ms():
    assert min(min(tone.cadence_ms) for tone in TONES) >= 200


def test_close_and_modulated_tones_are_one_that_beats():
    beating = {tone.heard_hz for tone in TONES if tone.is_beating}
    assert beating == {(425.5,), (400.0,), (425.0,)}
    assert (440, 480) in {tone.heard_hz for tone in TONES}


def test_chosen_countries_have_their_own_rows_and_those_of_everywhere():
    chosen = tones_of(["GB"])
    assert {country for tone in chosen for country in tone.countries} == {"GB"}
    assert [tone.kind for tone in chosen if not tone.countries] == [ToneKind.FAX_CALLING, ToneKind.FAX_ANSWERING]
    assert tones_of(None) == TONES


def test_an_unknown_country_is_said_to_be_unknown():
    with pytest.raises(ConfigError, match=r"expected countries of AT, .*, found XX, uk"):
        tones_of(["GB", "uk", "XX"])
