"""Load what was compiled of the packet path before a command begins, or say that it is being compiled."""

from __future__ import annotations

from collections.abc import Callable

from strep.cli.errors import say
from strep.compiler import is_available, kept_in, warn_that_nothing_is_kept
from strep.stream.choice import begin_to_compile
from strep.stream.rules import kept_rules

NOTICE = (
    "compiling what is done with every packet, once, beside the work: until then there is room for some tens of calls"
)


def compile_ahead(tell: Callable[[str], None] = say) -> None:
    """Load the compiled rules, or tell that they are being compiled."""
    if kept_rules() is not None or not is_available():
        return
    if kept_in():
        tell(NOTICE)
    else:
        warn_that_nothing_is_kept()
    begin_to_compile()
