"""The prior of the targets' worlds is frozen, and draws what it says."""

from __future__ import annotations

import numpy as np
import pytest

from nyx_learning.canonical import digest
from nyx_learning.errors import InputInvalid
from nyx_learning.features import Encoder
from nyx_learning.simulation.targets.prior import CODES, WORLDS, draw_world


def test_the_worlds_are_those_that_were_drawn_before_anything_was_tried_in_them() -> None:
    drawn = [draw_world(number).digest for number in range(WORLDS)]
    assert digest(drawn) == "64acb6309addc4d3914c9b3dde4bdd31"
    assert len(set(drawn)) == 50


def test_worlds_keep_to_the_domains_of_the_prior() -> None:
    for number in range(WORLDS):
        world = draw_world(number)
        contexts, arms = len(world.contexts), len(world.arms)
        assert world.table.shape == (contexts, arms, 6)
        assert world.tokens.shape == world.first_code.shape == (contexts, arms)
        assert world.shares.sum() == pytest.approx(1.0)
        seconds, timeout, retries, failure, stall, quality = np.moveaxis(world.table, -1, 0)
        assert (seconds > 0).all()
        assert (timeout >= 40).all()
        assert (retries <= 3).all()
        assert failure.min() >= 0.02
        assert failure.max() <= 0.9
        assert stall.min() >= 0.005
        assert stall.max() <= 0.05 + 0.004 * 8
        assert quality.min() >= 0.2
        assert quality.max() <= 0.85
        assert (world.codes[..., 0] != world.codes[..., 1]).all()
        assert world.codes.min() >= 0
        assert world.codes.max() < len(CODES)
        encoder = Encoder(world.schema)
        assert len({tuple(encoder.encode(context)[1]) for context in world.contexts}) == contexts


def test_the_incumbent_is_untuned() -> None:
    for number in range(WORLDS):
        world = draw_world(number)
        arm = world.arms[world.incumbent]
        strategy = next(s for s in world.strategies if s.name == arm.strategy)
        for key, value in arm.parameters.items():
            values = list(strategy.parameters[key])  # type: ignore[arg-type]
            assert value == values[1]  # the middle of three, the larger of two


@pytest.mark.parametrize("number", [-1, 1.5, True, 1 << 32])
def test_no_world_has_such_a_number(number: object) -> None:
    with pytest.raises(InputInvalid, match="no such world"):
        draw_world(number)  # type: ignore[arg-type]
