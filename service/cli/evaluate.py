r"""Judge from a log whether a policy would have been at least so much better than the baseline.

LOG has one decision a line, with the probability that the chosen arm had: JSONL, CSV or Parquet, as `export`
writes it. Without LOG, the log of a bandit is read from its database (--dsn, --bandit).

  nyx-learning evaluate log.jsonl --policy fixed:arm=direct --min-lift 0.20 --confidence 0.95
  nyx-learning evaluate log.jsonl --policy hier_ts --policy ucb1 --baseline direct --report report.html
  nyx-learning evaluate log.csv --search space.json --metric reward
  nyx-learning evaluate --bandit orchestration --holdout

A policy is `uniform`, `fixed:arm=ARM`, `logged`, a policy that learns (`hier_ts:optimism=0`: the first half
of the log teaches it, the second half judges it), or a JSON file with a probability for each arm.
Several policies share the error rate: any wrong claim among them has the stated probability at most.

The answer is met, not met, not enough evidence, or not supported: the log cannot speak for the policy.
Exit code: 0 met (of several: by one of them), 1 not met or not enough evidence, 2 not supported or bad input.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...errors import InputInvalid, NyxError, shown
from ...simulation.columns import number_of
from ...simulation.interchange import read_log
from ...simulation.verdict import LOGGED, Judged, gathered_file
from ...simulation.verdict.gathering import BATCH_ROWS
from ...simulation.verdict.holdout import gathered_cohorts, judge_cohorts
from ...simulation.verdict.targets import Teacher, spec_of_log, teacher_of
from ..evaluation.onward import estimate_onward
from ..evaluation.report import write_report
from ..evaluation.stored import StoredLog, stored_log
from ..evaluation.study import Candidate, Question, Study, run_search, run_study
from ..evaluation.wording import lines_of
from .output import print_json, print_text
from .policies import parse_policies

__all__ = ["add_arguments", "run"]

_CANDIDATES_MAX = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``evaluate``."""
    add = parser.add_argument
    add("log", metavar="LOG", nargs="?", help="JSONL, CSV (also gzip-compressed) or Parquet")
    add(
        "--dsn",
        metavar="DSN",
        help="Postgres that has the log (default: NYX_DATABASE_URL, or the embedded one)",
    )
    add("--bandit", metavar="NAME", help="which bandit of the database (default: the only one)")
    asked = parser.add_argument_group("what is asked")
    add = asked.add_argument
    add("--policy", metavar="SPEC", action="append", default=[], help="policy to judge; may be repeated")
    add(
        "--baseline",
        metavar="ARM",
        help="what it is compared with: an arm id, or 'logged', the policy that logged",
    )
    add(
        "--min-lift",
        metavar="SHARE",
        type=_number,
        default=0.2,
        help="how much better (default: %(default)s)",
    )
    add("--confidence", metavar="SHARE", type=_number, default=0.95, help="of a claim (default: %(default)s)")
    add("--metric", choices=("success", "reward"), default="success", help="(default: %(default)s)")
    group = asked.add_mutually_exclusive_group()
    group.add_argument(
        "--adaptive",
        action="store_true",
        help="the logging policy learned, or I look more than once: anytime-valid",
    )
    group.add_argument(
        "--fixed",
        action="store_true",
        help="the logging policy never changed, and I look once (default: as the log shows)",
    )
    add("--holdout", action="store_true", help="compare the learner with the holdout cohort of the same log")
    add("--search", metavar="FILE", help="JSON: policies to choose from, on rows that do not judge the best")
    add(
        "--train-share",
        metavar="SHARE",
        type=_number,
        default=0.5,
        help="rows that teach (default: %(default)s)",
    )
    add(
        "--keep-learning",
        action="store_true",
        help="also estimate policies as they go on learning over the log; no verdict",
    )
    add("--report", metavar="FILE", help="write a self-contained HTML report")
    parser.add_argument(
        "--memory-rows",
        metavar="N",
        type=_count,
        default=BATCH_ROWS,
        help="rows kept in memory at a time; a longer log is judged from disk (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Judge, print, and write the report."""
    _check_usage(args)
    with TemporaryDirectory(prefix="nyx-evaluate-") as folder:
        try:
            return _run(args, Path(folder))
        except OSError as error:
            if isinstance(error, NyxError):
                raise
            raise InputInvalid(
                "the log cannot be kept on disk while it is judged",
                expected=f"room for about as many bytes as the log has, in {folder}",
                found=error.strerror or str(error),
                fix="set TMPDIR to a folder with room, or judge a part of the log",
            ) from None


def _run(args: argparse.Namespace, folder: Path) -> int:
    stored = None if args.log is not None else asyncio.run(stored_log(args.bandit, args.dsn, folder))
    path, source = (args.log, args.log) if stored is None else (stored.path, stored.bandit)
    rows = folder / "rows"
    rows.mkdir()
    if args.holdout:
        log = gathered_cohorts(read_log(path), rows, args.metric, rows=args.memory_rows)
        study = Study(log, {}, (judge_cohorts(log, min_lift=args.min_lift, confidence=args.confidence),))
    else:
        study = _study(args, gathered_file(path, rows, args.metric, rows=args.memory_rows), stored)
    if args.report is not None:
        write_report(Path(args.report), study, source=str(source))
    if args.json:
        print_json(_document(study, source))
    else:
        print_text("\n".join(lines_of(study)))
    return _code(study)


def _study(args: argparse.Namespace, log: Judged, stored: StoredLog | None) -> Study:
    teacher: Teacher = spec_of_log(log) if stored is None else teacher_of(stored.spec, log)
    baseline = args.baseline
    if baseline is None:
        own = None if stored is None else stored.spec.baseline_arm
        baseline = LOGGED if own is None else own
    question = Question(
        baseline,
        args.min_lift,
        args.confidence,
        True if args.adaptive else (False if args.fixed else None),
        args.train_share,
    )
    if args.search is not None:
        candidates = _space(args.search)
        study = run_search(log, teacher, candidates, question)
    else:
        candidates = _candidates(args.policy)
        study = run_study(log, teacher, candidates, question)
    if not args.keep_learning:
        return study
    judged = {name: one for name, one in candidates.items() if name in study.tables}
    # The best of a search is flattered by the rows that chose it.
    fresh = log if args.search is None else study.log
    return replace(study, onward=estimate_onward(fresh, teacher, judged))


def _check_usage(args: argparse.Namespace) -> None:
    given = [
        name
        for name, value in (("--policy", args.policy), ("--search", args.search), ("--holdout", args.holdout))
        if value
    ]
    if len(given) != 1:
        raise InputInvalid(
            "it is not clear what is to be judged",
            expected="one of --policy SPEC (may be repeated), --search FILE, --holdout",
            found=", ".join(given) or "none of them",
            fix="see nyx-learning evaluate --help",
        )
    if args.log is not None and (args.dsn is not None or args.bandit is not None):
        raise InputInvalid(
            "it is not clear which log is to be read",
            expected="a file, or a database (--dsn, --bandit)",
            found="both",
            fix="leave one out",
        )
    idle = [
        name
        for name, value in (
            ("--baseline", args.baseline),
            ("--fixed", args.fixed),
            ("--keep-learning", args.keep_learning),
        )
        if value and args.holdout
    ]
    if idle:
        raise InputInvalid(
            "an option would have no effect",
            expected="--holdout compares with the cohort that was served the baseline arm, anytime-valid",
            found=", ".join(idle),
            fix="leave it out",
        )


def _candidates(texts: list[str]) -> dict[str, Candidate]:
    found: dict[str, Candidate] = {}
    for text in texts:
        if text == LOGGED:
            parsed: dict[str, Candidate] = {LOGGED: LOGGED}
        elif text.endswith(".json"):
            parsed = {Path(text).stem: _arm_shares(text)}
        else:
            parsed = dict(parse_policies(text))
        for name, candidate in parsed.items():
            if name in found:
                raise InputInvalid(
                    "a policy is named twice",
                    expected="policies that differ",
                    found=repr(name),
                    fix="name it once",
                )
            found[name] = candidate
    return found


def _space(path: str) -> dict[str, Candidate]:
    """Candidates of a search: a list of policies, or grids of parameters by the name of the policy."""
    document = _json(path)
    texts: list[str] = []
    if isinstance(document, list) and all(isinstance(item, str) for item in document):
        texts = list(document)
    elif isinstance(document, dict) and all(isinstance(grid, dict) for grid in document.values()):
        for name, grid in document.items():
            values = [value if isinstance(value, list) else [value] for value in grid.values()]
            for chosen in product(*values):
                pairs = ",".join(f"{key}={value}" for key, value in zip(grid, chosen, strict=True))
                texts.append(f"{name}:{pairs}" if pairs else name)
    if not 1 < len(texts) <= _CANDIDATES_MAX:
        raise InputInvalid(
            f"{Path(path).name} has no policies to search among",
            expected='a list such as ["hier_ts", "ucb1:alpha=1"], or grids such as '
            '{"hier_ts": {"optimism": [0, 1]}}, '
            f"2 to {_CANDIDATES_MAX} policies in all",
            found=f"{len(texts)} policies; {shown(document)}",
            fix="list the policies to choose from",
        )
    return _candidates(texts)


def _arm_shares(path: str) -> dict[str, float]:
    document = _json(path)
    usable = isinstance(document, dict) and document
    shares = list(document.values()) if usable else []
    numbers = [value for value in shares if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if len(numbers) < len(shares) or not shares or min(numbers) < 0 or abs(sum(numbers) - 1.0) > 1e-6:
        raise InputInvalid(
            f"{Path(path).name} is no policy",
            expected='probabilities by arm id that sum to 1, such as {"direct": 0.3, "parallel": 0.7}',
            found=shown(document),
            fix="correct the file",
        )
    return {str(arm): float(share) for arm, share in document.items()}


def _json(path: str) -> Any:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputInvalid(
            f"{Path(path).name} cannot be read",
            expected="a readable file of JSON in UTF-8",
            found=f"{path}: {getattr(error, 'strerror', None) or error}"[:200],
            fix="correct the path, or the file",
        ) from None


def _document(study: Study, source: str) -> dict[str, Any]:
    return {
        "verdict": study.best.status,
        "log": str(source),
        "verdicts": [verdict.to_dict() for verdict in study.verdicts],
        "rows_that_taught": study.taught,
        "search": [held.to_dict() for held in study.search],
        "keep_learning": [one.to_dict() for one in study.onward],
    }


def _code(study: Study) -> int:
    return {"met": 0, "not supported": 2}.get(study.best.status, 1)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise argparse.ArgumentTypeError(f"a whole number is needed, not {text!r}")
    return int(text)


def _number(text: str) -> float:
    number = number_of(text)
    if number is None:
        raise argparse.ArgumentTypeError(f"a number is needed, not {text!r}")
    return number
