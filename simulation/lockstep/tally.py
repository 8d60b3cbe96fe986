"""What a replication comes to at the checkpoints, counted on the fly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...jit import kernel

__all__ = ["tally_segments"]

_Floats = npt.NDArray[np.float64]
_Integers = npt.NDArray[np.int64]


@kernel
def tally_segments(
    arms: _Integers,
    rewards: _Integers,
    starts: _Integers,
    expected: _Floats,
    best: _Floats,
    checkpoints: _Integers,
    out: _Floats,
) -> None:
    """Write regret, expected reward, reward and rounds with a best arm, each summed up to each checkpoint.

    arms, rewards (T,); starts (S,), expected (S, K), best (S,) : of the segments; checkpoints (C,) :
    ascending, the last one at most T; out (4, C).
    """
    segment = 0
    place = 0
    regret = 0.0
    value = 0.0
    units = 0
    hits = 0
    for t in range(checkpoints[checkpoints.shape[0] - 1]):
        while segment + 1 < starts.shape[0] and starts[segment + 1] <= t:
            segment += 1
        mean = expected[segment, arms[t]]
        regret += best[segment] - mean
        value += mean
        units += rewards[t]
        if mean >= best[segment]:
            hits += 1
        if checkpoints[place] == t + 1:
            out[0, place] = regret
            out[1, place] = value
            out[2, place] = units / 65536.0
            out[3, place] = hits
            place += 1
