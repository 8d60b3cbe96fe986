"""What executions of an orchestrator go through, drawn for all arms of many rounds at once.

``orchestration`` says what happens to one; its law is that of ``truth``. All numbers are pure functions of
(seed, replication, round).
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .. import lockstep
from ..keys import key_of
from . import truth
from .base import Floats

__all__ = ["SIZE_SD", "Executions", "executions"]

Executions: TypeAlias = dict[str, npt.NDArray[Any]]

SIZE_SD = 0.5
"""Standard deviation of the logarithm of a task's size."""

_DRAWS = 10  # uniforms of an execution, see the indices below
_STALL, _ATTEMPT, _QUALITY, _QUALITY_KNOWN, _FEEDBACK, _FEEDBACK_KNOWN, _LOST = 0, 1, 5, 6, 7, 8, 9


def executions(profiles: Floats, seed: int, replication: int, start: int, *, lost: float) -> Executions:
    """What every arm would report in n rounds from ``start`` on.

    profiles (n, K, 6) : seconds, timeout_s, retries (at most 3), failure, stall, quality of ``Profile``.
    lost : share that is never reported.

    Returns columns (n, K) as ``price_bulk`` takes them; and beside them ``lost``, ``begun``: how many
    attempts were begun, and ``size`` (n, 1): the task's size.
    """
    median, timeout, retries, failure, stall, quality = np.moveaxis(profiles, -1, 0)
    n, k = median.shape
    size, u = np.empty(n), np.empty(n * k * _DRAWS)
    lockstep.rewards.lognormals_into(*key_of(seed, replication, "sizes"), start, SIZE_SD, size)
    lockstep.counter.uniforms_into(*key_of(seed, replication, "executions"), start * k * _DRAWS, u)
    u = u.reshape(n, k, _DRAWS)
    attempt = median * size[:, None]
    most = int(retries.max()) + 1
    # Attempts before the first success, of those that are allowed.
    failed = np.cumprod(u[..., _ATTEMPT : _ATTEMPT + most] < failure[..., None], axis=-1)
    failed = (failed * (np.arange(most) <= retries[..., None])).sum(axis=-1)
    success = failed <= retries
    whole = attempt * np.minimum(failed + 1, retries + 1)
    stalled = u[..., _STALL] < stall
    timed_out = stalled | (whole > timeout)
    success &= ~timed_out
    done = np.minimum(np.where(stalled, 0, np.floor(timeout / attempt)), retries)
    repeated = np.where(timed_out, np.minimum(done, failed), np.minimum(failed, retries))
    graded = quality + 0.3 * (u[..., _QUALITY] - 0.5)
    said = np.where(u[..., _FEEDBACK] < np.where(success, truth.GOOD, truth.GOOD_FAILED), 1.0, 0.0)
    return {
        "success": success,
        "timed_out": timed_out,
        "duration_s": np.where(timed_out, timeout, whole),
        "retries": repeated,
        "errors": repeated + ~success,
        "quality": np.where(
            success, np.where(u[..., _QUALITY_KNOWN] < truth.QUALITY_KNOWN, graded, np.nan), 0.0
        ),
        "user_feedback": np.where(u[..., _FEEDBACK_KNOWN] < truth.FEEDBACK_KNOWN, said, np.nan),
        "lost": u[..., _LOST] < lost,
        "begun": repeated + 1,
        "size": size[:, None],
    }
