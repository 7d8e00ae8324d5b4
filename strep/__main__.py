"""Run the command line as `python -m strep`."""

from strep.cli.app import main

main()
