"""The command ``nyx-learning simulate``: what it prints and writes, and how it refuses."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from nyx_learning.bandit import PolicySpec
from nyx_learning.errors import InputInvalid, SpecInvalid
from nyx_learning.service.cli import main
from nyx_learning.service.cli.simulation_spec import FIELDS, read_spec, simulation_of
from nyx_learning.service.cli.worlds import parse_world
from nyx_learning.simulation.plots import write_plot
from nyx_learning.simulation.runner import Contender, simulate
from nyx_learning.simulation.worlds import PRESETS, Bernoulli, Delayed, Gaussian, Linear, RandomBernoulli

PLOTS = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="the extra 'plots' is missing"
)
BASIC = ["simulate", "--world", "bernoulli:0.9,0.5", "--horizon", "50", "--replications", "6"]
UCB1 = ["--policies", "ucb1:alpha=1,floor=0"]


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("\n") == 1
    document: dict[str, Any] = json.loads(out)
    return document


# --- results


def test_json_is_what_the_runner_finds(capsys: pytest.CaptureFixture[str]) -> None:
    policies = "uniform,thompson_beta:floor=0"
    assert main([*BASIC, "--policies", policies, "--sampled", "--seed", "5", "--json"]) == 0
    document = printed(capsys)
    found = simulate(
        Bernoulli([0.9, 0.5]),
        [
            Contender("uniform", PolicySpec("uniform")),
            Contender("thompson_beta:floor=0", PolicySpec("thompson_beta", floor=0), sampled=True),
        ],
        50,
        6,
        seed=5,
    )
    assert [entry["policy"] for entry in document["policies"]] == list(found.curves)
    for entry in document["policies"]:
        assert (entry["mean_regret"], entry["standard_error"]) == found.final(entry["policy"])
        assert (entry["rounds"], entry["replications"]) == (50, 6)
    assert [entry["method"] for entry in document["policies"]] == ["compiled", "sampled"]
    assert len(document["curves"]) == 2 * len(found.rounds)
    assert document["world_document"] == {"kind": "bernoulli", "means": [0.9, 0.5]}


def test_the_table_for_people_shows_the_same_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*BASIC, *UCB1, "--json"]) == 0
    entry = printed(capsys)["policies"][0]
    assert main([*BASIC, *UCB1]) == 0
    out, err = capsys.readouterr()
    assert err == "", "no bar where nobody watches"
    assert f"{entry['mean_regret']:.2f} ± {entry['standard_error']:.2f}" in out
    assert "bernoulli:0.9,0.5: 50 rounds × 6 replications, seed 0" in out


def test_one_replication_has_no_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*BASIC, *UCB1, "--replications", "1", "--json"]) == 0
    assert printed(capsys)["policies"][0]["standard_error"] is None


def test_results_are_kept_and_read_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results"
    assert main([*BASIC, *UCB1, "--out", str(out), "--json"]) == 0
    first = printed(capsys)
    with (out / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["mean_regret"]) == first["policies"][0]["mean_regret"]
    question = json.loads((out / "simulation.json").read_text(encoding="utf-8"))
    assert question["world"] == {"kind": "bernoulli", "means": [0.9, 0.5]}
    (block,) = (out / "blocks").iterdir()
    stamp = block.stat().st_mtime_ns
    assert main([*BASIC, *UCB1, "--out", str(out), "--json"]) == 0
    assert printed(capsys) == first
    assert block.stat().st_mtime_ns == stamp, "it was not run again"


@PLOTS
@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_plot_is_drawn_and_is_the_same_again(
    ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / f"{name}.{ending}" for name in "ab"]
    for file in files:
        assert main([*BASIC, "--plot", str(file), "--json"]) == 0
        printed(capsys)
    one, two = (file.read_bytes() for file in files)
    assert one == two
    assert one[:4] == {"png": b"\x89PNG", "svg": b"<?xm", "pdf": b"%PDF"}[ending]


@PLOTS
def test_a_plot_names_policies_theory_and_shares(tmp_path: Path) -> None:
    found = simulate(
        Bernoulli([0.9, 0.5]), {"ucb1": PolicySpec("ucb1", floor=0), "u": PolicySpec("uniform")}, 200, 4
    )
    write_plot(found, tmp_path / "plot.svg")
    figure = (tmp_path / "plot.svg").read_text(encoding="utf-8")
    # Text is drawn as shapes; what it says stands in comments.
    for text in ("ucb1", "Lai", "share of rounds with the best arm", "200 rounds"):
        assert f"<!-- {text}" in figure or text in figure


# --- a spec file


def test_a_spec_file_says_the_same_as_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.toml").write_text(
        'horizon = 50\nreplications = 6\nseed = 9\npolicies = ["ucb1:alpha=1,floor=0", "uniform"]\n'
        "missing = 0.1\ndelay = 3\n"
        '[world]\nkind = "bernoulli"\nmeans = [0.9, 0.5]\n',
        encoding="utf-8",
    )
    assert main(["simulate", "--spec", str(tmp_path / "s.toml"), "--json"]) == 0
    one = printed(capsys)
    document = {
        "world": "bernoulli:0.9,0.5",
        "horizon": 999,
        "replications": 6,
        "seed": 9,
        "policies": "ucb1:alpha=1,floor=0,uniform",
        "missing": 0.1,
        "delay": 3,
    }
    (tmp_path / "s.json").write_text(json.dumps(document), encoding="utf-8")
    assert main(["simulate", "--spec", str(tmp_path / "s.json"), "--horizon", "50", "--json"]) == 0
    two = printed(capsys)
    assert one["policies"] == two["policies"], "an option wins over the file"
    assert one["world_document"] == two["world_document"]
    assert two["policies"][0]["method"] == "learner"


def test_worlds_by_name(tmp_path: Path) -> None:
    assert parse_world("bernoulli:0.9,0.8") == Bernoulli([0.9, 0.8])
    assert parse_world("gaussian:0.9,0.8,sd=0.2") == Gaussian([0.9, 0.8], 0.2)
    assert parse_world("random_bernoulli:arms=5") == RandomBernoulli(5)
    assert parse_world("linear:arms=3,features=2,seed=4") == Linear.drawn(3, 2, seed=4)
    assert all(parse_world(name) is world for name, world in PRESETS.items())
    world = Delayed(Bernoulli([0.9, 0.8]), mean=2.0)
    (tmp_path / "w.json").write_text(json.dumps(world.to_dict()), encoding="utf-8")
    assert parse_world(str(tmp_path / "w.json")) == world
    assert simulation_of({"world": "pb1", "delay": 7}).world == Delayed(PRESETS["pb1"], fixed=7)


# --- refusals


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--world", "nowhere"],
        ["--world", "bernoulli:"],
        ["--world", "bernoulli:0.9,high"],
        ["--world", "bernoulli:1.5"],
        ["--world", "bernoulli:0.9,sd=0.1"],
        ["--world", "linear:arms=3"],
        ["--world", "linear:arms=3,features=2,colour=1"],
        ["--world", "absent.json"],
        ["--world", "pb1", "--policies", "no_such_policy"],
        ["--world", "pb1", "--policies", "moss"],
        ["--world", "pb1", "--horizon", "0"],
        ["--world", "pb1", "--horizon", "-5"],
        ["--world", "pb1", "--missing", "2"],
        ["--world", "pb1", "--delay", "1", "--mean-delay", "2"],
        ["--world", "pb1", "--policies", "thompson_beta", "--sampled"],
        ["--world", "pb1", "--backend", "dask"],
        ["--world", "pb1", "--scheduler", "tcp://x:1"],
        ["--world", "pb1", "--workers", "0"],
        ["--world", "pb1", "--plot", "plot.doc"],
        ["--spec", "absent.toml"],
        ["--spec", "absent.json"],
    ],
)
def test_bad_input_is_refused_with_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split(":")[0] for line in err.splitlines()] == ["error", "  expected", "  found", "  fix"]
    assert main(["simulate", *arguments, "--json"]) == 2
    assert sorted(printed(capsys)["error"]) == ["code", "expected", "fix", "found", "what"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("s.toml", "horizon ="),
        ("s.toml", "colour = 1"),
        ("s.toml", "horizon = 1.5"),
        ("s.toml", "seed = true"),
        ("s.json", "[]"),
        ("s.json", "{"),
        ("s.json", '{"policies": {}}'),
        ("s.json", "[" * 100_000),
    ],
)
def test_a_spec_file_that_cannot_be_used_is_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputInvalid):
        read_spec(str(tmp_path / name))


def test_policies_of_a_spec_are_texts() -> None:
    with pytest.raises(InputInvalid):
        simulation_of({"world": "pb1", "policies": [1]})
    with pytest.raises(SpecInvalid):
        simulation_of({"world": {"kind": "bernoulli"}})


def test_every_field_of_a_spec_file_is_documented() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "simulate.md"
    text = page.read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in FIELDS)
