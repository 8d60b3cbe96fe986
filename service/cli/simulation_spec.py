"""What ``simulate`` is asked for: from a spec file, from the command line, or from both."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import InputInvalid, shown
from ...features.monitors import Monitors
from ...simulation.contender import Contender
from ...simulation.worlds import Delayed, World
from .policies import parse_policies
from .worlds import read_document, world_of

__all__ = ["DEFAULT_POLICIES", "FIELDS", "Simulation", "read_spec", "simulation_of"]

DEFAULT_POLICIES = "uniform,ucb1:alpha=1,floor=0,kl_ucb:floor=0,thompson_beta:floor=0"

FIELDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "world": ((str, dict), "a name such as 'pb1', or an object with a 'kind'"),
    "delay": ((int,), "a whole number of rounds"),
    "mean_delay": ((int, float), "a number of rounds"),
    "missing": ((int, float), "a share from 0 to 1"),
    "policies": ((str, list), "a text such as 'ucb1:alpha=1,hier_ts', or a list of such texts"),
    "sampled": ((bool,), "true or false"),
    "monitors": ((bool, dict), "true or false, or an object with the fields of Monitors"),
    "bucket_rows": ((int,), "a whole number"),
    "horizon": ((int,), "a whole number"),
    "replications": ((int,), "a whole number"),
    "seed": ((int,), "a whole number"),
    "checkpoints": ((list,), "a list of rounds"),
    "workers": ((int,), "a whole number"),
    "backend": ((str,), "'processes' or 'dask'"),
    "scheduler": ((str,), "the address of a Dask scheduler"),
    "out": ((str,), "the path of a folder"),
    "plot": ((str,), "the path of a .png, .svg or .pdf file"),
}
"""Fields of a spec file: their types, and what is expected."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """Arguments of ``simulate``, and where its results go."""

    world: World
    world_label: str
    contenders: tuple[Contender, ...]
    horizon: int | None
    replications: int
    seed: int
    checkpoints: list[int] | None
    workers: int
    backend: str
    scheduler: str | None
    out: str | None
    plot: str | None


def read_spec(path: str) -> dict[str, Any]:
    """Fields of a spec file, JSON or TOML by its ending; their types are right, their values unchecked.

    Raises
    ------
    InputInvalid : the file cannot be read, or has unknown fields or values of the wrong type.
    """
    name = Path(path).name
    if path.endswith(".toml"):
        try:
            with Path(path).open("rb") as file:
                document: Any = tomllib.load(file)
        except OSError as error:
            raise _unusable(name, "a readable file", f"{path}: {error.strerror or error}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise _unusable(name, "TOML in UTF-8", str(error)) from None
    else:
        document = read_document(path)
    if not isinstance(document, dict):
        raise _unusable(name, "an object", shown(document))
    unknown = sorted(key for key in document if key not in FIELDS)
    if unknown:
        raise _unusable(name, f"fields out of {list(FIELDS)}", f"unknown: {unknown}")
    for key, value in document.items():
        types, expected = FIELDS[key]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise _unusable(name, f"'{key}' as {expected}", f"{key} = {shown(value)}")
    return document


def simulation_of(fields: Mapping[str, Any]) -> Simulation:
    """The simulation that fields of ``FIELDS`` describe; those left out have their defaults.

    Raises
    ------
    InputInvalid, SpecInvalid : no world, or a world or policies that cannot be read.
    """
    if "world" not in fields:
        raise _unusable(
            "the simulation", "a world", "none", "name it, for example --world bernoulli:0.9,0.8,0.7"
        )
    world = world_of(fields["world"])
    label = fields["world"] if isinstance(fields["world"], str) else world.kind
    late = [name for name in ("delay", "mean_delay", "missing") if name in fields]
    if late:
        world = Delayed(
            world,
            fixed=fields.get("delay"),
            mean=fields.get("mean_delay"),
            missing=fields.get("missing", 0.0),
        )
        label += "".join(f" {name}={fields[name]}" for name in late)
    listed = fields.get("policies", DEFAULT_POLICIES)
    policies = parse_policies(listed if isinstance(listed, str) else ",".join(map(_text, listed)))
    sampled = fields.get("sampled", False)
    monitors = _monitors(fields.get("monitors", False))
    return Simulation(
        world,
        label,
        tuple(
            Contender(
                name,
                policy,
                sampled and policy.name == "thompson_beta",
                monitors,
                fields.get("bucket_rows"),
            )
            for name, policy in policies.items()
        ),
        fields.get("horizon"),
        fields.get("replications", 100),
        fields.get("seed", 0),
        fields.get("checkpoints"),
        fields.get("workers", 1),
        fields.get("backend", "processes"),
        fields.get("scheduler"),
        fields.get("out"),
        fields.get("plot"),
    )


def _monitors(asked: bool | Mapping[str, Any]) -> Monitors | None:
    if isinstance(asked, bool):
        return Monitors() if asked else None
    try:
        return Monitors.from_dict(asked)
    except TypeError as error:
        raise _unusable("the simulation", "monitors with known fields", str(error)) from None


def _text(item: object) -> str:
    if isinstance(item, str):
        return item
    raise _unusable("the simulation", "policies as texts, such as 'ucb1:alpha=1'", shown(item))


def _unusable(name: str, expected: str, found: str, fix: str = "correct the spec") -> InputInvalid:
    return InputInvalid(f"{name} is unusable", expected=expected, found=found[:200], fix=fix)
