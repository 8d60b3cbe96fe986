"""What every test leaves as it found it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["logging_as_it_was"]

LOGGER = logging.getLogger("nyx_learning")


def _state() -> dict[str, int | bool]:
    return {
        "level": LOGGER.level,
        "disabled": LOGGER.disabled,
        "propagate": LOGGER.propagate,
        "logging.disable": logging.root.manager.disable,
        "level of the root": logging.root.level,  # which the logger has as long as it has none of its own
        "root disabled": logging.root.disabled,
    }


@contextmanager
def logging_as_it_was() -> Iterator[None]:
    """Put the logger ``nyx_learning``, and the root, back as they were, and fail where that was needed."""
    before = _state()
    try:
        yield
    finally:
        changed = {what: value for what, value in _state().items() if value != before[what]}
        LOGGER.setLevel(int(before["level"]))
        LOGGER.disabled = bool(before["disabled"])
        LOGGER.propagate = bool(before["propagate"])
        logging.disable(int(before["logging.disable"]))
        logging.root.setLevel(int(before["level of the root"]))
        logging.root.disabled = bool(before["root disabled"])
    assert not changed, f"logging was left changed: {changed}, before {before}"
