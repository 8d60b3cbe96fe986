"""The report's plots by hand, and reports of logs that have next to nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from nyx_learning.service.evaluation.report import render_report
from nyx_learning.service.evaluation.study import Question, Study, run_study
from nyx_learning.service.evaluation.svg import Interval, bars, curve, forest, histogram
from nyx_learning.service.evaluation.wording import lines_of
from nyx_learning.simulation.interchange import LoggedChoice
from nyx_learning.simulation.verdict import JudgedLog, judged_log
from nyx_learning.simulation.verdict.targets import spec_of_log


def texts(plot: str) -> list[str]:
    return [node.text or "" for node in ET.fromstring(plot).iter("text")]  # noqa: S314 (written here)


def test_intervals_lie_where_their_numbers_are() -> None:
    rows = [Interval("a & b", 0.1, 0.2, 0.3), Interval("open", 0.0, 0.1, None)]
    plot = forest(rows, [(0.2, "asked")], "lift")
    tree = ET.fromstring(plot)  # noqa: S314 (written here)
    marks = [node for node in tree.iter("line") if node.attrib["class"] == "mark"]
    points = [float(node.attrib["cx"]) for node in tree.iter("circle")]
    assert points[0] == pytest.approx(float(marks[0].attrib["x1"]))
    bars_ = [node for node in tree.iter("line") if node.attrib["class"] == "interval"]
    low, high = (float(bars_[0].attrib[name]) for name in ("x1", "x2"))
    assert points[0] == pytest.approx((low + high) / 2, abs=0.2)
    assert len(list(tree.iter("path"))) == 1  # the arrow of what is unbounded
    assert {"a & b", "open", "asked", "0 %", "+30 %"} <= set(texts(plot))


def test_plots_of_little_are_still_plots() -> None:
    assert "100.0 %" in texts(bars([("only", 1.0, 0.0)], ("policy", "log"), "shares"))
    assert "name" in texts(curve([("name", "learned", [(1.0, 0.5)])], "mean", "rows"))
    assert texts(curve([("x", "learned", [(1.0, 1.0), (2.0, 1.0)])], "mean", "rows"))
    assert "<1 %" in texts(histogram([("0", 0.999), ("more", 0.001)], "weights", "weight"))
    long = texts(bars([("x" * 60, 0.2, 0.2)], ("policy", "log"), "shares"))
    assert max(map(len, long)) <= 25


def study(rows: Sequence[LoggedChoice], baseline: str = "a") -> Study:
    log: JudgedLog = judged_log(rows)
    return run_study(log, spec_of_log(log), {"shares": {"a": 0.5, "b": 0.5}}, Question(baseline))


@pytest.mark.parametrize("n", [2, 3, 30])
@pytest.mark.parametrize("success", [0.0, 0.5, 1.0])
def test_reports_of_short_logs(n: int, success: float) -> None:
    rows = [
        LoggedChoice(
            i, str(i), None, {}, "ab"[i % 2], 0.5, None, success=i < success * n, pmf={"a": 0.5, "b": 0.5}
        )
        for i in range(n)
    ]
    found = study(rows)
    page = render_report(found, source="log.jsonl")
    assert found.best.status in page.lower()
    assert not re.search(r"\bnan\b|\binf\b|None", page.partition('id="verdict"')[0])
    assert lines_of(found)[0].startswith(found.best.status.upper())
    for plot in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ET.fromstring(plot)  # noqa: S314 (written here)


def test_a_report_warns_in_words() -> None:
    chance = np.random.default_rng(3)
    rows = []
    for i in range(400):
        arm = "b" if chance.random() < 0.01 else "a"
        p = {"a": 0.99, "b": 0.01}
        rows.append(LoggedChoice(i, str(i), None, {}, arm, p[arm], None, success=bool(i % 3), pmf=p))
    found = study(rows)
    assert found.best.status == "not enough evidence"
    page = render_report(found, source="log.jsonl")
    assert "too few for a point estimate to mean much" in page
    assert "further decisions would settle it" in page or "no practical number" in page
