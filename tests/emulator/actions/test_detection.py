"""Detect answering machines: a party is one when it was told to be."""

import pytest

from strep.emulator import Callee


@pytest.mark.parametrize(
    ("mode", "is_machine", "expected"),
    [
        ("detect", False, [("call.machine.detection.ended", "human")]),
        ("detect", True, [("call.machine.detection.ended", "machine")]),
        (
            "greeting_end",
            True,
            [("call.machine.detection.ended", "machine"), ("call.machine.greeting.ended", "ended")],
        ),
        (
            "detect_beep",
            True,
            [("call.machine.detection.ended", "machine"), ("call.machine.greeting.ended", "beep_detected")],
        ),
        ("premium", False, [("call.machine.premium.detection.ended", "human_residence")]),
        (
            "premium",
            True,
            [
                ("call.machine.premium.detection.ended", "machine"),
                ("call.machine.premium.greeting.ended", "beep_detected"),
            ],
        ),
        ("disabled", True, []),
    ],
)
def test_what_is_found_is_what_the_party_is(platform, dial, told, wait, mode, is_machine, expected):
    platform.callee = Callee(is_machine=is_machine)
    dial(answering_machine_detection=mode)
    wait(1)
    told()
    wait(5)
    assert [(kind, payload["result"]) for kind, payload in told()] == expected


def test_nothing_is_found_once_the_call_has_ended(platform, dial, types, wait):
    call = dial(answering_machine_detection="detect")
    wait(1.5)
    call.hang_up()
    types()
    wait(5)
    assert not types()
