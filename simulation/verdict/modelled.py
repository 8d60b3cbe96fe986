"""A log as a world for policies that learn: a reward model is fitted to its rows, and its contexts recur."""

from __future__ import annotations

import numpy as np

from ...bandit import ArmTable
from ...errors import SupportMissing
from ...features import ONE, Encoder
from ..offpolicy.models import fit_cells, fit_linear
from ..worlds import Fitted
from .log import JudgedLog
from .targets import spec_of_log

__all__ = ["fitted_world"]

_ROWS_A_CONTEXT = 5
_EDGE = 1e-3


def fitted_world(log: JudgedLog) -> Fitted:
    """A world whose rounds draw the log's rows, and whose arms are worth what a model of the log says.

    Contexts that recur (five rows each, on average) get the shrunken cells of ``fit_cells``, others the
    linear model of ``fit_linear``. An arm that was never tried in a context gets what the model makes of the
    others; an arm that was not eligible there is none. Outcomes of 0 and 1 are drawn as such; others normal,
    with the model's residual standard deviation, clipped to [0, 1].

    Raises
    ------
    SupportMissing : the log has one arm only, and so nothing to choose.
    """
    if len(log.arms) < 2:
        raise SupportMissing(
            "a log of one arm makes no world to learn in",
            expected="at least two arms",
            found=f"{list(log.arms)}"[:120],
            fix="log a policy that tries several arms",
        )
    teacher = spec_of_log(log)
    contexts = [teacher.context(context) for context in log.contexts]
    data, cell = log.data, log.cell
    reward, arm = np.asarray(data.reward, np.float64), np.asarray(data.arm, np.int64)
    counts = np.bincount(cell, minlength=len(contexts))
    if len(log) >= _ROWS_A_CONTEXT * len(contexts):
        modelled = fit_cells(reward, arm, cell, (len(contexts), len(log.arms))).table
    else:
        encoder = Encoder(teacher.spec.context)
        phi = np.array([encoder.encode(context)[1] for context in contexts], np.float64) / ONE
        modelled = fit_linear(reward, arm, phi[cell], len(log.arms))(phi)
    binary = bool(np.isin(reward, (0.0, 1.0)).all())
    edge = 0.0 if binary else _EDGE
    modelled = np.clip(modelled, edge, 1.0 - edge)
    spread = float(np.sqrt(np.mean((reward - modelled[cell, arm]) ** 2)))

    place = {logged: a for a, logged in enumerate(log.arms)}
    own = ArmTable(teacher.spec.strategies)
    order = [place[teacher.names[unit]] for unit in own.ids]
    means: list[list[float | None]] = []
    kept = np.flatnonzero(counts)
    for c in kept.tolist():
        only = log.eligible[c]
        row: list[float | None] = []
        for a in order:
            name = log.arms[a]
            allowed = only is None or name in only or name.partition("(")[0] in only
            row.append(float(modelled[c, a]) if allowed else None)
        means.append(row)
    return Fitted(
        teacher.spec.strategies,
        teacher.spec.context,
        [contexts[c] for c in kept.tolist()],
        counts[kept].tolist(),
        means,
        sd=None if binary else max(spread, _EDGE),
    )
