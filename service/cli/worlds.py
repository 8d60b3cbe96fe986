"""Worlds as a command line names them: ``bernoulli:0.9,0.8``, ``pb1``, ``orchestration``, ``world.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import InputInvalid, SpecInvalid
from ...simulation.columns import number_of
from ...simulation.interchange import read_log
from ...simulation.verdict import judged_log
from ...simulation.verdict.modelled import fitted_world
from ...simulation.worlds import PRESETS, Linear, World, world_from_dict

__all__ = ["WORLD_HELP", "parse_world", "read_document", "world_of"]

WORLD_HELP = (
    "bernoulli:0.9,0.8; gaussian:0.6,0.5,sd=0.1; random_bernoulli:arms=10; linear:arms=10,features=15; "
    f"{', '.join(PRESETS)}; log:FILE or log:FILE,metric=reward (a model fitted to a log); "
    "or a JSON file that describes one"
)
_MAX_BYTES = 100_000_000
_BY_REWARD = ",metric=reward"


def world_of(given: object) -> World:
    """A world from its name, or from its document.

    Raises
    ------
    InputInvalid, SpecInvalid : neither.
    """
    if isinstance(given, str):
        return parse_world(given)
    return world_from_dict(given)  # type: ignore[arg-type]  # it refuses what is no mapping


def parse_world(text: str) -> World:
    """Read a world as a command line names it.

    >>> parse_world("bernoulli:0.9,0.8").to_dict()
    {'kind': 'bernoulli', 'means': [0.9, 0.8]}

    Raises
    ------
    InputInvalid : no such world, or an unreadable file. SpecInvalid : the world's numbers are unusable.
    LogUnreadable, LogInvalid, SupportMissing : a log of which no world can be made.
    """
    if text in PRESETS:
        return PRESETS[text]
    kind, _, rest = text.partition(":")
    if kind == "log" and rest:
        path = rest.removesuffix(_BY_REWARD)
        return fitted_world(judged_log(read_log(path), "success" if path == rest else "reward"))
    if text.endswith(".json"):
        return world_from_dict(read_document(text))
    numbers, named = _items(rest, text)
    if kind in {"bernoulli", "gaussian"} and numbers:
        return world_from_dict({"kind": kind, "means": numbers, **named})
    if kind == "random_bernoulli" and not numbers:
        return world_from_dict({"kind": kind, **_whole(named, "arms")})
    if kind == "linear" and not numbers and {"arms", "features"} <= named.keys():
        try:
            return Linear.drawn(**_whole(named, "arms", "features", "seed"))
        except TypeError:
            raise SpecInvalid(
                "the world 'linear' does not take these settings",
                expected="arms, features, and optionally seed, level, spread",
                found=f"{sorted(named)}",
                fix="for example linear:arms=10,features=15",
            ) from None
    raise _unreadable(text)


def read_document(path: str) -> Mapping[str, Any]:
    """A JSON document from a file.

    Raises
    ------
    InputInvalid : the file cannot be read, or is not JSON in UTF-8.
    """
    try:
        file = Path(path)
        if file.stat().st_size > _MAX_BYTES:
            raise _unreadable_file(path, "a file of more than 100 MB")
        document: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise _unreadable_file(path, error.strerror or str(error)) from None
    except (ValueError, RecursionError) as error:
        raise _unreadable_file(path, str(error)) from None
    return document


def _items(rest: str, text: str) -> tuple[list[float], dict[str, Any]]:
    numbers: list[float] = []
    named: dict[str, Any] = {}
    for item in rest.split(",") if rest else []:
        key, equals, value = (part.strip() for part in item.partition("="))
        number = number_of(value if equals else key)
        if number is None or key in named:
            raise _unreadable(text)
        if equals:
            named[key] = number
        else:
            numbers.append(number)
    return numbers, named


def _whole(named: dict[str, Any], *names: str) -> dict[str, Any]:
    return {
        key: int(value) if key in names and value == int(value) else value for key, value in named.items()
    }


def _unreadable(text: str) -> InputInvalid:
    return InputInvalid(
        "no such world",
        expected=WORLD_HELP,
        found=repr(text)[:120],
        fix="correct the name, or describe the world in a JSON file",
    )


def _unreadable_file(path: str, found: str) -> InputInvalid:
    return InputInvalid(
        f"{Path(path).name} cannot be read",
        expected="a readable file of JSON in UTF-8",
        found=f"{path}: {found}"[:200],
        fix="correct the path, or the file",
    )
