"""Worlds that only the checks need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..worlds import PRESETS, Bernoulli, Segments, World

__all__ = ["Delayed", "WithBaseline", "describe"]


class Delayed(Bernoulli):
    """``Bernoulli`` whose rewards are learned ``delay`` rounds late; for compiled loops."""

    def __init__(self, means: Sequence[float], delay: int) -> None:
        super().__init__(means)
        self.delay = delay

    def segments(self, seed: int, replication: int) -> Segments:  # noqa: D102
        return replace(super().segments(seed, replication), delay=self.delay)

    def to_dict(self) -> dict[str, Any]:  # noqa: D102
        return {**super().to_dict(), "delay": self.delay}


class WithBaseline(Bernoulli):
    """``Bernoulli`` whose arm ``baseline`` is the incumbent."""

    def __init__(self, means: Sequence[float], baseline: int) -> None:
        super().__init__(means)
        self.baseline = baseline
        self.baseline_arm = self.strategies[baseline].name

    def to_dict(self) -> dict[str, Any]:  # noqa: D102
        return {**super().to_dict(), "baseline": self.baseline}


def describe(world: World) -> str:
    """A world in a few characters: its own name, or kind and parameters."""
    named = [name for name, preset in PRESETS.items() if world == preset]
    if named:
        return named[0]
    document = world.to_dict()
    given = [(key, _brief(value)) for key, value in document.items() if key != "kind" and value is not None]
    parts = [text if place == 0 else f"{key} {text}" for place, (key, text) in enumerate(given)]
    return f"{document['kind']}({', '.join(parts)})"


def _brief(value: Any) -> str:
    if isinstance(value, list):
        if value and isinstance(value[0], list):
            return " | ".join(_brief(row) for row in value)
        return " ".join(_brief(item) for item in value)
    return f"{value:g}".replace("0.", ".", 1) if isinstance(value, float) else str(value)
