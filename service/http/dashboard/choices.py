"""What a bandit would choose now: its own probabilities, in contexts that came lately."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ....bandit import BanditSpec
from ....errors import NyxError
from ....features.kinds import Categorical, Flag, Numeric, Ordinal
from ...engine import LearningEngine

__all__ = ["ArmHeld", "ChoiceMap", "ChoiceRow", "choice_map"]

CONTEXTS = 400
_EACH = 3
_ROWS = 24
_COLUMNS = 10


@dataclass(frozen=True, slots=True)
class ArmHeld:
    """What is held of an arm, in the mean of the contexts; None where nothing is."""

    mean: float | None
    sd: float | None
    probability: float


@dataclass(frozen=True, slots=True)
class ChoiceRow:
    """A kind of context: values of the features, how many of the contexts, probability of each column."""

    label: str
    contexts: int
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ChoiceMap:
    """Probabilities by kind of context.

    features : what makes the kinds. columns : arms, the last one ``other arms`` where there are more.
    held : by arm, over all these contexts. contexts : how many were looked at.
    """

    features: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[ChoiceRow, ...]
    held: Mapping[str, ArmHeld]
    contexts: int


async def choice_map(engine: LearningEngine, contexts: Sequence[Mapping[str, Any]]) -> ChoiceMap | None:
    """The engine's beliefs in up to 24 kinds of these contexts, which are the newest; None without any.

    Each kind is judged by its newest three. Contexts that no longer fit the spec are left out.
    """
    features, cells = _cells(engine.spec, contexts)
    found: list[tuple[str, int, dict[str, float]]] = []
    sums: dict[str, list[float]] = {}
    weight = 0.0
    for label, members in sorted(cells.items(), key=lambda item: (-len(item[1]), item[0]))[:_ROWS]:
        held = []
        for context in members[:_EACH]:
            try:
                held.append(engine.beliefs(context))
            except NyxError:
                continue
            await asyncio.sleep(0)  # decisions come first
        if not held:
            continue
        shares: dict[str, float] = defaultdict(float)
        for beliefs in held:
            part = len(members) / len(held)
            weight += part
            for belief in beliefs:
                shares[belief.arm_id] += belief.probability / len(held)
                told = sums.setdefault(belief.arm_id, [0.0, 0.0, 0.0, 0.0])
                told[0] += part * belief.probability
                if not math.isnan(belief.mean):
                    told[1] += part * belief.mean
                    told[2] += part * (0.0 if math.isnan(belief.sd) else belief.sd)
                    told[3] += part
        found.append((label, len(members), shares))
    if not found:
        return None
    arms = {
        arm: ArmHeld(m / known if known else None, s / known if known else None, p / weight)
        for arm, (p, m, s, known) in sums.items()
    }
    return _drawn(features, found, arms, len(contexts))


def _drawn(
    features: tuple[str, ...],
    found: list[tuple[str, int, dict[str, float]]],
    held: Mapping[str, ArmHeld],
    contexts: int,
) -> ChoiceMap:
    columns = list(held)
    if len(columns) > _COLUMNS:
        first = sorted(columns, key=lambda arm: -held[arm].probability)[: _COLUMNS - 1]
        columns = [arm for arm in columns if arm in set(first)]
    rest = len(columns) < len(held)
    rows = []
    for label, n, shares in sorted(found):
        listed = [shares.get(arm, 0.0) for arm in columns]
        others = [max(0.0, 1.0 - sum(listed))] if rest else []
        rows.append(ChoiceRow(label, n, (*listed, *others)))
    return ChoiceMap(features, (*columns, *(["other arms"] if rest else [])), tuple(rows), held, contexts)


def _cells(
    spec: BanditSpec, contexts: Sequence[Mapping[str, Any]]
) -> tuple[tuple[str, ...], dict[str, list[Mapping[str, Any]]]]:
    """Contexts by kind: the first categorical and ordinal features, a flag, or thirds of a number."""
    cells: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    names = tuple(
        name
        for kind in (Categorical, Ordinal)
        for name in [next((n for n, f in spec.context.items() if isinstance(f, kind)), None)]
        if name is not None
    )
    names = names or tuple(n for n, f in spec.context.items() if isinstance(f, Flag))[:2]
    if names:
        for context in contexts:
            cells[" · ".join(_short(context.get(name)) for name in names)].append(context)
        return names, cells
    number = next((n for n, f in spec.context.items() if isinstance(f, Numeric)), None)
    if number is None:
        return (), {"every context": list(contexts)} if contexts else {}
    known = sorted(
        value
        for context in contexts
        if isinstance(value := context.get(number), (int, float)) and not isinstance(value, bool)
    )
    if not known:
        return (), {"every context": list(contexts)} if contexts else {}
    low, high = known[len(known) // 3], known[2 * len(known) // 3]
    for context in contexts:
        value = context.get(number)
        if value is None:
            label = f"{number} unknown"
        elif value < low:
            label = f"{number} below {low:g}"
        else:
            label = f"{number} {low:g} to {high:g}" if value < high else f"{number} from {high:g}"
        cells[label].append(context)
    return (number,), cells


def _short(value: Any) -> str:
    text = "unknown" if value is None else str(value)
    return text if len(text) <= 40 else text[:39] + "…"
