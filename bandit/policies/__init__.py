"""Policies, one a file; ``catalog`` lists them, ``build`` makes one."""

from importlib import import_module

from .base import Policy, Setting
from .catalog import CATALOG

__all__ = ["CATALOG", "Policy", "Setting", "build"]


def build(name: str, setting: Setting) -> Policy:
    """Make the policy of that name; ``setting.parameters`` as ``catalog.checked_parameters`` gives them."""
    entry = CATALOG[name]
    policy: Policy = getattr(import_module(f"{__name__}.{entry.module}"), entry.cls)(setting)
    return policy
