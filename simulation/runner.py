"""The runner: policies × one world × replications, compared on the same random numbers.

    results = simulate(Bernoulli([0.9, 0.8]), {"ucb1": PolicySpec("ucb1", floor=0)}, horizon=10_000,
                       replications=1000, seed=7)
    results.final("ucb1")            # mean regret at the horizon, and its standard error
    results.curves["ucb1"].regret    # (replications, checkpoints)
    results.rounds                   # the checkpoints
    results.table()                  # tidy rows; to_csv() and write_parquet(path) write them

Each replication has keyed streams of its own, so that the number of workers, the order in which they finish,
and what other policies take part never change a digit. In round t of replication r, the same arm would pay
every policy the same, and every policy draws with the same uniform.

Where there is one, a policy is played by a compiled loop that takes the very choices of the ``Learner``
(``Curves.method`` says "compiled"); ``play_with_learner`` plays any policy in any world, and ``play`` gives
the arms and rewards of a single replication.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..bandit import Learner, PolicySpec
from ..errors import InputInvalid, shown
from .backends import check_backend, run_blocks
from .blocks import Block, split
from .contender import Contender
from .fast import has_fast_play
from .folder import BlockFolder
from .play import Trajectory, play, play_with_learner
from .results import Curves, Results, log_spaced
from .worlds.base import Floats, World

__all__ = ["Contender", "Results", "Trajectory", "play", "play_with_learner", "simulate"]

_MAX_HORIZON = 10**8
_MAX_REPLICATIONS = 10**7


def simulate(
    world: World,
    policies: Mapping[str, PolicySpec] | Sequence[Contender | PolicySpec],
    horizon: int | None = None,
    replications: int = 100,
    seed: int = 0,
    *,
    checkpoints: Iterable[int] | None = None,
    workers: int = 1,
    backend: str = "processes",
    scheduler: str | None = None,
    folder: Path | str | None = None,
    world_label: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Results:
    """Play every policy ``replications`` times in a world.

    Parameters
    ----------
    policies : by label; or a sequence, in which a bare ``PolicySpec`` is labelled by its name.
    horizon : rounds of a replication, by default the world's own. seed : of all draws, 0 ≤ seed < 2⁶⁴.
    checkpoints : rounds at which sums are kept, the horizon among them; by default ``log_spaced(horizon)``.
    workers, backend, scheduler : processes on this machine, or "dask" with the address of a scheduler.
    folder : keeps finished blocks of replications; the same simulation again reads them.
    progress : called with the number of finished (policy, replication) pairs.

    Raises
    ------
    InputInvalid : a number out of its domain, no or repeated policies, a backend that cannot run.
    SpecInvalid, ArmUnknown : a policy does not fit the world. Nothing has run then.
    """
    contenders = _contenders(policies)
    horizon = world.horizon if horizon is None else horizon
    _whole("horizon", horizon, 1, _MAX_HORIZON)
    _whole("replications", replications, 1, _MAX_REPLICATIONS)
    _whole("seed", seed, 0, (1 << 64) - 1)
    rounds = log_spaced(horizon) if checkpoints is None else _checked_rounds(checkpoints, horizon)
    check_backend(backend, workers, scheduler)
    for contender in contenders:
        _check_fit(world, contender, seed)
    store = None if folder is None else BlockFolder(folder)

    blocks: list[Block] = []
    owners: list[int] = []
    for c, contender in enumerate(contenders):
        own = split(
            world, contender, horizon=horizon, replications=replications, seed=seed, checkpoints=rounds
        )
        blocks += own
        owners += [c] * len(own)
    found = np.empty((len(contenders), replications, 4, len(rounds)))
    done = 0

    def take(i: int, values: Floats) -> None:
        nonlocal done
        found[owners[i], blocks[i].first : blocks[i].stop] = values
        done += len(values)
        if progress is not None:
            progress(done)

    missing = []
    for i, block in enumerate(blocks):
        known = None if store is None else store.get(block)
        if known is None:
            missing.append(i)
        else:
            take(i, known)
    if missing:
        waiting = [blocks[i] for i in missing]
        for place, values in run_blocks(waiting, workers=workers, backend=backend, scheduler=scheduler):
            if store is not None:
                store.put(waiting[place], values)
            take(missing[place], values)
    curves = {
        contender.label: Curves(
            found[c, :, 0], found[c, :, 1], found[c, :, 2], found[c, :, 3], _method(world, contender)
        )
        for c, contender in enumerate(contenders)
    }
    label = world.kind if world_label is None else world_label
    return Results(world, label, contenders, horizon, replications, seed, rounds, curves)


def _method(world: World, contender: Contender) -> str:
    if contender.sampled:
        return "sampled"
    return "compiled" if has_fast_play(world, contender) else "learner"


def _contenders(
    policies: Mapping[str, PolicySpec] | Sequence[Contender | PolicySpec],
) -> tuple[Contender, ...]:
    if isinstance(policies, Mapping):
        found = tuple(Contender(label, policy) for label, policy in policies.items())
    else:
        found = tuple(
            item if isinstance(item, Contender) else Contender(item.name, item) for item in policies
        )
    labels = [contender.label for contender in found]
    if not found or len(set(labels)) < len(labels):
        raise InputInvalid(
            "the policies of a simulation are unusable",
            expected="at least one, each with a label of its own",
            found=f"{labels}"[:200],
            fix="name policies, and give those with the same name labels: {label: PolicySpec(…)}",
        )
    return found


def _check_fit(world: World, contender: Contender, seed: int) -> None:
    """Raise what does not fit before anything is run: in a worker it would come late, and from afar."""
    Learner(contender.bandit_spec(world, seed))
    if contender.sampled and not has_fast_play(world, contender):
        raise InputInvalid(
            f"'{contender.label}' cannot be sampled in this world",
            expected="a world of K arms without context whose rewards come at once or after a fixed delay",
            found=f"a world of kind '{world.kind}'",
            fix="leave 'sampled' out: then its exact probabilities are used",
        )


def _checked_rounds(checkpoints: Iterable[int], horizon: int) -> tuple[int, ...]:
    rounds = tuple(checkpoints)
    usable = all(type(number) is int and 1 <= number <= horizon for number in rounds)
    if not usable or not rounds or rounds[-1] != horizon or sorted(set(rounds)) != list(rounds):
        raise InputInvalid(
            "the checkpoints of a simulation are unusable",
            expected=f"ascending whole numbers from 1 on, the last one the horizon {horizon}",
            found=shown(rounds),
            fix="leave them out, or add the horizon",
        )
    return rounds


def _whole(name: str, value: object, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise InputInvalid(
            f"the {name} of a simulation is out of its domain",
            expected=f"a whole number from {low} to {high}",
            found=shown(value),
            fix=f"choose another {name}",
        )
