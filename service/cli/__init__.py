"""The command ``nyx-learning``.

Exit codes: 0 passed or met; 1 the check or target was not met, or there is not enough evidence; 2 wrong
usage, bad input, unsupported; 130 interrupted; 141 the reader of the output went away.

With ``--json`` a command prints one object on stdout: its result, or ``{"error": {…}}`` with the four parts.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from typing import NoReturn

from ... import __version__
from ...errors import InputInvalid, NyxError
from .commands import COMMANDS, load
from .output import print_error, print_json

__all__ = ["main"]

_INTERRUPTED, _PIPE_CLOSED = 130, 141
_PASSWORD = re.compile(r"(\w+://[^\s:@/]*:)\S*@")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. ``argv``: without the program's name."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in arguments
    try:
        try:
            code = _run(arguments)
        except NyxError as error:
            code = 2
            if as_json:
                print_json({"error": error_document(error)})
            else:
                print_error(error)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)  # noqa: T201 - a command talks to its terminal
        return _INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout once more when it ends, and must not meet the closed pipe again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    return code


def error_document(error: NyxError) -> dict[str, str]:
    """The code and the four parts of an error, as plain JSON."""
    return {
        "code": error.code,
        "what": error.what,
        "expected": error.expected,
        "found": error.found,
        "fix": error.fix,
    }


class _Parser(argparse.ArgumentParser):
    """Wrong usage is an error of four parts, like all bad input."""

    def error(self, message: str) -> NoReturn:
        message = _PASSWORD.sub(r"\1…@", message)  # of a DSN in a wrong place
        raise InputInvalid(
            f"wrong usage: {message}",
            expected=" ".join(self.format_usage().removeprefix("usage: ").split()),
            found=message,
            fix=f"see {self.prog} --help",
        )


def _run(arguments: list[str]) -> int:
    # Only the command that was asked for is imported: the others may need packages of their own.
    named = next((word for word in arguments if not word.startswith("-")), "")
    parser = _Parser(
        prog="nyx-learning",
        description="Learn which strategy to run, and prove what was learned.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"nyx-learning {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    module = load(named) if named in COMMANDS else None
    for name, summary in COMMANDS.items():
        description = module.__doc__ if module is not None and name == named else None
        command = commands.add_parser(
            name,
            help=summary,
            description=description,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_argument("--json", action="store_true", help="print one JSON object instead of text")
        if module is not None and name == named:
            module.add_arguments(command)
    try:
        chosen = parser.parse_args(arguments)
    except SystemExit as leave:  # --help and --version
        return leave.code if isinstance(leave.code, int) else 0
    if module is None:
        parser.error("no command is named")
    return module.run(chosen)
