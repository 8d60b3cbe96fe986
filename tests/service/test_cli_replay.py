"""The command ``nyx-learning replay``: what it prints, and how it refuses."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import nyx_learning
from nyx_learning.bandit import PolicySpec
from nyx_learning.errors import InputInvalid, SpecInvalid
from nyx_learning.service.cli import main
from nyx_learning.service.cli.commands import COMMANDS, load
from nyx_learning.service.cli.policies import parse_policies

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"

RUNS = "task,arm,ok,seconds,status\n" + "".join(
    f"{task},{arm},{int((i + len(arm)) % 3 > 0)},{10 * i},{'ok' if i % 2 else 'crash'}\n"
    for task in ("a", "b", "c")
    for arm in ("x", "yy", "zzz")
    for i in range(4)
)
FEATURES = "task,size,lang\na,1,py\nb,2,c\nc,,py\n"


@pytest.fixture
def runs(tmp_path: Path) -> str:
    path = tmp_path / "runs.csv"
    path.write_text(RUNS, encoding="utf-8")
    return str(path)


def asked(runs: str, *more: str) -> list[str]:
    return ["replay", runs, "--arm", "arm", "--rounds", "8", "--replications", "4", *more]


SCRIPT = "import sys; from nyx_learning.service.cli import main; sys.exit(main())"
BASIC = ("--context", "task", "--reward", "ok")


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("\n") == 1
    document: dict[str, Any] = json.loads(out)
    return document


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> tuple[str, str]:
    """The error's code and first part, having been printed as text and as JSON, with exit code 2."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split(":")[0] for line in err.splitlines()] == ["error", "  expected", "  found", "  fix"]
    assert main([*arguments, "--json"]) == 2
    error = printed(capsys)["error"]
    assert sorted(error) == ["code", "expected", "fix", "found", "what"]
    assert f"error: {error['what']} [{error['code']}]\n  expected: {error['expected']}\n" in err
    return error["code"], error["what"]


# --- results


def test_json_has_the_promised_shape(runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(asked(runs, *BASIC, "--policies", "uniform,ucb1:alpha=1,floor=0,hier_ts", "--json")) == 0
    document = printed(capsys)
    assert [entry["policy"] for entry in document["policies"]] == [
        "uniform",
        "ucb1:alpha=1,floor=0",
        "hier_ts",
    ]
    for entry in document["policies"]:
        assert 0.0 <= entry["mean_reward"] <= 1.0
        assert entry["standard_error"] >= 0.0
        assert (entry["rounds"], entry["replications"]) == (8, 4)
    assert document["policies"][1]["parameters"] == {"alpha": 1.0}
    assert document["policies"][1]["floor"] == 0.0
    references = {entry["reference"]: entry for entry in document["references"]}
    assert list(references) == ["uniform", "best_fixed_arm", "per_context_best", "per_context_best_held_out"]
    assert references["uniform"]["mean_reward"] == pytest.approx(2 / 3, abs=0.1)
    assert references["best_fixed_arm"]["arm"] in {"x", "yy", "zzz"}
    assert document["table"]["contexts"] == document["table"]["arms"] == 3


def test_the_table_for_people_shows_the_same_numbers(runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = asked(runs, *BASIC, "--policies", "ucb1")
    assert main([*arguments, "--json"]) == 0
    entry = printed(capsys)["policies"][0]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert f"{entry['mean_reward']:.4f} ± {entry['standard_error']:.4f}" in out
    assert "36 executions, 3 contexts, 3 arms; 8 rounds × 4 replications" in out
    assert err == "", "no bar where nobody watches"


def test_one_replication_has_no_standard_error(runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*asked(runs, *BASIC), "--replications", "1", "--json"]) == 0
    assert {entry["standard_error"] for entry in printed(capsys)["policies"]} == {None}


def test_the_seed_decides_and_nothing_else(
    runs: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "again.csv.gz"
    lines = RUNS.splitlines()
    other.write_bytes(gzip.compress("\n".join([lines[0], *reversed(lines[1:])]).encode()))
    outputs = []
    for path, hash_seed in ((runs, "0"), (str(other), "1")):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, *asked(path, *BASIC, "--seed", "5", "--json")],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": hash_seed, "PATH": "/usr/bin:/bin"},
            cwd=ROOT,
        )
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1]
    for seed in ("5", "6"):
        assert main(asked(runs, *BASIC, "--seed", seed, "--json")) == 0
        assert (capsys.readouterr().out == outputs[0]) == (seed == "5")


def test_outcomes_features_maps_and_limits(
    runs: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = tmp_path / "features.csv"
    features.write_text(FEATURES, encoding="utf-8")
    joined = ["--features", str(features), "--on", "task", "--ranks", "--policies", "uniform", "--json"]
    assert main(asked(runs, "--reward", "status", "--reward-map", "status:ok=1,*=0", *joined)) == 0
    document = printed(capsys)
    assert document["references"][0]["mean_reward"] == 0.5
    assert document["table"]["features"] == ["size", "lang"]
    priced = ["--outcome", "success=ok", "--outcome", "duration_s=seconds"]
    priced += ["--weights", "success=.5,speed=.25,quality=.25", "--reference-time", "30"]
    assert main(asked(runs, *priced, *joined, "--context-limit", "2")) == 0
    document = printed(capsys)
    assert document["table"]["missing_scores"] == {"quality": 36}
    assert document["context_limit"] == 2


# --- refusals


@pytest.mark.parametrize(
    ("more", "code", "what"),
    [
        (["--context", "kind", "--reward", "ok"], "table_invalid", "runs.csv has no column 'kind'"),
        (["--context", "task", "--reward", "seconds"], "table_invalid", "line 3: the reward is outside"),
        (["--context", "task", "--reward", "status"], "table_invalid", "line 2: column 'status'"),
        ([*BASIC, "--policies", "best"], "spec_invalid", "policy is unknown"),
        ([*BASIC, "--policies", "ucb1:beta=1"], "spec_invalid", "no such parameter"),
        ([*BASIC, "--policies", "ucb1:alpha=x"], "spec_invalid", "unusable value"),
        ([*BASIC, "--policies", "ucb1:floor=2"], "spec_invalid", "exploration floor"),
        ([*BASIC, "--policies", "ucb1,,uniform"], "input_invalid", "list of policies"),
        ([*BASIC, "--policies", "ucb1,ucb1"], "input_invalid", "list of policies"),
        ([*BASIC, "--policies", "fixed:arm=w"], "arm_unknown", "not part of the spec"),
        (["--context", "task"], "input_invalid", "not clear what an execution was worth"),
        ([*BASIC, "--outcome", "success=ok"], "input_invalid", "not clear what an execution was worth"),
        ([*BASIC, "--weights", "speed=1"], "input_invalid", "no effect"),
        ([*BASIC, "--reward-map", "status:ok=1"], "input_invalid", "no effect"),
        (["--outcome", "success"], "input_invalid", "--outcome cannot be read"),
        (["--outcome", "success=ok", "--outcome", "duration_s=seconds"], "input_invalid", "reference time"),
        (["--outcome", "success=ok", "--weights", "speed=fast"], "input_invalid", "--weights cannot be read"),
        (["--outcome", "success=ok", "--weights", "joy=1"], "spec_invalid", "weights of a reward"),
        ([*BASIC, "--on", "task"], "table_invalid", "go together"),
        ([*BASIC, "--context-limit", "4"], "input_invalid", "context_limit of a replay"),
        ([*BASIC, "--replications", "0"], "input_invalid", "replications of a replay"),
        ([*BASIC, "--rounds", "-1"], "input_invalid", "wrong usage"),
        ([*BASIC, "--round", "1"], "input_invalid", "wrong usage"),
    ],
)
def test_bad_requests_are_refused(
    runs: str, capsys: pytest.CaptureFixture[str], more: list[str], code: str, what: str
) -> None:
    found = refused(capsys, asked(runs, *more))
    assert found[0] == code
    assert what in found[1]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "cannot be opened"),
        (b"", "has no rows"),
        (gzip.compress(RUNS.encode())[:60], "cannot be decompressed"),
        (gzip.compress(RUNS.encode())[:-9] + b"\0" * 9, "cannot be decompressed"),
        (b"\x1f\x8bno gzip", "cannot be decompressed"),
        (RUNS.encode()[:-30], "has another number of values"),
        (RUNS.encode("utf-16"), "is not text in UTF-8"),
    ],
    ids=["absent", "empty", "cut gzip", "wrong checksum", "no gzip", "cut", "utf-16"],
)
def test_damaged_files_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, what: str
) -> None:
    path = tmp_path / "damaged.csv"
    if content is not None:
        path.write_bytes(content)
    code, found = refused(capsys, asked(str(path), *BASIC))
    assert code == "table_invalid"
    assert what in found


def test_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, ["repaly"])[1].startswith("wrong usage: ")
    assert refused(capsys, [])[1].startswith("wrong usage: ")
    assert refused(capsys, ["replay"])[1].startswith("wrong usage: ")


# --- the command


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"nyx-learning {nyx_learning.__version__}\n"
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)
    assert main(["replay", "--help"]) == 0
    assert "--reward-map" in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_a_module_of_the_registry(name: str) -> None:
    module = load(name)
    assert module.__doc__
    assert callable(module.add_arguments)
    assert callable(module.run)


def test_an_interruption_is_no_traceback(
    runs: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(load("replay"), "replay", interrupt)
    assert main(asked(runs, *BASIC)) == 130
    assert capsys.readouterr() == ("", "interrupted\n")


def test_a_reader_that_goes_away_is_no_traceback(runs: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *asked(runs, *BASIC, "--json")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait(60) == 141


# --- policies by name


def test_policies_are_read() -> None:
    found = parse_policies("uniform, ucb1:alpha=1, floor=0 ,fixed:arm=par(t=1,w=2),floor=.5,hier_ts")
    assert found == {
        "uniform": PolicySpec("uniform"),
        "ucb1:alpha=1,floor=0": PolicySpec("ucb1", alpha=1, floor=0),
        "fixed:arm=par(t=1,w=2),floor=.5": PolicySpec("fixed", arm="par(t=1,w=2)", floor=0.5),
        "hier_ts": PolicySpec("hier_ts"),
    }


@pytest.mark.parametrize(
    "text", ["", ",", "ucb1:", "alpha=1", "ucb1:alpha", "ucb1:alpha=1,alpha=2", "ucb1:=1"]
)
def test_unreadable_policies_are_refused(text: str) -> None:
    with pytest.raises(InputInvalid):
        parse_policies(text)


def test_no_parameter_of_python_is_one_of_a_policy() -> None:
    for name in ("name", "self"):
        with pytest.raises(SpecInvalid):
            parse_policies(f"ucb1:{name}=uniform")


# --- real histories


@pytest.mark.parametrize(
    ("arguments", "uniform"),
    [
        (["terminalbench_runs/runs.csv.gz", "--arm", "submission", *("--context", "task")], 0.407),
        (["swebench_mini/runs.csv.gz", "--arm", "arm", "--without", "issue_number"], 0.540),
        (["aslib/QBF-2011_runs.csv.gz", "--arm", "algorithm", "--without", "_cv_fold", "--ranks"], 0.4526),
    ],
    ids=["terminalbench", "swebench", "aslib"],
)
def test_real_histories_are_replayed(
    arguments: list[str], uniform: float, capsys: pytest.CaptureFixture[str]
) -> None:
    file, *rest = arguments
    path = DATA / file
    if not path.is_file():
        pytest.skip("the histories to test against are not on this machine")
    if "terminal" in file:
        rest += ["--reward", "resolved"]
    elif "swebench" in file:
        rest += [
            "--reward",
            "resolved",
            "--features",
            str(path.parent / "features.csv"),
            "--on",
            "instance_id",
        ]
    else:
        features = path.parent / path.name.replace("_runs", "_features")
        rest += ["--features", str(features), "--on", "instance"]
        rest += ["--reward", "status", "--reward-map", "status:ok=1,*=0"]
    assert main(["replay", str(path), *rest, "--rounds", "40", "--replications", "2", "--json"]) == 0
    document = printed(capsys)
    assert document["references"][0]["mean_reward"] == pytest.approx(uniform, abs=1e-3)
    assert [entry["policy"] for entry in document["policies"]] == [
        "uniform",
        "ucb1:alpha=1",
        "thompson_beta",
        "hier_ts",
    ]
