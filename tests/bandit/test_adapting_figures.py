"""What mid-run adaptation reaches; full tables: ``benchmarks.adaptation``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def adaptation() -> Iterator[ModuleType]:
    root = str(Path(__file__).resolve().parents[2])
    sys.path.insert(0, root)
    try:
        yield importlib.import_module("benchmarks.adaptation")
    finally:
        sys.path.remove(root)


def test_the_advice_is_worth_more_than_the_best_fixed_timeout(adaptation: ModuleType) -> None:
    """Three of the frozen worlds, half as long."""
    found = adaptation.judge(1000, 3, 300)
    assert found.gain >= 0.05
    assert found.advised > found.never


def test_recorded_runs_are_worth_more(adaptation: ModuleType) -> None:
    found = adaptation.recorded(0.5 / 900)
    if found is None:
        pytest.skip("no shared/data beside the repository")
    assert found.advised - found.as_recorded > 3 * found.standard_error
    assert found.advised > found.best_fixed
