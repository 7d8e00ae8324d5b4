"""Run all tests of a module by the rules as they stand, and again by what is compiled of them."""

from collections.abc import Iterator

import pytest

from strep.stream.choice import rules_by


@pytest.fixture(autouse=True, scope="module", params=["plain", "compiled"])
def path(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let engines have one or the other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("strep.stream.engine.rules_by", lambda _: rules_by(request.param == "compiled"))
        yield
