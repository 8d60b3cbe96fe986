"""Which commands there are. A command is a module of this package; it is imported when it is asked for."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from importlib import import_module
from typing import Protocol, cast

__all__ = ["COMMANDS", "Command", "load"]

COMMANDS: Mapping[str, str] = {
    "demo": "watch a small, real orchestrator learn, and verify every decision",
    "replay": "let policies learn and choose on a table of recorded executions",
    "import": "read decisions and rewards from a file, and learn from them",
    "export": "write decisions and rewards to a file: JSONL, CSV or Parquet",
    "evaluate": "judge from a log whether a policy would have been at least so much better",
    "validate": "check policies against theory, published figures and independent computation",
    "migrate": "bring the schema of a database up to date, or see what that would do",
    "serve": "answer over HTTP: decisions, outcomes, health and metrics",
    "mcp": "offer a bandit to agents as tools, over the Model Context Protocol",
    "key": "create, list and revoke the keys that callers of the server need",
    "retention": "drop decisions and rows that are older than an age; what they taught stays",
    "override": "pin, exclude, cap or switch off: order a guardrail, end one, or list them",
    "explain": "say why a decision came out as it did: beliefs, features, the draw, guardrails",
    "patterns": "find what works where, which failures repeat, and what comes and goes with the time",
    "opportunities": "say what to change next, with what it would bring, and at what risk",
    "reprice": "read all stored rewards under other weights, and see which arm would be best",
    "verify": "fold the stored log, derive every decision anew, and name the first row that differs",
    "doctor": "look at the database, and say what is wrong and how to mend it",
    "suggest-spec": "propose strategies, context and reward from a table of executions, with reasons",
    "simulate": "let policies learn in worlds whose truth is known, and see what they lose on the way",
}
"""Name of each command, and what it does in a line; ``a-b`` is the module ``a_b``."""

_MODULES = {"import": "import_log", "export": "export_log"}
"""Modules of commands whose names are no module's."""


class Command(Protocol):
    """What a command's module has. Its docstring is the description that ``--help`` shows."""

    __doc__: str | None

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments; ``--json`` is there already."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; return the exit code. A ``NyxError`` may pass: it is printed, and the code is 2."""


def load(name: str) -> Command:
    """The module of a command."""
    return cast("Command", import_module(f"{__package__}.{_MODULES.get(name, name.replace('-', '_'))}"))
