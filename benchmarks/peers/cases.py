"""What is compared: one case a row of work, the same for every library."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CASES", "Case"]


class Case(NamedTuple):
    """A kind of round. ``simulated``: shown in rounds per second instead of µs per round."""

    title: str
    simulated: bool = False


CASES = {
    "online ucb1 10": Case("UCB1, K = 10: select and update, µs"),
    "online thompson_beta 10": Case("Thompson (Beta), K = 10: select and update, µs"),
    "online linucb 10": Case("LinUCB, K = 10, d = 16: select and update, µs"),
    "online linucb 1000": Case("LinUCB, K = 1000, d = 16: select and update, µs"),
    "online lints 10": Case("LinTS, K = 10, d = 16: select and update, µs"),
    "online lints 1000": Case("LinTS, K = 1000, d = 16: select and update, µs"),
    "rounds ucb1": Case("simulated UCB1, K = 10: rounds a second", simulated=True),
    "rounds thompson_sampled": Case("simulated Thompson, sampled, K = 10: rounds a second", simulated=True),
    "rounds thompson_exact": Case("simulated Thompson, exact pmf, K = 10: rounds a second", simulated=True),
    "ope value ips": Case("off-policy, n = 100,000, K = 10: value by IPS, µs"),
    "ope value snips": Case("off-policy, n = 100,000, K = 10: value by SNIPS, µs"),
    "ope value dm": Case("off-policy, n = 100,000, K = 10: value by the direct method, q given, µs"),
    "ope value dr": Case("off-policy, n = 100,000, K = 10: value by DR, q given, µs"),
    "ope value switch": Case("off-policy, n = 100,000, K = 10: value by SWITCH-DR, q given, µs"),
    "ope value shrunk": Case("off-policy, n = 100,000, K = 10: value by DRos, q given, µs"),
    "ope interval ips": Case("off-policy, n = 100,000, K = 10: IPS, 100 bootstraps, µs"),
    "ope interval snips": Case("off-policy, n = 100,000, K = 10: SNIPS, 100 bootstraps, µs"),
    "ope interval dr": Case("off-policy, n = 100,000, K = 10: DR, q given, 100 bootstraps, µs"),
    "rounds linucb": Case("simulated LinUCB, K = 10, d = 16: rounds a second", simulated=True),
}
"""By the name that drivers use."""
