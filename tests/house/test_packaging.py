"""The package as it is declared, as it lies on disk, as it is built, and as it is imported."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import nyx_learning

ROOT = Path(__file__).resolve().parents[2]
FRONT = ROOT / "nyx_learning"
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = SETTINGS["tool"]["setuptools"]
NOT_SHIPPED = {"tests", "docs", "examples", "benchmarks", "scripts", "build", "dist", "nyx_learning"}
DATA_FOLDERS = {"sql", "web"}

HEAVY = (
    "dask",
    "fastapi",
    "matplotlib",
    "numba",
    "pandas",
    "pyarrow",
    "river",
    "scipy",
    "uvicorn",
)


def product_folders() -> list[Path]:
    """The top-level folders that are part of the package."""
    return sorted(
        folder
        for folder in ROOT.iterdir()
        if folder.is_dir()
        and not folder.name.startswith(".")
        and folder.name not in NOT_SHIPPED
        and (folder / "__init__.py").exists()
    )


def source_files() -> set[str]:
    """Every file that a user must get, by its path inside the installed package."""
    found = {
        f"nyx_learning/{path.name}" for path in FRONT.iterdir() if path.is_file() and not path.is_symlink()
    }
    for folder in product_folders():
        for path in folder.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                found.add(f"nyx_learning/{path.relative_to(ROOT).as_posix()}")
    return found


# --- what is declared is what is there


def test_every_folder_with_modules_is_a_declared_package() -> None:
    on_disk = {"nyx_learning"}
    for folder in product_folders():
        for path in folder.rglob("*.py"):
            on_disk.add("nyx_learning." + ".".join(path.parent.relative_to(ROOT).parts))
    assert on_disk == set(SETUPTOOLS["packages"])


def test_every_package_has_its_init_file_and_its_place() -> None:
    places = SETUPTOOLS["package-dir"]
    assert set(places) == set(SETUPTOOLS["packages"]) - {"nyx_learning"}
    for package, place in places.items():
        assert place == package.removeprefix("nyx_learning.").replace(".", "/")
        assert (ROOT / place / "__init__.py").is_file(), place


def test_every_folder_has_a_relative_link_for_type_checkers() -> None:
    links = {path.name: path.readlink().as_posix() for path in FRONT.iterdir() if path.is_symlink()}
    assert links == {folder.name: f"../{folder.name}" for folder in product_folders()}


def test_data_lies_only_in_folders_that_are_shipped() -> None:
    assert SETUPTOOLS["include-package-data"] is False
    assert SETUPTOOLS["package-data"] == {"*": [*(f"{name}/*" for name in sorted(DATA_FOLDERS)), "py.typed"]}
    data = {path for path in source_files() if not path.endswith((".py", "/py.typed"))}
    strays = {path for path in data if Path(path).parent.name not in DATA_FOLDERS}
    assert not strays, "only sql/ and web/ are shipped, and only their first level"


def test_river_is_pinned_exactly() -> None:
    river = [name for name in SETTINGS["project"]["dependencies"] if name.startswith("river")]
    assert river == ["river==0.26.1"]


def test_the_version_is_said_once_over() -> None:
    assert nyx_learning.__version__ == SETTINGS["project"]["version"]


# --- what is built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel from a copy of the sources: a build leaves files behind, and a checkout is the wrong place."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for folder in [FRONT, *product_folders()]:
        shutil.copytree(
            folder, copy / folder.name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
        )
    target = tmp_path_factory.mktemp("wheel")
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", build, str(target)], cwd=copy, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (built,) = target.glob("*.whl")
    return built


def test_the_wheel_holds_every_file_and_no_other(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == source_files()
    assert "nyx_learning/py.typed" in names


def test_the_wheel_carries_licence_and_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        commands = next(archive.read(name).decode() for name in names if name.endswith("entry_points.txt"))
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert "nyx-learning = nyx_learning.service.cli:main" in commands


def test_the_wheel_works_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from nyx_learning import bandit; print(bandit.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "nyx_learning" / "bandit" / "__init__.py")


# --- what is imported

PROBE = """
import json, sys
import nyx_learning
heavy = set(sys.argv[1:])
def loaded():
    new = sorted(heavy.intersection(name.partition(".")[0] for name in sys.modules))
    heavy.difference_update(new)  # the first name that loads a package answers for it
    return new
seen = {"": loaded()}
for name in getattr(nyx_learning, "__all__", ()):
    try:
        getattr(nyx_learning, name)
    except Exception as error:
        seen[name] = [f"{type(error).__name__}: {error}"]
    else:
        seen[name] = loaded()
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def heavy_after() -> dict[str, list[str]]:
    """Which heavy packages are loaded after the import, and then after each public name in turn."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *HEAVY], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, list[str]] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("name", ["", *getattr(nyx_learning, "__all__", ())])
def test_no_public_name_loads_a_heavy_package(name: str, heavy_after: dict[str, list[str]]) -> None:
    assert heavy_after[name] == []


def test_the_public_names_exist_and_are_named_once() -> None:
    names = list(getattr(nyx_learning, "__all__", ()))
    assert len(names) == len(set(names))
    assert [name for name in names if not hasattr(nyx_learning, name)] == []
