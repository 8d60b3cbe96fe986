"""The engine's front to the user's table of thought trees."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from nyx_learning import BanditSpec, Outcome
from nyx_learning.errors import DatabaseUnavailable, InputInvalid
from nyx_learning.rewards import PerformanceScorer

Contexts = Callable[[int], dict[str, Any]]
TREE = UUID(int=5)
TABLE = (
    "CREATE TABLE {} (id uuid PRIMARY KEY, success_score real, quality_score real, speed_score real,"
    " usefulness_score real, overall_weight float8)"
)


async def test_scores_of_an_execution(open_engine: Any, sql: Any, spec: BanditSpec) -> None:
    await sql(TABLE.format("thought_trees"))
    await sql("INSERT INTO thought_trees (id) VALUES ($1)", TREE)
    engine = await open_engine(spec)
    result = await PerformanceScorer().score_execution(Outcome(success=True, quality=0.5))
    await engine.update_thought_tree_scores(TREE, result)
    await engine.update_thought_tree_scores(UUID(int=6), result)
    written = await engine.thought_trees.flush()
    assert (written.updated, written.missing) == (1, (str(UUID(int=6)),))
    found = await sql("SELECT success_score, quality_score, speed_score, overall_weight FROM thought_trees")
    assert found == [(1.0, 0.5, None, result.overall_weight)]


async def test_closing_writes_what_is_queued(open_engine: Any, sql: Any, spec: BanditSpec) -> None:
    await sql("CREATE SCHEMA app")
    await sql(TABLE.format("app.trees"))
    await sql("INSERT INTO app.trees (id) VALUES ($1)", TREE)
    engine = await open_engine(spec, thought_trees="app.trees")
    result = await PerformanceScorer().score_execution(Outcome(success=False))
    await engine.update_thought_tree_scores(TREE, result)
    await engine.close()
    assert await sql("SELECT success_score FROM app.trees") == [(0.0,)]
    with pytest.raises(DatabaseUnavailable):
        await engine.update_thought_tree_scores(TREE, result)


async def test_the_name_is_checked_when_opening(open_engine: Any, spec: BanditSpec) -> None:
    with pytest.raises(InputInvalid, match="the name of the thought trees' table"):
        await open_engine(spec, thought_trees="trees; DROP TABLE x")
