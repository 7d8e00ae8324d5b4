from strep.audio.formats import AudioFormat
from strep.service.codecs import payload_types_from
from strep.service.ports import PortPairs
from strep.service.quarantine import Quarantine, QuarantineLimits
from tests.service.notices import SECOND_NS

NOTHING = dict.fromkeys("abcd", 0)


def test_each_pair_of_ports_is_allotted_once():
    pairs = PortPairs(range(9100, 9105))
    assert [pairs.take(0), pairs.take(0), pairs.take(0)] == [(9100, 9101), (9102, 9103), None]


def test_a_pair_rests_before_it_is_allotted_again():
    pairs = PortPairs(range(9100, 9102))
    pair = pairs.take(0)
    assert pair is not None
    pairs.give_back(pair, 10 * SECOND_NS)
    assert pairs.take(14 * SECOND_NS) is None
    assert pairs.take(15 * SECOND_NS) == pair


def test_a_pair_that_a_call_has_already_is_not_given_to_another():
    pairs = PortPairs(range(9100, 9104))
    assert pairs.claim((9100, 9101))
    assert not pairs.claim((9100, 9101))
    assert not pairs.claim((1, 2))
    assert [pairs.take(0), pairs.take(0)] == [(9102, 9103), None]


def quarantine_of(legs, limit_ns, total, most_bytes=1000, recorded=None):
    return Quarantine(QuarantineLimits(legs, limit_ns, total, most_bytes), (recorded or {}).get)


def test_quarantine_takes_so_many_legs_at_a_time_and_in_all():
    quarantine = quarantine_of(2, SECOND_NS, 3, recorded=NOTHING)
    assert [quarantine.admit(leg, 0) for leg in "abac"] == [True, True, True, False]
    quarantine.leave("a")
    assert quarantine.admit("c", 0)
    quarantine.leave("b")
    assert not quarantine.admit("d", 0), "three in all"
    assert (quarantine.admitted, quarantine.refused) == (3, 2)


def test_quarantine_takes_so_much_of_a_leg():
    quarantine = quarantine_of(2, 10 * SECOND_NS, 10, recorded=NOTHING)
    quarantine.admit("a", 0)
    quarantine.admit("b", SECOND_NS)
    assert list(quarantine.over(9 * SECOND_NS)) == []
    assert list(quarantine.over(10 * SECOND_NS)) == ["a"]
    assert list(quarantine.over(10 * SECOND_NS)) == []
    assert "b" in quarantine
    assert not quarantine.admit("a", 11 * SECOND_NS), "or it would go on for ever"


def test_quarantine_takes_so_many_bytes_in_all():
    recorded = {"a": 100, "b": 200}
    quarantine = quarantine_of(3, 10 * SECOND_NS, 10, most_bytes=500, recorded=recorded)
    assert quarantine.admit("a", 0)
    assert list(quarantine.over(0)) == []
    quarantine.leave("a")
    assert quarantine.admit("b", 0)
    recorded["b"] = 399
    assert list(quarantine.over(0)) == []
    recorded["b"] = 400
    assert list(quarantine.over(0)) == ["b"]
    assert quarantine.recorded_bytes == 500
    assert not quarantine.admit("c", 0)


def test_what_is_released_costs_quarantine_nothing():
    recorded = {"a": 499}
    quarantine = quarantine_of(3, 10 * SECOND_NS, 10, most_bytes=500, recorded=recorded)
    quarantine.admit("a", 0)
    assert list(quarantine.over(0)) == []
    quarantine.release("a")
    assert quarantine.recorded_bytes == 0


def test_a_leg_is_released_once():
    quarantine = quarantine_of(2, SECOND_NS, 10, recorded=NOTHING)
    quarantine.admit("a", 0)
    assert quarantine.release("a")
    assert not quarantine.release("a")
    assert quarantine.released == 1
    assert list(quarantine.over(10 * SECOND_NS)) == []


def test_a_codec_that_was_named_says_what_its_usual_numbers_mean():
    opus = AudioFormat("OPUS", 48_000, 48_000, 2)
    assert payload_types_from(("G722", "OPUS"), {}) == {102: opus, 111: opus, 116: opus}
    assert payload_types_from(("G722", "PCMU"), {}) == {}


def test_what_the_configuration_says_goes_before_what_a_codec_hints():
    told = {111: AudioFormat("L16", 16_000, 16_000)}
    assert payload_types_from(("OPUS",), told)[111] == told[111]
