"""``twinfolio``: the model as a tool for people. Heavy libraries are imported by the command that needs them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from twinfolio.cli import classify, duplicates, index, oneshot, query, search
from twinfolio.exit_codes import exit_code
from twinfolio.logging import set_up_logging


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 done, 2 an error the user can mend."""
    parser = argparse.ArgumentParser(prog="twinfolio", description="Find the images most like this one.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (query, classify, oneshot, duplicates, index, search):
        command.add_parser(commands)
    options = parser.parse_args(arguments)
    set_up_logging("twinfolio")
    run: Callable[[argparse.Namespace], None] = options.run
    try:
        return exit_code(lambda: run(options))
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
