"""Load (or, the first time, compile) the kernels, so that no request waits for them."""

from __future__ import annotations

from collections.abc import Iterable

from ..bandit import Bandit, BanditSpec, PolicySpec, Range, Strategy
from ..bandit.policies.catalog import CATALOG, example_parameters
from ..bandit.spec import STAGED_POLICIES
from ..features import ONE, ContextSchema, Flag
from ..features.monitors import DurationMonitor, ShiftMonitor

__all__ = ["warm_up"]


def warm_up(
    policies: Iterable[str] | None = None, *, staged: bool | None = None, monitors: bool = False
) -> None:
    """Run some policies once, by default all: from the cache milliseconds each, else seconds to compile.

    ``staged``: choice among listed arms (False), in stages (True), or both (None). ``monitors``: those too.

    Raises
    ------
    SpecInvalid : a policy is unknown.
    """
    listed = Strategy("b", {"n": [1, 2]})
    ranged = Strategy("b", {"n": [1, 2], "x": Range(0, 1)})
    for name in CATALOG if policies is None else policies:
        policy = PolicySpec(name, **example_parameters(name))
        if staged is not True:
            _play(policy, listed)
        if staged is not False and name in STAGED_POLICIES:
            _play(policy, ranged)
    if monitors:
        shift, duration = ShiftMonitor(1, 2, 100.0), DurationMonitor(1)
        for seq in range(1, 13):
            shift.add(seq, 0, [ONE], ONE)
        shift.judge()
        for seq in range(1, 3):  # not so many that River would be loaded
            duration.add(seq, [ONE], 1.0)


def _play(policy: PolicySpec, strategy: Strategy) -> None:
    context = ContextSchema(flag=Flag())
    bandit = Bandit(
        BanditSpec("warm-up", [Strategy("a"), strategy], context, policy=policy, baseline_arm="a")
    )
    for step in range(2):
        bandit.update_reward(bandit.select_arm({"flag": step == 0}), reward=0.5)
    bandit.beliefs({"flag": True})
