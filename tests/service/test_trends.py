"""Trends through the engine: what the log has recorded, and bad questions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nyx_learning import BanditSpec, Outcome
from nyx_learning.errors import InputInvalid


async def test_trends_of_the_log(
    open_engine: Any, spec: BanditSpec, contexts: Callable[[int], dict[str, Any]], sql: Any
) -> None:
    engine = await open_engine(spec)
    for i in range(12):
        decision = await engine.select_arm(contexts(i), f"wf-{i}")
        tokens: dict[str, Any] = {} if i % 2 else {"input_tokens": 100, "output_tokens": 20}
        await engine.update_reward(decision, Outcome(success=True, duration_s=2.0 + i, **tokens))
    before = await sql("SELECT seq, digest FROM nyx.log ORDER BY seq")
    asked = ["reward", "duration_s", "tokens", "cost"]
    found = {t.metric: t for t in await engine.analyze_performance_trends(metrics=asked, bucket_s=60.0)}
    assert {m: (t.rows, t.missing) for m, t in found.items()} == {
        "reward": (12, 0),
        "duration_s": (12, 0),
        "tokens": (6, 6),
        "cost": (0, 12),
    }
    assert all("not enough evidence" in trend.reason for trend in found.values())  # one or two buckets
    (of_none,) = await engine.analyze_performance_trends(1e-9, metrics=["reward"])
    assert of_none.rows == 0
    assert await sql("SELECT seq, digest FROM nyx.log ORDER BY seq") == before
    for wrong in ({"metrics": ["joy"]}, {"time_window": -1.0}, {"steps": 0}, {"bucket_s": float("nan")}):
        with pytest.raises(InputInvalid) as caught:
            await engine.analyze_performance_trends(**wrong)
        assert caught.value.fix
