"""Every error says what is wrong in four parts, and crosses processes unharmed."""

from __future__ import annotations

import importlib
import multiprocessing
import pickle
import pkgutil

import pytest

import nyx_learning
from nyx_learning import NyxError, errors
from nyx_learning.errors import shown


def kinds() -> list[type[NyxError]]:
    for folder in ("bandit", "features", "rewards", "simulation"):
        package = importlib.import_module(f"nyx_learning.{folder}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    found, open_ = {NyxError}, [NyxError]
    while open_:
        fresh = [kind for kind in open_.pop().__subclasses__() if kind not in found]
        found.update(fresh)
        open_ += fresh
    return sorted(found, key=lambda kind: kind.__name__)


KINDS = kinds()


def made(kind: type[NyxError]) -> NyxError:
    return kind("the thing is wrong", expected="a right one", found="'ω\n'", fix="turn it round")


@pytest.mark.parametrize("kind", KINDS)
def test_four_parts(kind: type[NyxError]) -> None:
    error = made(kind)
    assert str(error) == (
        f"the thing is wrong [{kind.code}]\n  expected: a right one\n"
        "  found:    'ω\n'\n  fix:      turn it round"
    )
    assert (error.what, error.expected, error.found, error.fix) == (
        "the thing is wrong",
        "a right one",
        "'ω\n'",
        "turn it round",
    )
    assert kind.__doc__
    assert isinstance(kind.retryable, bool)
    with pytest.raises(TypeError):
        kind("only what is wrong")  # type: ignore[call-arg]


def test_codes_are_stable_and_differ() -> None:
    # One that only carries more beside what its base says shares the base's code; those of errors.py do not.
    own = [kind for kind in KINDS if "code" in vars(kind)]
    assert {kind for kind in KINDS if kind.__module__ == "nyx_learning.errors"} <= set(own)
    codes = [kind.code for kind in own]
    assert len(set(codes)) == len(codes)
    assert all(code.isidentifier() and code == code.lower() for code in codes)
    public = {name for name in errors.__all__ if isinstance(getattr(errors, name), type)}
    assert public >= {kind.__name__ for kind in KINDS if kind.__module__ == "nyx_learning.errors"}


@pytest.mark.parametrize("kind", KINDS)
def test_pickled_errors_are_equal(kind: type[NyxError]) -> None:
    error = made(kind)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)
    assert again.fix == error.fix


def raised_elsewhere(index: int) -> None:
    raise made(KINDS[index])


def test_errors_cross_processes() -> None:
    # "spawn" starts an interpreter that shares nothing with this one.
    code = (
        "import pickle, sys; from nyx_learning import errors;"
        "e = errors.ArmUnknown('a', expected='b', found='c', fix='d');"
        "sys.stdout.buffer.write(pickle.dumps(e))"
    )
    import subprocess
    import sys

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    error = pickle.loads(run.stdout)
    assert isinstance(error, errors.ArmUnknown)
    assert str(error) == "a [arm_unknown]\n  expected: b\n  found:    c\n  fix:      d"
    with multiprocessing.get_context("fork").Pool(1) as pool:
        for index in (0, len(KINDS) - 1):
            with pytest.raises(KINDS[index], match="the thing is wrong") as caught:
                pool.apply(raised_elsewhere, (index,))
            assert caught.value.fix == "turn it round"


class Nameless:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_any_value_can_be_shown() -> None:
    assert shown("x" * 500) == "str: '" + "x" * 79
    assert shown(10**5000) == "int: not printable (ValueError)"
    assert shown(Nameless()) == "Nameless: not printable (RuntimeError)"
    assert shown(None, 3) == "NoneType: Non"
    assert nyx_learning.NyxError is NyxError
