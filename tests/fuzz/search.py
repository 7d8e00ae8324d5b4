"""Search one target with atheris: `python -m tests.fuzz.search TARGET [what libFuzzer takes]`.

A process of its own, because strep must be imported for the first time while it is being instrumented, and because
libFuzzer ends the process when it has found something.
"""

import importlib
import sys
import warnings

import atheris

from tests.fuzz import inputs_of


def main() -> None:
    """Run until libFuzzer ends the process."""
    target = sys.argv[1]
    with atheris.instrument_imports(include=["strep"]):
        run = importlib.import_module(f"tests.fuzz.{target}").run
    run(inputs_of(target)[0])  # compiles what has to be compiled, which is no time of an input
    warnings.simplefilter("error")
    atheris.Setup([sys.argv[0], *sys.argv[2:]], run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
