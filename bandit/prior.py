"""``fit_prior``: the hierarchical model's prior, taken from a history by marginal likelihood.

Empirical Bayes: the prior mean, the sds of the five kinds of effects and the noise variance that make the
recorded rewards most probable, all effects integrated out. Found by a deterministic coordinate search on
fixed grids, from the integer sums of the history alone: the order of its rows changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import SpecInvalid
from ..features import Encoder
from ..features.encoding import groups
from .arms import ArmTable
from .history import Triple, read_history
from .policies.base import Floats, Setting
from .policies.catalog import checked_parameters
from .policies.hierarchical import HierarchicalModel
from .policies.tree import Scales, scales_of
from .spec import BanditSpec, PolicySpec
from .sums import Sums

__all__ = ["fit_prior"]

_HIERARCHICAL = ("hier_ts", "hier_ucb", "square_cb")
_GRID = (0.01, 0.014, 0.02, 0.028, 0.04, 0.056, 0.08, 0.11, 0.16, 0.22, 0.32, 0.45, 0.64, 0.9)  # sds
_LEVEL = 1.0
_ROUNDS = 6
_NOISE_LOW = 1e-4
_NOISE_ROWS = 20.0
_NARROW = 0.1
_ENOUGH = 20


def fit_prior(history: Iterable[Triple], spec: BanditSpec) -> PolicySpec:
    """The spec's policy with a prior fitted to a history of other decisions.

    What is fitted: ``mean``, ``sd_context``, ``sd_strategy``, ``sd_parameter``, ``sd_interaction`` (a kind
    that the spec does not have keeps its value), and ``noise``, which then counts for up to 20 rewards.
    ``sd_global`` becomes .1: one history has one level, and cannot tell how levels vary; ``ratio_low`` and
    ``ratio_high`` stay, so that sums may still contradict. Everything else is the spec's.

    Use it for a new bandit of the same kind of work. A bandit that goes on with the history itself learns it
    (``Bandit.learn_history``); doing both counts the history twice, which only matters where it is small.

    Parameters
    ----------
    history : rows (context, arm id, reward), at least 20; their order does not matter.
    spec : says the arms, the context and the policy: ``hier_ts``, ``hier_ucb`` or ``square_cb``.

    Raises
    ------
    SpecInvalid : another policy, arms that are chosen in stages, or fewer than 20 rows.
    InputInvalid, ContextInvalid, ArmUnknown, OutcomeInvalid : a row does not fit the spec.

    References
    ----------
    Bishop (2006), Pattern Recognition and Machine Learning, §3.5 (evidence approximation).
    """
    arms = spec.arms
    if spec.policy.name not in _HIERARCHICAL or not isinstance(arms, ArmTable):
        raise SpecInvalid(
            "a prior can only be fitted for the hierarchical model over listed arms",
            expected=f"a policy out of {list(_HIERARCHICAL)}, and arms that are chosen in one stage",
            found=f"{spec.policy!r}{', chosen in stages' if spec.arms.staged else ''}",
            fix='for example policy=PolicySpec("hier_ts")',
        )
    encoder = Encoder(spec.context)
    sums = Sums(len(arms), encoder.dimension, spec.bucket_rows)
    rows = read_history(history, arms, encoder, sums.epochs)
    if len(rows) < _ENOUGH:
        raise SpecInvalid(
            "the history is too short to take a prior from",
            expected=f"at least {_ENOUGH} rows",
            found=f"{len(rows)}",
            fix="keep the default prior, and let the bandit learn these rows (learn_history)",
        )
    for seq, row in enumerate(rows, start=1):
        sums.absorb(row.unit, 0, seq, row.phi, row.units)
    sums.refresh()
    return _Fit(spec, arms, sums.reading, len(rows)).policy()


class _Fit:
    """Coordinate search for one reading of the sums."""

    def __init__(self, spec: BanditSpec, arms: ArmTable, reading: Floats, rows: int) -> None:
        self._spec, self._arms, self._reading, self._rows = spec, arms, reading, rows
        self._groups = tuple(groups(spec.context))
        self._number = {k: v for k, v in spec.policy.parameters.items() if not isinstance(v, str)}
        total, squares = float(reading[:, 1].sum()), float(reading[:, 2].sum())
        self._mean = total / rows
        self._noise = max(squares / rows - self._mean * self._mean, _NOISE_LOW)

    def policy(self) -> PolicySpec:
        start = scales_of({**self._number, "ratio_low": 1.0, "ratio_high": 1.0})[0]
        scales = start._replace(level=_LEVEL)
        for _ in range(_ROUNDS):
            before = scales
            for kind in self._kinds():
                candidates = [scales._replace(**{kind: sd}) for sd in _GRID]
                weight = self._model(candidates).weight.tolist()
                scales = candidates[weight.index(max(weight))]
            best = self._model([scales])
            noise = max(best.noise_variance, _NOISE_LOW)
            self._mean = min(1.0, max(0.0, best.level))
            settled = scales == before and abs(noise - self._noise) < 0.01 * noise
            self._noise = noise
            if settled:
                break
        fitted = {
            **self._number,
            "mean": round(self._mean, 4),
            "sd_global": _NARROW,
            "sd_context": scales.context,
            "sd_strategy": scales.strategy,
            "sd_parameter": scales.parameter,
            "sd_interaction": scales.interaction,
            "noise": round(self._noise, 5),
            "noise_weight": min(float(self._rows), _NOISE_ROWS),
        }
        policy = self._spec.policy
        return PolicySpec.from_dict({**policy.to_dict(), "parameters": {**policy.parameters, **fitted}})

    def _kinds(self) -> list[str]:
        kinds = []
        if self._groups:
            kinds.append("context")
        if len(self._arms.strategies) > 1:
            kinds.append("strategy")
            if self._groups:
                kinds.append("interaction")
        if any(strategy.parameters for strategy in self._arms.strategies):
            kinds.append("parameter")
        return kinds

    def _model(self, candidates: list[Scales]) -> HierarchicalModel:
        parameters = checked_parameters(
            "hier_ucb", {"mean": self._mean, "noise": self._noise, "noise_weight": 1.0}
        )
        model = HierarchicalModel(Setting(self._arms, self._groups, -1, parameters), candidates)
        model.refresh(self._reading, range(len(self._arms)))
        return model
