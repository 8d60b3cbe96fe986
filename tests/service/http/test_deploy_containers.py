"""The container files without a container: what they copy, run, name and wait for is there."""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from nyx_learning.service.http.app import create_app
from nyx_learning.service.http.options import ServeOptions
from nyx_learning.service.http.serving import _GRACE_S

yaml = pytest.importorskip("yaml", reason="no reader of YAML is installed")

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
KNOWN = {
    "FROM",
    "WORKDIR",
    "COPY",
    "RUN",
    "ENV",
    "USER",
    "VOLUME",
    "EXPOSE",
    "STOPSIGNAL",
    "HEALTHCHECK",
    "CMD",
}


def instructions() -> list[tuple[str, str]]:
    """Each instruction of the Dockerfile with its words, continued lines put together."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line)]


def of(word: str) -> list[str]:
    return [rest for each, rest in instructions() if each == word]


def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return document


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path of the repository out of the build."""
    out = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.strip().removeprefix("!").removeprefix("**/").rstrip("/")
        if not pattern or line.startswith("#"):
            continue
        parts = path.split("/")
        places = ["/".join(parts[: i + 1]) for i in range(len(parts))]
        places += parts if line.lstrip("!").startswith("**/") else []
        if any(fnmatch.fnmatch(place, pattern) for place in places):
            out = not line.startswith("!")
    return out


def test_every_instruction_is_known_and_every_command_is_one_of_the_shell() -> None:
    assert {word for word, _ in instructions()} <= KNOWN
    for command in of("RUN"):
        done = subprocess.run(["sh", "-n", "-c", command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_the_build_copies_all_that_the_package_needs_and_nothing_of_the_machine() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {
        name.partition(".")[2].partition(".")[0] for name in settings["tool"]["setuptools"]["packages"]
    }
    needed = {"pyproject.toml", "nyx_learning/__init__.py", settings["project"]["readme"]}
    needed |= set(settings["project"]["license-files"]) | {f"{name}/__init__.py" for name in folders if name}
    needed |= {"persistence/sql/queries.sql", "service/http/web/base.html"}
    for path in needed:
        assert (ROOT / path).is_file(), path
        assert not ignored(path), path
    for path in (".git/config", ".venv/bin/python", "bandit/__pycache__/x.pyc", "tests/conftest.py"):
        assert ignored(path), path


def test_stages_paths_and_users_are_made_before_they_are_named() -> None:
    built: dict[str, str] = {}
    stage, made = "", ""
    for word, rest in instructions():
        if word == "FROM":
            stage, made = rest.partition(" AS ")[2], ""
            assert re.match(r"python:3\.1[1-3]-slim\b", rest), rest
        elif word == "RUN":
            made += rest + "\n"
            built[stage] = made
        elif word == "COPY" and rest.startswith("--from="):
            source, path, _ = rest.removeprefix("--from=").split()
            assert f" {path}" in built[source], rest
        elif word == "USER":
            assert re.search(rf"useradd .*\b{rest}\b", made)
        elif word == "VOLUME":
            assert f"mkdir --parents {rest}" in made
            assert f"chown nyx:nyx {rest}" in made
    (volume,) = of("VOLUME")
    variables = dict(re.findall(r"(NYX_\w+)=(\S+)", of("ENV")[0]))
    assert variables
    assert all(path.startswith(f"{volume}/") for path in variables.values())
    assert f"{volume}:" not in str(variables)
    assert of("ENV")[0].startswith("PATH=/opt/nyx/bin:")


def test_the_health_check_asks_the_port_that_is_served() -> None:
    (command,) = (json.loads(told) for told in of("CMD"))
    port = command[command.index("--port") + 1]
    assert of("EXPOSE") == [port]
    assert of("STOPSIGNAL") == ["SIGTERM"]
    (check,) = (json.loads(told.removeprefix("CMD ")) for told in of("HEALTHCHECK"))
    assert check[:2] == ["python", "-c"]
    compile(check[2], "check", "exec")
    (asked,) = re.findall(r"http://127\.0\.0\.1:(\d+)(/\S+?)'", check[2])
    assert asked[0] == port
    assert asked[1] in create_app(ServeOptions(keys="/nowhere/none.json")).openapi()["paths"]


def test_services_find_each_other_and_end_in_order() -> None:
    document = compose()
    services, volumes = document["services"], document["volumes"]
    server, postgres = services["nyx-learning"], services["postgres"]
    used = {volume.partition(":")[0] for each in services.values() for volume in each["volumes"]}
    assert used == set(volumes)
    assert set(server["depends_on"]) <= set(services)
    assert server["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert "healthcheck" in postgres
    address = server["environment"]["NYX_DATABASE_URL"]
    user, host, database = re.fullmatch(r"postgresql://(\w+):\$\{\w+:\?.*\}@(\w+)/(\w+)", address).groups()  # type: ignore[union-attr]
    told = postgres["environment"]
    assert (told["POSTGRES_USER"], told["POSTGRES_DB"], host) == (user, database, "postgres")
    assert set(re.findall(r"\$\{(\w+)", json.dumps(document))) == {"NYX_POSTGRES_PASSWORD"}
    assert int(server["stop_grace_period"].removesuffix("s")) > _GRACE_S + 25  # windows: 5 s, closing: 20 s
    build = server["build"]
    assert (DEPLOY / build["context"]).resolve() == ROOT
    assert (DEPLOY / build["context"] / build["dockerfile"]).is_file()
    (mapped,) = server["ports"]
    address, outside, inside = mapped.rsplit(":", 2)
    assert (address, inside) == ("127.0.0.1", server["command"][server["command"].index("--port") + 1])
    assert f"nyx:{of('VOLUME')[0]}" in server["volumes"]
    assert outside.isdigit()


def test_prometheus_reads_the_rules_and_the_server_that_there_are() -> None:
    document = yaml.safe_load((DEPLOY / "prometheus.yaml").read_text(encoding="utf-8"))
    assert all((DEPLOY / name).is_file() for name in document["rule_files"])
    (job,) = document["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    host, port = target.split(":")
    assert host in compose()["services"]
    assert of("EXPOSE") == [port]
