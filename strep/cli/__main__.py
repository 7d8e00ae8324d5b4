"""Run the command line as `python -m strep.cli`."""

from strep.cli.app import main

main()
