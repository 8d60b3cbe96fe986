r"""Suggest a bandit's spec from a table of executions: strategies, parameters, context, reward; with reasons.

The table has one row for each execution: CSV, JSONL or Parquet, with a column that names the strategy and one
that tells what came out (reward, success or quality). What a column is, is guessed by its name and tested on
its values; the options overrule the guesses.

  nyx-learning suggest-spec history.csv --out spec.json
  nyx-learning suggest-spec runs.csv --strategy scaffold --outcome success=resolved --task instance

Which columns carry signal is tested by permutations within strategies, with the false discovery rate held
over all columns; columns that seem to be known only after the run are left out, and named. The same table and
seed give the same spec. Read the warnings before you use it.

Exit code 1: there is not enough evidence for a spec.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ...errors import InputInvalid
from ...insights.suggesting import Hints, Suggestion, read_table, suggest_spec
from ...simulation.interchange import FORMATS
from .output import print_json, print_text

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``suggest-spec``."""
    add = parser.add_argument
    add("file", metavar="FILE", help="the table; CSV and JSONL may be gzip-compressed")
    add("--format", choices=FORMATS, help="of the file (default: what its name says, or its beginning)")
    add("--strategy", metavar="COLUMN", help="names what was run (default: by its name)")
    add("--parameters", metavar="COLUMN,…", help="parameters of the strategy (default: by their names)")
    add(
        "--outcome",
        metavar="KIND=COLUMN",
        action="append",
        default=[],
        help="what came out: reward, success, quality or duration_s; may be repeated",
    )
    add("--task", metavar="COLUMN", help="names tasks that recur: their rows stand or fall together")
    add("--time", metavar="COLUMN", help="when it was run")
    add("--before", metavar="COLUMN,…", default="", help="columns that are surely known before the choice")
    add("--after", metavar="COLUMN,…", default="", help="columns that are known only after the run")
    add("--name", metavar="NAME", default="suggested", help="of the bandit (default: %(default)s)")
    add("--seed", metavar="N", type=int, default=0, help="of the tests, and of the spec (default: 0)")
    add("--fdr", metavar="RATE", type=float, default=0.05, help="false discovery rate (default: %(default)s)")
    add("--out", metavar="FILE", help="write the spec there, as JSON that --spec of other commands reads")


def run(args: argparse.Namespace) -> int:
    """Suggest; print the spec's reasons, or the spec with --json."""
    hints = Hints(
        strategy=args.strategy,
        task=args.task,
        time=args.time,
        parameters=None if args.parameters is None else _names(args.parameters),
        outcomes=dict(_pair(text) for text in args.outcome),
        before=_names(args.before),
        after=_names(args.after),
    )
    if not 0 <= args.seed < 1 << 64:
        raise InputInvalid(
            "the seed is out of its domain",
            expected="a whole number from 0 to 2⁶⁴ − 1",
            found=str(args.seed)[:40],
            fix="choose another seed",
        )
    table = read_table(args.file, form=args.format)
    found = suggest_spec(table, hints, name=args.name, seed=args.seed, false_discovery_rate=args.fdr)
    if args.out is not None and found.spec is not None:
        _write(found, args.out)
    if args.json:
        print_json({**found.to_dict(), "out": args.out if found.spec is not None else None})
    else:
        print_text(found.to_text())
        if found.spec is not None and args.out is not None:
            print_text(f"\nspec in {args.out}")
    return 0 if found.spec is not None else 1


def _write(found: Suggestion, path: str) -> None:
    document = found.to_dict()["spec"]
    try:
        Path(path).write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputInvalid(
            "the spec cannot be written",
            expected="a file that can be written to",
            found=f"{path}: {error.strerror or error}"[:200],
            fix="name another file",
        ) from None


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _pair(text: str) -> tuple[str, str]:
    kind, equals, column = text.partition("=")
    if not equals or not kind.strip() or not column.strip():
        raise InputInvalid(
            "an outcome cannot be read",
            expected="KIND=COLUMN, such as success=resolved",
            found=repr(text)[:80],
            fix="write both, with an equals sign",
        )
    return kind.strip(), column.strip()
