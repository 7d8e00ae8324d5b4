"""Send commands to a platform whose time stands still: `do` carries one out, `refused` gives the code of its error."""

import pytest

from strep.emulator.refusal import Refusal

CONNECTION = "1684641123236054244"
DIALED = {"connection_id": CONNECTION, "from": "+13125550001", "to": "+13125550002"}


@pytest.fixture
def call(platform, told):
    """Give a call that goes on; what was told of its beginning is forgotten."""
    call = platform.incoming_call()
    call.answer()
    told()
    return call


@pytest.fixture
def do(platform):
    def do(call, action, **body):
        return platform.command(call.call_control_id, action, body)

    return do


@pytest.fixture
def dial(platform):
    """Dial, and give the call."""

    def dial(**body):
        return platform.calls[platform.dial({**DIALED, **body})["call_control_id"]]

    return dial


@pytest.fixture
def refused(do):
    def refused(call, action, **body):
        with pytest.raises(Refusal) as error:
            do(call, action, **body)
        return error.value.code

    return refused


@pytest.fixture
def wait(platform, clock):
    """Let time pass."""

    def wait(seconds):
        clock.advance(seconds)
        platform.advance()

    return wait
