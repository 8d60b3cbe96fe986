"""A block of replications: the unit of work that is handed to a worker, and that a results folder keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from ..canonical import digest
from .contender import Contender
from .fast import has_fast_play
from .play import tally
from .worlds.base import Floats, World

__all__ = ["CURVES", "Block", "run_block", "split"]

CURVES = ("regret", "expected", "reward", "best")
"""What is counted up to each checkpoint: regret, expected reward, reward, rounds in which a best arm was
chosen."""

_FORMAT = 1
_FAST_ROUNDS, _LEARNER_ROUNDS = 1 << 22, 1 << 14  # of a block: about a second's work
_REPLICATIONS_MAX = 4096


@dataclass(frozen=True, slots=True)
class Block:
    """Replications ``first`` to ``stop`` (exclusive) of one contender in one world."""

    world: World
    contender: Contender
    horizon: int
    seed: int
    checkpoints: tuple[int, ...]
    first: int
    stop: int

    @property
    def key(self) -> str:
        """Hash of everything that the numbers depend on."""
        contender = self.contender.to_dict()
        del contender["label"]
        return digest(
            {
                "format": _FORMAT,
                "version": _version(),
                "world": self.world.to_dict(),
                **contender,
                "horizon": self.horizon,
                "seed": self.seed,
                "checkpoints": list(self.checkpoints),
                "replications": [self.first, self.stop],
            }
        )


def split(
    world: World,
    contender: Contender,
    *,
    horizon: int,
    replications: int,
    seed: int,
    checkpoints: Sequence[int],
) -> list[Block]:
    """Cut replications into blocks whose size depends on neither their number nor the workers'.

    So a run with more replications, or with other workers, finds the blocks of an earlier one.
    """
    rounds = _FAST_ROUNDS if has_fast_play(world, contender) else _LEARNER_ROUNDS
    size = max(1, min(_REPLICATIONS_MAX, rounds // horizon))
    return [
        Block(world, contender, horizon, seed, tuple(checkpoints), first, min(first + size, replications))
        for first in range(0, replications, size)
    ]


def run_block(block: Block) -> Floats:
    """Play the block's replications: (replications, 4, checkpoints), the ``CURVES`` of each."""
    checkpoints = np.array(block.checkpoints, np.int64)
    found = np.empty((block.stop - block.first, len(CURVES), len(checkpoints)))
    for i in range(len(found)):
        found[i] = tally(
            block.world,
            block.contender,
            block.horizon,
            checkpoints,
            seed=block.seed,
            replication=block.first + i,
        )
    return found


@lru_cache(maxsize=1)
def _version() -> str:
    try:
        return version("nyx-learning")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "unknown"
