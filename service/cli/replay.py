r"""Let policies learn and choose on a table of recorded executions.

FILE is CSV with a header, one execution a row, plain or gzip-compressed. Each replication draws contexts from
the history; in each round a policy chooses one of the arms that were tried in the round's context, and its
reward is that of one recorded execution of that arm there. All policies meet the same contexts and
executions.

  nyx-learning replay runs.csv --arm strategy --context task_type --reward score
  nyx-learning replay runs.csv --arm strategy --arm workers --context task_type \
      --outcome success=ok --outcome duration_s=seconds --weights success=.7,speed=.3 --reference-time 60
  nyx-learning replay runs.csv.gz --arm solver --features instances.csv --on instance \
      --reward status --reward-map 'status:ok=1,*=0'

A context column of numbers alone becomes a number between its smallest and largest value, one of true and
false a flag, any other a name; an empty value, NaN and NA are missing values.

Standard errors are over replications: they say how well this table's answer is known, not how far it holds
for executions that the table does not have.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from ...bandit import PolicySpec
from ...errors import InputInvalid
from ...rewards import RewardSpec
from ...simulation import (
    OUTCOME_FIELDS,
    ExecutionTable,
    OutcomeColumns,
    Replay,
    RewardColumn,
    execution_table,
    replay,
)
from ...simulation.columns import number_of
from ...simulation.replay import Estimate
from .output import print_json, progress_bar
from .policies import parse_policies
from .tables import open_table

__all__ = ["add_arguments", "run"]

_POLICIES = "uniform,ucb1:alpha=1,thompson_beta,hier_ts"
_REFERENCES = {
    "uniform": "every arm with the same probability",
    "best_fixed_arm": "the arm that is best over the contexts, known beforehand",
    "per_context_best": "best mean in each context, known beforehand; inflated by luck",
    "per_context_best_held_out": "the same, judged on an execution that it was not chosen by",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``replay``."""
    add = parser.add_argument
    add("file", metavar="FILE", help="table of executions: CSV, plain or gzip-compressed")
    table = parser.add_argument_group("what the columns mean (options with COLUMN may be repeated)")
    add = table.add_argument
    add(
        "--arm",
        metavar="COLUMN",
        action="append",
        required=True,
        help="names the strategy; repeated: its parameters",
    )
    add("--context", metavar="COLUMN", action="append", default=[], help="describes the context")
    add(
        "--categorical",
        metavar="COLUMN",
        action="append",
        default=[],
        help="a name, though it looks like a number",
    )
    add("--features", metavar="FILE", help="CSV with the features of each value of --on")
    add("--on", metavar="COLUMN", help="in both files; its features take its place in the context")
    add("--without", metavar="COLUMN", action="append", default=[], help="column of --features to leave out")
    add("--ranks", action="store_true", help="take numbers by their rank, against very uneven scales")
    add("--reward", metavar="COLUMN", help="reward: 0 to 1, or true and false")
    add(
        "--outcome",
        metavar="FIELD=COLUMN",
        action="append",
        default=[],
        help=f"instead of --reward: fill an outcome, and price it; fields: {', '.join(OUTCOME_FIELDS)}",
    )
    add(
        "--weights",
        metavar="SCORE=NUMBER,…",
        help="weights of speed, quality, success, usefulness, efficiency",
    )
    add("--reference-time", metavar="SECONDS", help="duration that speed is judged against")
    add("--reference-cost", metavar="NUMBER", help="cost that efficiency is judged against")
    add("--reference-tokens", metavar="NUMBER", help="tokens that efficiency is judged against")
    add(
        "--reward-map",
        metavar="COLUMN:TEXT=NUMBER,…",
        action="append",
        default=[],
        help="numbers for the texts of a reward or outcome column; *=NUMBER for any other text",
    )
    simulation = parser.add_argument_group("what is simulated")
    add = simulation.add_argument
    add(
        "--policies",
        metavar="NAME[:KEY=VALUE,…],…",
        default=_POLICIES,
        help="such as ucb1:alpha=1,floor=0,hier_ts (default: %(default)s)",
    )
    add(
        "--rounds",
        metavar="T",
        type=_whole,
        default=100,
        help="decisions in a replication (default: %(default)s)",
    )
    add("--replications", metavar="R", type=_whole, default=200, help="(default: %(default)s)")
    add("--seed", metavar="N", type=_whole, default=0, help="of all draws (default: %(default)s)")
    add(
        "--context-limit",
        metavar="N",
        type=_whole,
        help="each replication draws N contexts that recur (default: all contexts of the table)",
    )


def run(args: argparse.Namespace) -> int:
    """Replay, and print the comparison."""
    policies = parse_policies(args.policies)
    pricing = _pricing(args)
    table = execution_table(
        open_table(args.file),
        arm=args.arm,
        context=args.context,
        pricing=pricing,
        features=None if args.features is None else open_table(args.features),
        on=args.on,
        without=args.without,
        categorical=args.categorical,
        ranks=args.ranks,
    )
    with progress_bar("replaying", args.replications) as progress:
        found = replay(
            table,
            list(policies.values()),
            rounds=args.rounds,
            replications=args.replications,
            seed=args.seed,
            context_limit=args.context_limit,
            progress=progress,
        )
    if args.json:
        print_json(_document(args, table, policies, found))
    else:
        _print_tables(args, table, policies, found)
    return 0


def _pricing(args: argparse.Namespace) -> RewardColumn | OutcomeColumns:
    mappings = dict(_mapping(text) for text in args.reward_map)
    pairs = [_pair(text, "--outcome") for text in args.outcome]
    outcome = dict(pairs)
    if (args.reward is None) == (not outcome) or len(outcome) < len(pairs):
        raise InputInvalid(
            "it is not clear what an execution was worth",
            expected="either --reward COLUMN, or --outcome FIELD=COLUMN, each field once",
            found=f"--reward {args.reward}, --outcome {args.outcome}",
            fix="give one of the two",
        )
    used = {args.reward} if args.reward is not None else set(outcome.values())
    priced = {
        "--weights": args.weights,
        "--reference-time": args.reference_time,
        "--reference-cost": args.reference_cost,
        "--reference-tokens": args.reference_tokens,
    }
    idle = [name for name, value in priced.items() if value is not None and args.reward is not None]
    idle += [f"--reward-map {column}:…" for column in mappings if column not in used]
    if idle:
        raise InputInvalid(
            "an option would have no effect",
            expected="--weights and --reference-… with --outcome only; --reward-map of a column that is read",
            found=", ".join(idle),
            fix="leave it out, or correct the column",
        )
    if args.reward is not None:
        return RewardColumn(args.reward, mappings.get(args.reward, {}))
    weights = {} if args.weights is None else {"weights": _numbers(args.weights, "--weights")}
    references: dict[str, float] = {
        f"reference_{key}": _number(text, f"--{option}")
        for key, option, text in (
            ("time_s", "reference-time", args.reference_time),
            ("cost", "reference-cost", args.reference_cost),
            ("tokens", "reference-tokens", args.reference_tokens),
        )
        if text is not None
    }
    return OutcomeColumns(outcome, RewardSpec(**weights, **references), mappings)  # type: ignore[arg-type]


def _document(
    args: argparse.Namespace, table: ExecutionTable, policies: Mapping[str, PolicySpec], found: Replay
) -> dict[str, Any]:
    best = {"best_fixed_arm": {"arm": found.best_fixed_arm}}
    return {
        "policies": [
            {
                "policy": label,
                "name": result.policy.name,
                "floor": result.policy.floor,
                "parameters": {**result.policy.parameters, **result.policy.common.given()},
                "mean_reward": result.overall.mean,
                "standard_error": _or_null(result.overall.standard_error),
                "last_half_mean_reward": result.last_half.mean,
                "last_half_standard_error": _or_null(result.last_half.standard_error),
                "rounds": found.rounds,
                "replications": found.replications,
            }
            for label, result in zip(policies, found.policies, strict=True)
        ],
        "references": [
            {
                "reference": name,
                "mean_reward": _or_null(value.mean),
                "standard_error": _or_null(value.standard_error),
                "note": note,
                **best.get(name, {}),
            }
            for name, note, value in _references(found)
        ],
        "rounds": found.rounds,
        "replications": found.replications,
        "sampling_unit": "replication",
        "seed": args.seed,
        "context_limit": args.context_limit,
        "table": {
            "executions": len(table.rewards),
            "contexts": table.context_count,
            "arms": len(table.arms),
            "features": [column.name for column in table.columns],
            "cells_without_executions": int((table.counts == 0).sum()),
            "missing_scores": dict(table.missing),
        },
    }


def _references(found: Replay) -> list[tuple[str, str, Estimate]]:
    return [(name, note, getattr(found.references, name)) for name, note in _REFERENCES.items()]


def _print_tables(
    args: argparse.Namespace, table: ExecutionTable, policies: Mapping[str, PolicySpec], found: Replay
) -> None:
    from rich.console import Console  # noqa: PLC0415 - not needed with --json, and slow to import
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    # A pipe has no width: lines stay whole there.
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 140)
    recurring = "" if args.context_limit is None else f", {args.context_limit} of them in a replication"
    console.print(
        f"{len(table.rewards)} executions, {table.context_count} contexts{recurring}, "
        f"{len(table.arms)} arms; {found.rounds} rounds × {found.replications} replications, seed {args.seed}"
    )
    shown = Table("policy", "mean reward", "last half of the rounds")
    for label, result in zip(policies, found.policies, strict=True):
        shown.add_row(Text(label), _shown(result.overall), _shown(result.last_half))
    console.print(shown)
    shown = Table("without learning", "mean reward", "what it is")
    for name, note, value in _references(found):
        shown.add_row(name, _shown(value), note)
    console.print(shown)
    console.print(
        Text(f"± standard error over replications. Best fixed arm of the table: {found.best_fixed_arm}")
    )
    if table.missing:
        rows = ", ".join(f"{name} in {count}" for name, count in table.missing.items())
        console.print(f"Scores with weight that were missing, of {len(table.rewards)} executions: {rows}")


def _shown(value: Estimate) -> str:
    if not isfinite(value.mean):
        return "-"
    return f"{value.mean:.4f}" + (f" ± {value.standard_error:.4f}" if isfinite(value.standard_error) else "")


def _or_null(value: float) -> float | None:
    return value if isfinite(value) else None


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 20:
        raise argparse.ArgumentTypeError(f"a whole number is needed, not {text!r}")
    return int(text)


def _pair(text: str, option: str) -> tuple[str, str]:
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not key or not value:
        raise _unreadable(option, "NAME=VALUE", text)
    return key, value


def _mapping(text: str) -> tuple[str, dict[str, float]]:
    column, colon, rest = text.partition(":")
    if not colon or not column.strip():
        raise _unreadable("--reward-map", "COLUMN:TEXT=NUMBER,TEXT=NUMBER,…", text)
    return column.strip(), _numbers(rest, "--reward-map")


def _numbers(text: str, option: str) -> dict[str, float]:
    pairs: Sequence[tuple[str, str]] = [_pair(item, option) for item in text.split(",")]
    if len(dict(pairs)) < len(pairs):
        raise _unreadable(option, "each name once", text)
    return {key: _number(value, option) for key, value in pairs}


def _number(text: str, option: str) -> float:
    value = number_of(text.strip())
    if value is None:
        raise _unreadable(option, "a finite number", text)
    return value


def _unreadable(option: str, expected: str, found: str) -> InputInvalid:
    return InputInvalid(
        f"the value of {option} cannot be read",
        expected=expected,
        found=repr(found)[:120],
        fix="see nyx-learning replay --help",
    )
