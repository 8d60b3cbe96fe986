"""Which policies there are and which parameters they take; light to import.

A policy's module loads the compiled kernels; this table does not, so that a spec can be read and checked
before anything heavy is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...errors import SpecInvalid

__all__ = ["CATALOG", "Entry", "Parameter", "checked_parameters"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One numeric (or, for ``arm``, textual) setting of a policy, with its default and domain [low, high]."""

    default: float | str
    low: float = 0.0
    high: float = 1e12
    what: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A policy's module in ``bandit.policies``, its class there, its one-line purpose and its parameters."""

    module: str
    cls: str
    purpose: str
    parameters: Mapping[str, Parameter]


CATALOG: Mapping[str, Entry] = {
    "uniform": Entry("uniform", "Uniform", "every eligible arm with the same probability", {}),
    "fixed": Entry(
        "fixed",
        "Fixed",
        "always one arm",
        {"arm": Parameter("", what="arm id or strategy name; empty: the spec's baseline arm")},
    ),
    "epsilon_greedy": Entry(
        "epsilon_greedy",
        "EpsilonGreedy",
        "the best mean so far, and now and then anything",
        {"epsilon": Parameter(0.1, 0.0, 1.0, "share of decisions that are uniform")},
    ),
    "ucb1": Entry(
        "ucb1",
        "Ucb1",
        "optimism without context",
        {"alpha": Parameter(4.0, 0.0, 1e6, "width: mean + sqrt(alpha ln t / 2n)")},
    ),
    "thompson_beta": Entry(
        "thompson_beta",
        "ThompsonBeta",
        "Thompson sampling without context, for successes and failures",
        {
            "a": Parameter(1.0, 1e-3, 1e9, "prior successes"),
            "b": Parameter(1.0, 1e-3, 1e9, "prior failures"),
        },
    ),
    "hier_ts": Entry(
        "hier_ts",
        "HierTs",
        "Thompson sampling on a hierarchical linear model that shares what arms and contexts teach",
        {
            "mean": Parameter(0.5, 0.0, 1.0, "prior mean reward"),
            "sd_global": Parameter(0.3, 1e-6, 1e3, "prior sd of the overall level, at noise .21"),
            "sd_context": Parameter(0.10, 1e-6, 1e3, "prior sd of a context effect"),
            "sd_strategy": Parameter(0.10, 1e-6, 1e3, "prior sd of a strategy's effect"),
            "sd_parameter": Parameter(0.10, 1e-6, 1e3, "prior sd of a parameter level's effect"),
            "sd_interaction": Parameter(0.15, 1e-6, 1e3, "prior sd of a strategy × context effect"),
            "ratio_low": Parameter(0.7, 1e-3, 1e3, "smaller multiple of all sds that is considered"),
            "ratio_high": Parameter(2.0, 1e-3, 1e3, "larger multiple of all sds that is considered"),
            "noise": Parameter(0.21, 1e-9, 1e3, "prior noise variance"),
            "noise_weight": Parameter(4.0, 1e-6, 1e9, "rewards that the prior noise variance counts for"),
            "caution": Parameter(0.3, 0.0, 1.0, "share of the posterior sd that is sampled at the start"),
            "caution_rows": Parameter(500.0, 1e-6, 1e12, "rewards over which that share grows: sqrt(1+n/rows)"),
        },
    ),
}


def checked_parameters(policy: str, given: Mapping[str, object]) -> dict[str, float | str]:
    """All parameters of a policy, the defaults filled in.

    Raises
    ------
    SpecInvalid : the policy or a parameter is unknown, or a value is outside its domain.
    """
    entry = CATALOG.get(policy) if isinstance(policy, str) else None
    if entry is None:
        raise SpecInvalid(
            "the policy is unknown",
            expected=f"one of {sorted(CATALOG)}",
            found=repr(policy)[:120],
            fix='name a policy of the list, for example PolicySpec("hier_ts")',
        )
    unknown = sorted(given.keys() - entry.parameters.keys())
    if unknown:
        raise SpecInvalid(
            f"policy '{policy}' has no such parameter",
            expected=f"some of {sorted(entry.parameters)}" if entry.parameters else "no parameters but floor",
            found=f"{unknown}",
            fix="correct the name, or leave the parameter out",
        )
    return {
        name: _checked(policy, name, p, given.get(name, p.default)) for name, p in entry.parameters.items()
    }


def _checked(policy: str, name: str, parameter: Parameter, value: object) -> float | str:
    if isinstance(parameter.default, str):
        if isinstance(value, str):
            return value
        expected = "a string"
    else:
        expected = f"a number from {parameter.low:g} to {parameter.high:g}"
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if number and parameter.low <= value <= parameter.high:  # type: ignore[operator]
            return float(value)  # type: ignore[arg-type]
    raise SpecInvalid(
        f"parameter '{name}' of policy '{policy}' has an unusable value",
        expected=expected + (f" ({parameter.what})" if parameter.what else ""),
        found=repr(value)[:120],
        fix=f"for example {name}={parameter.default!r}, the default",
    )
