"""Which policies there are and which parameters they take; light to import.

A policy's module loads the compiled kernels; this table does not, so that a spec can be read and checked
before anything heavy is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import SpecInvalid

__all__ = ["CATALOG", "Entry", "Parameter", "checked_parameters", "example_parameters"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One setting of a policy: a number in [low, high], or a text (one of ``choices``, if there are any).

    ``required``: there is no default; ``default`` is then only the example that an error shows.
    """

    default: float | str
    low: float = 0.0
    high: float = 1e12
    what: str = ""
    choices: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A policy's module in ``bandit.policies``, its class there, its one-line purpose and its parameters.

    ``statistics`` names the further integer statistics that the policy reads (see ``Policy.increments``);
    they stand at the end of each arm's sums.
    """

    module: str
    cls: str
    purpose: str
    parameters: Mapping[str, Parameter]
    statistics: tuple[str, ...] = ()


_HIERARCHY: Mapping[str, Parameter] = {
    "mean": Parameter(0.65, 0.0, 1.0, "prior mean reward"),
    "sd_global": Parameter(0.12, 1e-6, 1e3, "prior sd of the overall level, at the noise given"),
    "sd_context": Parameter(0.05, 1e-6, 1e3, "prior sd of a context effect"),
    "sd_strategy": Parameter(0.11, 1e-6, 1e3, "prior sd of a strategy's effect"),
    "sd_parameter": Parameter(0.1, 1e-6, 1e3, "prior sd of a parameter level's effect"),
    "sd_interaction": Parameter(0.12, 1e-6, 1e3, "prior sd of a strategy × context effect"),
    "ratio_low": Parameter(0.9, 1e-3, 1e3, "smaller multiple of the sds that is considered"),
    "ratio_high": Parameter(2.0, 1e-3, 1e3, "larger multiple of the sds that is considered"),
    "noise": Parameter(0.21, 1e-9, 1e3, "prior noise variance"),
    "noise_weight": Parameter(4.0, 1e-6, 1e9, "rewards that the prior noise variance counts for"),
}
"""Settings of ``policies.hierarchical.HierarchicalModel``."""

_RIDGE = Parameter(1.0, 1e-9, 1e9, "ridge: weight of the prior, in rewards")

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
    "softmax": Entry(
        "softmax",
        "Softmax",
        "the better the mean so far, the more often",
        {"temperature": Parameter(0.1, 1e-6, 1e6, "difference of means that counts for a factor e")},
    ),
    "ucb1": Entry(
        "ucb1",
        "Ucb1",
        "optimism without context",
        {"alpha": Parameter(4.0, 0.0, 1e6, "width: mean + sqrt(alpha ln t / 2n)")},
    ),
    "ucb_v": Entry(
        "ucb_v",
        "UcbV",
        "optimism without context that profits from rewards of small variance",
        {
            "zeta": Parameter(1.0, 0.0, 1e6, "multiple of ln t"),
            "c": Parameter(1.0, 0.0, 1e6, "multiple of the correction 3 zeta ln t / n"),
        },
    ),
    "kl_ucb": Entry(
        "kl_ucb",
        "KlUcb",
        "optimism without context, with the exact shape of successes and failures",
        {
            "level": Parameter(
                "ln(1+t ln^2 t)",
                what="exploration level; 'ln t' stands for ln t + c ln ln t",
                choices=("ln(1+t ln^2 t)", "ln t"),
            ),
            "c": Parameter(0.0, 0.0, 1e3, "multiple of ln ln t in the level 'ln t'"),
        },
    ),
    "moss": Entry(
        "moss",
        "Moss",
        "optimism without context, for a number of decisions that is known beforehand",
        {"horizon": Parameter(10_000.0, 1.0, 1e12, "decisions in all", required=True)},
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
    "thompson_gaussian": Entry(
        "thompson_gaussian",
        "ThompsonGaussian",
        "Thompson sampling without context, for composite rewards",
        {
            "mean": Parameter(0.5, 0.0, 1.0, "prior mean reward"),
            "sd": Parameter(0.5, 1e-6, 1e3, "prior sd of an arm's mean reward"),
            "noise": Parameter(0.21, 1e-9, 1e3, "noise variance, as far as it is known beforehand"),
            "noise_weight": Parameter(4.0, 1e-6, 1e12, "rewards that this counts for; 1e12: it is known"),
        },
    ),
    "kl_maillard": Entry(
        "kl_maillard",
        "KlMaillard",
        "as good as Thompson sampling without context, and its probabilities are a formula",
        {},
    ),
    "linucb": Entry(
        "linucb",
        "LinUcb",
        "optimism with context, each arm by itself",
        {
            "alpha": Parameter(1.0, 0.0, 1e6, "standard errors that are added"),
            "ridge": _RIDGE,
            "delta": Parameter(0.0, 0.0, 0.999, "> 0: alpha is replaced by OFUL's radius at this risk"),
            "noise": Parameter(0.5, 0.0, 1e3, "sub-Gaussian scale of the noise, for OFUL's radius"),
            "norm": Parameter(
                1.0, 0.0, 1e6, "bound on the length of an arm's coefficients, for OFUL's radius"
            ),
        },
    ),
    "lints": Entry(
        "lints",
        "LinTs",
        "Thompson sampling with context, each arm by itself",
        {
            "mean": Parameter(0.5, 0.0, 1.0, "prior mean reward"),
            "ridge": _RIDGE,
            "scale": Parameter(0.5, 1e-9, 1e6, "sd of the noise"),
        },
    ),
    "hier_ts": Entry(
        "hier_ts",
        "HierTs",
        "Thompson sampling on a hierarchical linear model that shares what arms and contexts teach",
        {
            **_HIERARCHY,
            "optimism": Parameter(1.0, 0.0, 1e6, "posterior sds that are added to each mean"),
            "caution": Parameter(0.07, 0.0, 1.0, "share of the posterior sd that is sampled at the start"),
            "caution_rows": Parameter(
                500.0, 1e-6, 1e12, "rewards over which that share grows: sqrt(1+n/rows)"
            ),
        },
    ),
    "hier_ucb": Entry(
        "hier_ucb",
        "HierUcb",
        "optimism on a hierarchical linear model that shares what arms and contexts teach",
        {
            **_HIERARCHY,
            "width": Parameter(1.0, 0.0, 1e6, "posterior sds that are added"),
            "part": Parameter(
                "whole",
                what="whose sd: the whole expected reward's, or the arm's own part's",
                choices=("whole", "own"),
            ),
        },
    ),
    "square_cb": Entry(
        "square_cb",
        "SquareCb",
        "inverse-gap weighting: probabilities by a formula, from predictions with context",
        {
            "gamma": Parameter(2.0, 0.0, 1e12, "how much gaps count"),
            "schedule": Parameter(
                "sqrt",
                what="sqrt: gamma sqrt(K t), t rewards so far; constant: gamma",
                choices=("sqrt", "constant"),
            ),
            "model": Parameter("hierarchical", what="what predicts", choices=("hierarchical", "ridge")),
            "ridge": _RIDGE,
            **_HIERARCHY,
        },
    ),
    "exp3_ix": Entry(
        "exp3_ix",
        "Exp3Ix",
        "assumes nothing about how rewards come about",
        {"rate": Parameter(1.0, 1e-9, 1e6, "multiple of the learning rate sqrt(ln K / K t)")},
        ("estimated_loss",),
    ),
}
"""Every policy by its name: what it does, and its settings with their domains."""


def example_parameters(policy: str) -> dict[str, Any]:
    """Example values of the parameters that a policy cannot do without."""
    return {name: p.default for name, p in CATALOG[policy].parameters.items() if p.required}


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
            expected=f"some of {sorted(entry.parameters)}, or what all policies take: floor, discount, "
            "window, conservative",
            found=f"{unknown}",
            fix="correct the name, or leave the parameter out",
        )
    missing = [name for name, p in entry.parameters.items() if p.required and name not in given]
    if missing:
        name, p = missing[0], entry.parameters[missing[0]]
        raise SpecInvalid(
            f"policy '{policy}' needs '{name}'",
            expected=f"a number from {p.low:g} to {p.high:g} ({p.what})",
            found="nothing",
            fix=f"for example PolicySpec({policy!r}, {name}={p.default:g})",
        )
    return {
        name: _checked(policy, name, p, given.get(name, p.default)) for name, p in entry.parameters.items()
    }


def _checked(policy: str, name: str, parameter: Parameter, value: object) -> float | str:
    if isinstance(parameter.default, str):
        if isinstance(value, str) and (not parameter.choices or value in parameter.choices):
            return value
        expected = f"one of {list(parameter.choices)}" if parameter.choices else "a string"
    else:
        expected = f"a number from {parameter.low:g} to {parameter.high:g}"
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if number and parameter.low <= value <= parameter.high:  # type: ignore[operator]
            return float(value)  # type: ignore[arg-type]
    raise SpecInvalid(
        f"parameter '{name}' of policy '{policy}' has an unusable value",
        expected=expected + (f" ({parameter.what})" if parameter.what else ""),
        found=repr(value)[:120],
        fix=f"for example {name}={parameter.default!r}" + ("" if parameter.required else ", the default"),
    )
