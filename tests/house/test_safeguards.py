"""The safeguards around every test see what they are for."""

import logging
from collections.abc import Callable

import pytest

from ..safeguards import logging_as_it_was

LOGGER = logging.getLogger("nyx_learning")


def _keep_to_itself() -> None:
    LOGGER.propagate = False


def _switch_off() -> None:
    LOGGER.disabled = True


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda: LOGGER.setLevel(logging.CRITICAL), "'level': 50"),
        (_switch_off, "'disabled': True"),
        (_keep_to_itself, "'propagate': False"),
        (lambda: logging.disable(logging.ERROR), "'logging.disable': 40"),
        (lambda: logging.root.setLevel(logging.ERROR), "'level of the root': 40"),
        (lambda: setattr(logging.root, "disabled", True), "'root disabled': True"),
    ],
)
def test_a_change_that_is_left_fails_and_is_taken_back(change: Callable[[], None], told: str) -> None:
    with pytest.raises(AssertionError, match=told), logging_as_it_was():
        change()
    assert LOGGER.isEnabledFor(logging.WARNING)
    assert LOGGER.propagate
    with logging_as_it_was():
        pass


def test_a_change_that_is_taken_back_is_nobodys_concern(caplog: pytest.LogCaptureFixture) -> None:
    with logging_as_it_was(), caplog.at_level(logging.ERROR, "nyx_learning"):
        assert not LOGGER.isEnabledFor(logging.WARNING)


def test_every_test_is_watched(request: pytest.FixtureRequest) -> None:
    assert {"logging_left_as_found", "old_objects_at_rest"} <= set(request.fixturenames)
