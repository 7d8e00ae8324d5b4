import pytest

from strep.emulator import Callee, Outcome
from strep.errors import ConfigError


def test_a_callee_can_be_given_by_the_name_of_its_outcome():
    assert Callee("busy") == Callee(Outcome.BUSY)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"outcome": "faints"}, "outcome: expected one of answers, busy, .*, found 'faints'"),
        ({"rings_after_s": 601}, "rings_after_s: expected 0 to 600, found 601"),
        ({"acts_after_s": "soon"}, "acts_after_s: expected 0 to 600, found 'soon'"),
        ({"is_machine": "yes"}, "is_machine: expected true or false, found 'yes'"),
    ],
)
def test_a_callee_that_cannot_be_is_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        Callee(**wrong)
