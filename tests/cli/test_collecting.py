"""The garbage collector leaves alone what a program has loaded."""

import gc

from strep.cli.collecting import spare_collector


def test_what_is_there_is_passed_over_and_what_comes_is_not():
    thresholds = gc.get_threshold()
    try:
        spare_collector()
        assert gc.get_freeze_count() > 10_000
        later = [[]]
        assert any(thing is later for thing in gc.get_objects())
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
