"""Read all stored rewards of a bandit under other weights: which arm would then be best?

FILE is JSON: the weights alone, {"speed": 0.5, "success": 0.5}, or fields of a RewardSpec, such as
{"mean": "geometric", "gates": [{"component": "success", "below": 0.5, "cap": 0.2}]}; fields that are left out
stay as the bandit has them. Every reward is computed again from its stored scores; nothing is written.

  nyx-learning reprice --weights weights.json --bandit orchestration
  nyx-learning reprice --weights weights.json --by task_type --by complexity --json

The means are those of what was chosen: they compare arms fairly where the log chose them alike in all
contexts, or within one group of contexts.

Exit code 1: no stored reward has a score that the new weights need.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any

from ...errors import DocumentInvalid
from ...rewards import COMPONENTS, RewardSpec
from ..access import stored_bandit
from ..repricing import GroupReading, Repricing, reprice_log
from .output import print_json, print_text

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``reprice``."""
    add = parser.add_argument
    add("--weights", metavar="FILE", required=True, help="JSON: weights, or fields of a RewardSpec")
    add("--bandit", metavar="NAME", help="which bandit (default: the only one)")
    add(
        "--dsn",
        metavar="DSN",
        help="Postgres that has the log (default: NYX_DATABASE_URL, or the embedded one)",
    )
    add(
        "--by",
        metavar="FEATURE",
        action="append",
        help="group contexts by it; repeated: by the values together (default: each that is no number)",
    )


def run(args: argparse.Namespace) -> int:
    """Re-price; print old and new means."""
    found = asyncio.run(_reprice(args, _read(args.weights)))
    if args.json:
        print_json(found.to_dict())
    else:
        print_text(_text(found))
    return 0 if found.overall is not None else 1


async def _reprice(args: argparse.Namespace, fields: dict[str, Any]) -> Repricing:
    async with stored_bandit(args.bandit, args.dsn) as store:
        spec = RewardSpec.from_dict({**store.own_spec.reward.to_dict(), **fields})
        return await reprice_log(store, spec, by=args.by)


def _read(path: str) -> dict[str, Any]:
    try:
        fields = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        found = f"{path!r:.120}: {getattr(error, 'strerror', None) or error}"
    else:
        if isinstance(fields, dict) and fields:
            return {"weights": fields} if set(fields) <= set(COMPONENTS) else fields
        found = f"{type(fields).__name__}: {fields!r:.80}"
    raise DocumentInvalid(
        "the weights cannot be read",
        expected='a readable file with one JSON object, such as {"speed": 0.5, "success": 0.5}',
        found=found,
        fix=f"correct the file; weights are named out of {', '.join(COMPONENTS)}",
    )


def _text(found: Repricing) -> str:
    heading = f"{found.bandit}: {found.rewards:,} rewards, {found.changed:,} of them would change"
    lines = [f"{heading}, {found.unpriced:,} have no score for these weights"]
    if found.overall is None:
        return lines[0]
    width = max(len(arm.arm_id) for arm in found.overall.arms)
    lines += ["", f"{'arm':{width}}  {'rewards':>8}  {'before':>15}  {'after':>15}"]
    for arm in found.overall.arms:
        before, after = _mean(arm.before, arm.before_error), _mean(arm.after, arm.after_error)
        lines.append(f"{arm.arm_id:{width}}  {arm.n:8,}  {before:>15}  {after:>15}")
    lines += ["", _best("over all contexts", found.overall)]
    for group in found.by_context:
        lines.append(_best(", ".join(f"{name} = {value}" for name, value in group.context.items()), group))
    return "\n".join(lines)


def _mean(value: float, error: float | None) -> str:
    return f"{value:.4f}" if error is None else f"{value:.4f} ± {error:.4f}"


def _best(where: str, group: GroupReading) -> str:
    if group.best_before == group.best_after:
        return f"best {where}: {group.best_after}, as before"
    return f"best {where}: {group.best_after}, before {group.best_before}"
