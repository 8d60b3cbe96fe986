"""The one place where guardrails act: on the integer pmf of the arms, behind the policy and before the draw.

A rule that takes arms out acts on what the policy may choose from (``Rules.narrowed``); all others act on
the pmf that the policy then has (``guard``), in this order:

1. *caps*: the mass of a set of arms is at most its limit. The mass of a set above its limit is scaled down to
   it; what it gives up goes to the arms that no cap has touched, in proportion to their mass (evenly where
   they have none); again, until no set is above its limit. Where no arm is left to take it, the baseline arm
   does, and where that is not eligible, all arms in proportion: an arm must be served.
2. *service*: the learner is served with probability ``share``, and the baseline arm otherwise:
   q = share · p + (1 − share) · [arm = baseline], where the baseline arm is eligible.

All in integers: rounded down (under service to no less than one unit), and units that are left over go one by
one to the arms in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..choice import TOTAL

__all__ = ["NO_RULES", "Cap", "Rules", "guard"]


class Cap(NamedTuple):
    """At most ``limit`` units of 2⁻³² for these arms together; ``rule`` says which guardrail asks for it."""

    arms: tuple[int, ...]
    limit: int
    rule: str


class Rules(NamedTuple):
    """What is in force for one decision, by positions of arms.

    Attributes
    ----------
    pinned : only these are chosen; None for no pin. Their author has the last word over a breaker.
    barred : never chosen, by order. out : not chosen while there is another one.
    caps : in a fixed order. share : of the learner's service in units of 2⁻³²; None for all.
    served : ``kill_switch`` or ``shadow``: the baseline arm, for certain; None otherwise.
    barred_by, out_by : which guardrails took them out.
    """

    pinned: frozenset[int] | None = None
    barred: frozenset[int] = frozenset()
    out: frozenset[int] = frozenset()
    caps: tuple[Cap, ...] = ()
    share: int | None = None
    served: str | None = None
    barred_by: tuple[str, ...] = ()
    out_by: tuple[str, ...] = ()

    def narrowed(
        self, allowed: tuple[int, ...] | None, count: int
    ) -> tuple[tuple[int, ...] | None, tuple[str, ...]]:
        """What the policy may choose from, of ``allowed`` (None: all ``count`` arms), and what narrowed it.

        An empty tuple where nothing may be chosen. A pin acts where one of its arms is eligible.
        """
        everything = range(count) if allowed is None else allowed
        kept, acted = [i for i in everything if i not in self.barred], list[str]()
        if len(kept) < len(everything):
            acted += self.barred_by
        pinned = [] if self.pinned is None else [i for i in kept if i in self.pinned]
        if pinned:
            acted.append("pin")
            kept = pinned
        elif self.out:
            well = [i for i in kept if i not in self.out]
            if well and len(well) < len(kept):
                acted += self.out_by
                kept = well
        if not acted:
            return allowed, ()
        return tuple(kept), tuple(acted)


NO_RULES = Rules()
"""Where no guardrail acts."""


def guard(pmf: Sequence[int], rules: Rules, eligible: Sequence[bool], baseline: int) -> list[int]:
    """The pmf under the rules' caps and share of service.

    Parameters
    ----------
    pmf : (K,) units of 2⁻³² that sum to 2³², 0 for arms that are not eligible.
    rules : what is in force.
    eligible : (K,) which arms could be chosen, behind ``rules.narrowed``.
    baseline : position of the baseline arm; −1 for none.

    Returns
    -------
    (K,) units of 2⁻³² that sum to 2³².
    """
    units = list(pmf)
    if rules.caps:
        units = _capped(units, rules.caps, eligible, baseline)
    if rules.share is not None and baseline >= 0 and eligible[baseline]:
        units = [max(1, mass * rules.share // TOTAL) if mass and rules.share else 0 for mass in units]
        units[baseline] += TOTAL - sum(units)
    return units


def _capped(units: list[int], caps: Sequence[Cap], eligible: Sequence[bool], baseline: int) -> list[int]:
    touched: set[int] = set()
    last: list[int] = []  # who takes what no arm may: a cap on them is void
    while True:
        over = next((c for c in caps if not set(last) & set(c.arms) and _mass(units, c) > c.limit), None)
        if over is None:
            return units
        surplus = _mass(units, over) - over.limit
        kept = _shared(over.limit, [units[i] for i in over.arms])
        for i, share in zip(over.arms, kept, strict=True):
            units[i] = share
        touched.update(over.arms)
        takers = [i for i in _eligible(eligible) if i not in touched]
        if not takers:
            last = [baseline] if baseline >= 0 and eligible[baseline] else _eligible(eligible)
        _give(units, takers or last, surplus)


def _mass(units: Sequence[int], cap: Cap) -> int:
    return sum(units[i] for i in cap.arms)


def _eligible(eligible: Sequence[bool]) -> list[int]:
    return [i for i, good in enumerate(eligible) if good]


def _give(units: list[int], takers: Sequence[int], surplus: int) -> None:
    weights = [units[i] for i in takers]
    for i, share in zip(
        takers, _shared(surplus, weights if any(weights) else [1] * len(takers)), strict=True
    ):
        units[i] += share


def _shared(amount: int, weights: Sequence[int]) -> list[int]:
    """``amount`` in proportion to the weights, rounded down; what is left goes to the first ones."""
    total = sum(weights)
    shares = [amount * weight // total for weight in weights]
    left = amount - sum(shares)
    for place in range(len(shares)):
        if left and weights[place]:
            shares[place] += 1
            left -= 1
    return shares
