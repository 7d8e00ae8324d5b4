import asyncio
import signal

import pytest

from strep.cli.signals import Interrupted, deferred_interrupt, stop_event
from tests.receiving import BOUND_S

SIGNALS = [signal.SIGINT, signal.SIGTERM]


def handlers():
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.fixture(autouse=True)
def unchanged_handlers():
    before = handlers()
    yield
    assert handlers() == before


@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupt_waits_for_the_check(number):
    with deferred_interrupt() as check:
        check()
        signal.raise_signal(number)
        with pytest.raises(Interrupted):
            check()


def test_a_second_interrupt_does_not_wait():
    with deferred_interrupt():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_signal_sets_the_event(number):
    with stop_event() as stopped:
        assert not stopped.is_set()
        signal.raise_signal(number)
        await asyncio.wait_for(stopped.wait(), BOUND_S)


async def test_after_the_first_signal_the_former_handlers_are_back():
    before = handlers()
    with stop_event() as stopped:
        assert handlers() != before
        signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(stopped.wait(), BOUND_S)
        assert handlers() == before
