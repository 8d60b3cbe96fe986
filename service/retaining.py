"""Retention with what has to be done before it: decisions whose window has passed in silence are closed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..bandit import Learner
from ..persistence.group_commit import GroupCommit
from ..persistence.replica import Replica
from ..persistence.retention import Retained, check_age, retain
from ..persistence.store import Batch, Store
from .provenance import Provenance
from .settling import Settling

__all__ = ["expire_and_retain", "expire_stored"]


async def expire_and_retain(
    stores: Sequence[Store], older_than_s: float, *, now: float, dry_run: bool = False
) -> list[Retained]:
    """``retain`` for several bandits, behind ``expire`` for those that have a window; without an engine.

    Raises
    ------
    InputInvalid : an age that is none; nothing was closed.
    """
    check_age(older_than_s)
    if dry_run:
        return await retain(stores, older_than_s, now=now, dry_run=True)
    expired = [await expire_stored(store, now) for store in stores]
    found = await retain(stores, older_than_s, now=now)
    return [replace(each, expired=count) for each, count in zip(found, expired, strict=True)]


async def expire_stored(store: Store, now: float) -> int:
    """``expire`` without an engine; returns how many decisions were closed."""
    spec = store.own_spec
    if spec.reward.window_s is None or not await store.log.some_due(now, spec.reward.window_s):
        return 0
    commit = GroupCommit(store, _nobody_learns)
    try:
        provenance = Provenance(spec, store, Replica(Learner(spec), store))
        return len(await Settling(spec, store, commit, provenance).expire(now))
    finally:
        await commit.close()


async def _nobody_learns(_batch: Batch) -> None:
    """Engines read it from the log."""
