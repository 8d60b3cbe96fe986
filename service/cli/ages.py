"""Lengths of time as commands take them: 90d, 12w, 36h."""

from __future__ import annotations

import re

from ...errors import InputInvalid

__all__ = ["seconds_of"]

_AGE = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)([smhdw])")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def seconds_of(text: str, option: str) -> float:
    """Seconds of a length such as ``90d``; ``option`` : what errors call it.

    >>> seconds_of("36h", "--window")
    129600.0

    Raises
    ------
    InputInvalid : it is none.
    """
    match = _AGE.fullmatch(text)
    if match is None:
        raise InputInvalid(
            f"{option} cannot be read",
            expected="a number with s, m (minutes), h, d or w, such as 90d, 12w or 36h",
            found=repr(text)[:40],
            fix="write a number and its unit, without a blank",
        )
    return float(match[1]) * _SECONDS[match[2]]
