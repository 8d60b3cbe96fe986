"""Recorded agent runs are scored end to end by the example."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT.parent / "shared" / "data" / "terminalbench_runs" / "runs.csv.gz"
HEADER = "submission,task,resolved,test_frac,agent_s,failure_mode,input_tokens,output_tokens\n"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "score_terminalbench", ROOT / "examples" / "score_terminalbench.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not RUNS.exists(), reason="the recorded runs are not beside the repository")
def test_the_recorded_runs_are_scored(example: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert example.main([str(RUNS)]) == 0
    printed = capsys.readouterr().out
    assert "5,200 trials, 13 arms" in printed
    assert "missing: usefulness in 5,200, speed in 1,276" in printed
    assert "<- changes" in printed


def test_a_small_table_is_scored(
    example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = []
    for i in range(8):
        rows += [
            f"slow,a,1,1.0,{40 + i},unset,100,50",
            f"fast,a,{i % 2},0.5,{4 + i},unset,0,0",
            f"hangs,a,0,0.0,{60 + i},agent_timeout,0,0",
        ]
    table = tmp_path / "runs.csv"
    table.write_text(HEADER + "\n".join(rows) + "\n")
    assert example.main([str(table), "--baseline", "slow"]) == 0
    printed = capsys.readouterr().out.splitlines()
    winners = {line[:48].strip(): line[48:].split(" ")[0] for line in printed if line[48:].count("(") == 2}
    assert winners["success alone"] == "slow"
    assert winners["speed alone"] == "fast"
    assert "higher" in printed[-1]


def test_a_table_without_the_columns_is_refused(
    example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "runs.csv"
    table.write_text("a,b\n1,2\n")
    assert example.main([str(table)]) == 2
    assert "[table_invalid]" in capsys.readouterr().err
    assert example.main([str(tmp_path / "absent.csv")]) == 2
