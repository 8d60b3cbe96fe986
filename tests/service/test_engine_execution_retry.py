"""What an execution does with a repeated id and with an unusable report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nyx_learning import BanditSpec, LearningEngine
from nyx_learning.errors import OutcomeInvalid

Contexts = Callable[[int], dict[str, Any]]
REWARDED = "SELECT count(*) FROM nyx.log WHERE kind = 'reward'"


@pytest.fixture
async def engine(open_engine: Any, spec: BanditSpec) -> LearningEngine:
    opened: LearningEngine = await open_engine(spec)
    return opened


async def test_the_first_outcome_stands_when_a_step_is_run_again(
    engine: LearningEngine, sql: Any, contexts: Contexts
) -> None:
    async with engine.execution(contexts(1), "wf-7") as first:
        first.report(quality=0.5)
    async with engine.execution(contexts(1), "wf-7") as second:
        second.report(quality=0.5)
    assert second.decision == first.decision
    assert first.receipt is not None
    assert second.receipt is None
    assert await sql(REWARDED) == [(1,)]


@pytest.mark.parametrize("mistake", [{"qualty": 0.9}, {"quality": 1.2}])
async def test_a_mistake_in_the_report_is_not_learned_as_a_failure(
    engine: LearningEngine, sql: Any, contexts: Contexts, mistake: dict[str, float]
) -> None:
    with pytest.raises(OutcomeInvalid):
        async with engine.execution(contexts(1), "typo") as run:
            run.report(**mistake)
    await engine.close()
    assert await sql(REWARDED) == [(0,)]


async def test_a_block_that_catches_its_mistake_goes_on(
    engine: LearningEngine, sql: Any, contexts: Contexts
) -> None:
    async with engine.execution(contexts(1), "caught") as run:
        with pytest.raises(OutcomeInvalid):
            run.report(quality=1.2)
        run.report(quality=0.8)
    assert run.receipt is not None
    assert run.receipt.components["quality"] == 0.8
    assert await sql(REWARDED) == [(1,)]
