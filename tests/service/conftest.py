import pytest


def pytest_collection_modifyitems(config, items):
    """Leave out what takes tens of seconds, unless it is asked for by -m soak."""
    if "soak" in config.getoption("-m"):
        return
    for item in items:
        if "soak" in item.keywords and "tests/service" in item.nodeid:
            item.add_marker(pytest.mark.skip(reason="takes tens of seconds: ask for it by -m soak"))
