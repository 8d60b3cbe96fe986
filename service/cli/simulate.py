r"""Let policies learn in worlds whose truth is known, and see what they lose on the way.

Regret is what the best arm of each round would have been expected to earn beyond what the chosen ones were.
All policies of a replication meet the same contexts, and in a round the same arm would pay each of them the
same. The same command prints the same numbers, whatever the number of workers.

  nyx-learning simulate --world bernoulli:0.9,0.8,0.7 --policies ucb1:alpha=1,floor=0,kl_ucb:floor=0
  nyx-learning simulate --world pb1 --policies kl_ucb:floor=0 --replications 1000 --workers 2 --plot pb1.png
  nyx-learning simulate --world orchestration --policies uniform,thompson_beta,hier_ts --out results
  nyx-learning simulate --world pb1 --policies kl_ucb:floor=0,idle_discount=0.999 --monitors
  nyx-learning simulate --spec simulation.toml

With --out the finished part of an interrupted simulation is kept, and the same command goes on from there.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from math import isfinite
from pathlib import Path
from typing import Any

from ...canonical import canonical_json
from ...errors import InputInvalid
from ...simulation.backends import BACKENDS
from ...simulation.results import Results
from ...simulation.runner import simulate
from .output import print_json, progress_bar
from .simulation_spec import DEFAULT_POLICIES, Simulation, read_spec, simulation_of
from .worlds import WORLD_HELP

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``simulate``. A default is only stated: a spec file comes before it."""
    add = parser.add_argument
    add("--spec", metavar="FILE", help="all of this from a JSON or TOML file; options below win over it")
    what = parser.add_argument_group("what is simulated")
    add = what.add_argument
    add("--world", metavar="WORLD", help=WORLD_HELP)
    add("--delay", metavar="N", type=_whole, help="rounds that pass before a reward is learned")
    add("--mean-delay", metavar="X", type=_number, help="the same, drawn from a geometric law of this mean")
    add("--missing", metavar="SHARE", type=_number, help="share of rounds whose reward is never learned")
    add(
        "--policies",
        metavar="NAME[:KEY=VALUE,…],…",
        help=f"such as ucb1:alpha=1,floor=0,hier_ts (default: {DEFAULT_POLICIES})",
    )
    add(
        "--sampled",
        action="store_true",
        default=None,
        help="thompson_beta by samples: equal in law and much faster, but not the learner's own choices",
    )
    add(
        "--monitors",
        action="store_true",
        default=None,
        help="let monitors watch every policy's world: a shift of its rewards begins a new epoch",
    )
    add(
        "--bucket-rows",
        metavar="N",
        type=_whole,
        help="rows that share a block of sums; forgetting reads these",
    )
    add("--horizon", metavar="T", type=_whole, help="rounds of a replication (default: the world's own)")
    add("--replications", metavar="R", type=_whole, help="(default: 100)")
    add("--seed", metavar="N", type=_whole, help="of all draws (default: 0)")
    where = parser.add_argument_group("where it runs, and where results go")
    add = where.add_argument
    add("--workers", metavar="N", type=_whole, help="processes on this machine (default: 1)")
    add("--backend", choices=BACKENDS, help="processes of this machine, or a Dask cluster")
    add("--scheduler", metavar="ADDRESS", help="of the Dask cluster, for example tcp://10.0.0.1:8786")
    add("--out", metavar="FOLDER", help="keep results there: results.csv, and what is needed to go on")
    add("--plot", metavar="FILE", help="draw regret and best-arm shares: .png, .svg or .pdf")


def run(args: argparse.Namespace) -> int:
    """Simulate, and print what each policy came to."""
    fields = {} if args.spec is None else read_spec(args.spec)
    given = {name: value for name, value in vars(args).items() if value is not None}
    fields |= {name: value for name, value in given.items() if name not in {"spec", "json", "command"}}
    asked = simulation_of(fields)
    if asked.plot is not None:
        from ...simulation.plots import require_plots  # noqa: PLC0415 - only those who plot pay for it

        require_plots(asked.plot)
    found = _simulated(asked)
    if asked.out is not None:
        _write(found, asked, Path(asked.out))
    if asked.plot is not None:
        from ...simulation.plots import write_plot  # noqa: PLC0415

        write_plot(found, asked.plot)
    if args.json:
        print_json(_document(found, asked))
    else:
        _print_table(found, asked)
    return 0


def _simulated(asked: Simulation) -> Results:
    with progress_bar("simulating", asked.replications * len(asked.contenders)) as progress:
        return simulate(
            asked.world,
            asked.contenders,
            asked.horizon,
            asked.replications,
            asked.seed,
            checkpoints=asked.checkpoints,
            workers=asked.workers,
            backend=asked.backend,
            scheduler=asked.scheduler,
            folder=None if asked.out is None else Path(asked.out) / "blocks",
            world_label=asked.world_label,
            progress=progress,
        )


def _write(found: Results, asked: Simulation, folder: Path) -> None:
    try:
        (folder / "results.csv").write_text(found.to_csv(), encoding="utf-8")
        (folder / "simulation.json").write_text(canonical_json(_question(found)) + "\n", encoding="utf-8")
        if importlib.util.find_spec("pyarrow") is not None:
            found.write_parquet(folder / "results.parquet")
    except OSError as error:
        raise InputInvalid(
            "the results cannot be written",
            expected="a folder that can be written to",
            found=f"{asked.out}: {error.strerror or error}"[:200],
            fix="name another folder",
        ) from None


def _question(found: Results) -> dict[str, Any]:
    return {
        "world": found.world.to_dict(),
        "world_label": found.world_label,
        "policies": [contender.to_dict() for contender in found.contenders],
        "horizon": found.horizon,
        "replications": found.replications,
        "seed": found.seed,
        "checkpoints": list(found.rounds),
    }


def _document(found: Results, asked: Simulation) -> dict[str, Any]:
    rows = [{key: _or_null(value) for key, value in row.items()} for row in found.table()]
    last = {row["policy"]: row for row in rows if row["round"] == found.horizon}
    return {
        "policies": [
            {
                "policy": contender.label,
                "name": contender.policy.name,
                "floor": contender.policy.floor,
                "parameters": dict(contender.policy.parameters),
                "monitors": None if contender.monitors is None else contender.monitors.to_dict(),
                **{
                    key: value
                    for key, value in last[contender.label].items()
                    if key not in {"policy", "world", "round", "replications"}
                },
                "rounds": found.horizon,
                "replications": found.replications,
            }
            for contender in found.contenders
        ],
        "curves": rows,
        "world": found.world_label,
        "world_document": found.world.to_dict(),
        "rounds": found.horizon,
        "replications": found.replications,
        "sampling_unit": "replication",
        "seed": found.seed,
        "out": asked.out,
        "plot": asked.plot,
    }


def _print_table(found: Results, asked: Simulation) -> None:
    from rich.console import Console  # noqa: PLC0415 - not needed with --json, and slow to import
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    # A pipe has no width: lines stay whole there.
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 140)
    console.print(
        f"{found.world_label}: {found.horizon} rounds × {found.replications} replications, seed {found.seed}",
        markup=False,
    )
    shown = Table("policy", "regret", "90 % between", "best arm lately", "mean reward", "played by")
    for row in found.table():
        if row["round"] == found.horizon:
            error = row["standard_error"]
            shown.add_row(
                Text(row["policy"]),
                f"{row['mean_regret']:.2f}" + (f" ± {error:.2f}" if isfinite(error) else ""),
                f"{row['regret_q05']:.2f} – {row['regret_q95']:.2f}",
                f"{row['best_arm_share']:.1%}",
                f"{row['mean_reward']:.4f}",
                row["method"],
            )
    console.print(shown)
    since = found.rounds[-2] if len(found.rounds) > 1 else 0
    console.print(f"± standard error over replications; lately: after round {since}")
    for what, path in (("results", asked.out), ("plot", asked.plot)):
        if path is not None:
            console.print(f"{what} in {path}", markup=False)


def _or_null(value: Any) -> Any:
    return None if isinstance(value, float) and not isfinite(value) else value


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 20:
        raise argparse.ArgumentTypeError(f"a whole number is needed, not {text!r}")
    return int(text)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise argparse.ArgumentTypeError(f"a finite number is needed, not {text!r}")
    return value
