"""The population of workflows: which there are, and which troubles they meet, all drawn by a keyed hash.

The same seed gives the same workflows, items, latencies and fates on every machine; what they *cost* is
measured, not drawn. Every block of 18 workflows holds each context (kind × size × flaky) once, in keyed
order, so that a comparison over whole blocks weighs all contexts equally.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, TypeVar, get_args

from .items import Fate, Item, Kind

__all__ = ["KINDS", "SIZES", "Workflow", "context_of", "contexts", "keyed_order", "population"]

KINDS: Final = get_args(Kind)
SIZES: Final = ("small", "medium", "large")
ATTEMPTS_PLANNED: Final = 4

# Items, seconds of computing in each, least and most seconds until the service answers. Computing wants both
# cores, and tiny batches want no overhead; waiting wants many at once, but a large batch all at once is more
# than the service takes. Of the mixed batches the medium ones mostly wait and the large ones mostly compute:
# eight threads then share one interpreter, and each is too late.
_Batch = tuple[int, float, float, float]
_BATCHES: Final[dict[Kind, dict[str, _Batch]]] = {
    "cpu": {
        "small": (2, 0.0001, 0.0, 0.0),
        "medium": (6, 0.006, 0.0, 0.0),
        "large": (10, 0.0115, 0.0, 0.0),
    },
    "io": {
        "small": (3, 0.0, 0.003, 0.006),
        "medium": (15, 0.0, 0.008, 0.012),
        "large": (24, 0.0, 0.008, 0.012),
    },
    "mixed": {
        "small": (3, 0.0005, 0.002, 0.005),
        "medium": (10, 0.0005, 0.008, 0.012),
        "large": (10, 0.011, 0.002, 0.005),
    },
}
_SLOW_LOW_S, _SLOW_HIGH_S = 0.035, 0.045

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Rates:
    """Chances of an item's troubles: of one attempt to fail or hang, of the item to be slow but fine."""

    fails: float
    hangs: float
    slow: float


# A calm service is sometimes slow, a flaky one hangs and fails: patience pays in one, haste in the other.
_RATES: Final = {False: _Rates(0.003, 0.001, 0.03), True: _Rates(0.025, 0.025, 0.0)}


@dataclass(frozen=True, slots=True)
class Workflow:
    """A batch of items with what is known about it before it runs."""

    workflow_id: str
    kind: Kind
    size: str
    flaky: bool
    items: tuple[Item, ...]

    @property
    def context(self) -> dict[str, str | bool]:
        """What the bandit is told."""
        return context_of(self.kind, self.size, flaky=self.flaky)


def context_of(kind: str, size: str, *, flaky: bool) -> dict[str, str | bool]:
    """What the bandit is told of such workflows.

    Kind and size stand once each and once together: what suits large batches of one kind ruins large ones of
    another, and the model adds up what it is told.
    """
    return {"kind": kind, "size": size, "batch": f"{kind} {size}", "flaky": flaky}


def contexts() -> list[tuple[Kind, str, bool]]:
    """All contexts, in reading order."""
    return list(product(KINDS, SIZES, (False, True)))


def _uniform(seed: int, *names: object) -> float:
    """A number in [0, 1) that depends on the seed and the names, and on nothing else."""
    text = "\0".join(str(name) for name in names).encode()
    digest = hashlib.blake2b(text, digest_size=8, key=seed.to_bytes(8, "little", signed=True)).digest()
    return (int.from_bytes(digest, "little") >> 11) * 2.0**-53


def keyed_order(values: Sequence[_T], seed: int, *names: object) -> list[_T]:
    """``values`` in an order that depends on the seed and the names only."""
    places = sorted(range(len(values)), key=lambda place: (_uniform(seed, "order", place, *names), place))
    return [values[place] for place in places]


def _fate(rates: _Rates, kind: Kind, draw: float) -> Fate:
    if draw < rates.fails:
        return "fails"
    if draw < rates.fails + rates.hangs and kind != "cpu":
        return "hangs"
    return "fine"


def _item(seed: int, name: str, kind: Kind, size: str, *, flaky: bool) -> Item:
    rates = _RATES[flaky]
    slow = _uniform(seed, name, "slow") < rates.slow
    _, cpu_s, low, high = _BATCHES[kind][size]
    if slow:
        low, high = _SLOW_LOW_S, _SLOW_HIGH_S
    latency_s = low + (high - low) * _uniform(seed, name, "latency")
    return Item(
        key=hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=16).hexdigest(),
        kind=kind,
        cpu_s=cpu_s,
        latency_s=0.0 if kind == "cpu" else round(latency_s, 6),
        fates=tuple(
            _fate(rates, kind, _uniform(seed, name, "fate", number)) for number in range(ATTEMPTS_PLANNED)
        ),
    )


def population(seed: int, name: str, count: int) -> list[Workflow]:
    """The first ``count`` workflows of the population ``name``; a longer one begins with a shorter one."""
    cells = contexts()
    workflows = []
    for number in range(count):
        block, place = divmod(number, len(cells))
        kind, size, flaky = keyed_order(cells, seed, name, block)[place]
        workflow_id = f"{name}-{number:06d}"
        items = tuple(
            _item(seed, f"{workflow_id}/{place}", kind, size, flaky=flaky)
            for place in range(_BATCHES[kind][size][0])
        )
        workflows.append(Workflow(workflow_id, kind, size, flaky, items))
    return workflows
