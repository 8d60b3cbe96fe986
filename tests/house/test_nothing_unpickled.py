"""Nothing at rest or from outside is a program: no pickles, no eval, no arrays of objects."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = (
    "bandit",
    "features",
    "insights",
    "nyx_learning",
    "persistence",
    "rewards",
    "service",
    "simulation",
)
MODULES = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib.numpy_pickle"}
CALLS = {"eval", "exec", "compile", "__import__"}


def offences(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        found += [f"import of {name}" for name in names if name in MODULES]
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in CALLS:
                found.append(f"call of {node.func.id}")
            found += [
                "allow_pickle"
                for word in node.keywords
                if word.arg == "allow_pickle"
                and not (isinstance(word.value, ast.Constant) and not word.value.value)
            ]
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_module_reads_programs(folder: str) -> None:
    told = {
        path.relative_to(ROOT).as_posix(): found
        for path in sorted((ROOT / folder).glob("**/*.py"))
        if (found := offences(path.read_text("utf-8")))
    }
    assert not told


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from marshal import loads",
        "eval('1')",
        "exec(text)",
        "np.load(path, allow_pickle=True)",
    ],
)
def test_offences_are_found(source: str) -> None:
    assert offences(source)


def test_what_is_allowed() -> None:
    assert not offences("import json\nnp.load(path, allow_pickle=False)\nre.compile('x')")
