"""Run by an interpreter that has Open Bandit Pipeline: what it makes of arrays, as JSON on stdout.

python obp_reference.py estimates < arrays.json
python obp_reference.py example
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import numpy as np

warnings.simplefilter("ignore")


def estimates(given: dict[str, Any]) -> dict[str, float]:
    """Values of its estimators on the given arrays."""
    from obp.ope import (  # type: ignore[import-not-found, unused-ignore]
        DirectMethod,
        DoublyRobust,
        DoublyRobustWithShrinkage,
        InverseProbabilityWeighting,
        SelfNormalizedInverseProbabilityWeighting,
        SwitchDoublyRobust,
    )

    n = len(given["reward"])
    common = {
        "reward": np.array(given["reward"], float),
        "action": np.array(given["arm"]),
        "pscore": np.array(given["propensity"], float),
        "action_dist": np.array(given["target"], float)[:, :, None],
        "estimated_rewards_by_reg_model": np.array(given["q"], float)[:, :, None],
        "position": np.zeros(n, int),
    }
    made = {
        "ips": InverseProbabilityWeighting(),
        "clipped_ips": InverseProbabilityWeighting(lambda_=given["clip"]),
        "snips": SelfNormalizedInverseProbabilityWeighting(),
        "dm": DirectMethod(),
        "dr": DoublyRobust(),
        "switch_dr": SwitchDoublyRobust(lambda_=given["switch"]),
        "dr_shrunk": DoublyRobustWithShrinkage(lambda_=given["shrinkage"]),
    }
    return {name: float(one.estimate_policy_value(**common)) for name, one in made.items()}


def example() -> dict[str, Any]:
    """Its published example: the value of its Thompson sampling prior from the uniform log of all items."""
    from obp.dataset import OpenBanditDataset  # type: ignore[import-not-found, unused-ignore]
    from obp.ope import (
        InverseProbabilityWeighting,
        OffPolicyEvaluation,
    )
    from obp.policy import BernoulliTS  # type: ignore[import-not-found, unused-ignore]

    dataset = OpenBanditDataset(behavior_policy="random", campaign="all")
    feedback = dataset.obtain_batch_bandit_feedback()
    policy = BernoulliTS(
        n_actions=dataset.n_actions,
        len_list=dataset.len_list,
        is_zozotown_prior=True,
        campaign="all",
        random_state=12345,
    )
    draws = 100_000
    pmf = policy.compute_batch_action_dist(n_sim=draws, n_rounds=feedback["n_rounds"])
    ope = OffPolicyEvaluation(bandit_feedback=feedback, ope_estimators=[InverseProbabilityWeighting()])
    value = float(ope.estimate_policy_values(action_dist=pmf)["ipw"])
    place = feedback["action"] * 3 + feedback["position"]
    size = dataset.n_actions * 3
    return {
        "value": value,
        "relative": value / float(feedback["reward"].mean()),
        "propensity": sorted(set(feedback["pscore"].tolist())),
        "draws": draws,
        "policy": np.rint(pmf[0] * draws).astype(int).ravel().tolist(),
        "rows": np.bincount(place, minlength=size).tolist(),
        "clicks": np.bincount(place, feedback["reward"], size).astype(int).tolist(),
    }


if __name__ == "__main__":
    answer = estimates(json.load(sys.stdin)) if sys.argv[1] == "estimates" else example()
    sys.stdout.write(json.dumps(answer))
