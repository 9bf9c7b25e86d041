"""The verdict on planted runs: the rows were measured by planted_runs.py, and are judged anew here.

The thresholds were set on half A (the sea, digits); half B has other seeds and other pictures (emoji, sevens, persian
cats, painted landscapes) that no threshold has seen.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from planted_runs import Case, load_cases

from gancli.metrics.verdict import Verdict, judge

CASES = load_cases(Path(__file__).with_name("planted_runs.json.gz"))
NEAR = 2  # ticks


def _judge(case: Case) -> Verdict:
    return judge(case.rows, num_images=case.num_images, held_out=case.held_out)


def _table(cases: list[Case]) -> str:
    counts = Counter((case.expected[0], _judge(case).verdict) for case in cases)
    return "\n".join(f"{planted} -> {found}: {count}" for (planted, found), count in sorted(counts.items()))


def test_there_are_enough_cases_of_every_kind() -> None:
    for half in ("A", "B"):
        planted = {case.expected[0] for case in CASES if case.half == half}
        assert planted >= {"healthy", "collapsed", "collapsing", "cycling", "memorising", "overfitting", "diverged"}
    assert len(CASES) >= 80
    assert sum(case.is_healthy for case in CASES if case.half == "B") >= 20


@pytest.mark.parametrize("half", ["A", "B"])
def test_no_healthy_run_is_accused(half: str) -> None:
    healthy = [case for case in CASES if case.half == half and case.is_healthy]
    accused = {case.name: _judge(case).verdict for case in healthy if _judge(case).verdict not in case.expected}
    assert not accused


@pytest.mark.parametrize("half", ["A", "B"])
def test_planted_failures_are_named_right(half: str) -> None:
    planted = [case for case in CASES if case.half == half and not case.is_healthy]
    wrong = {case.name: _judge(case).verdict for case in planted if _judge(case).verdict not in case.expected}
    assert len(wrong) <= 0.05 * len(planted), f"{wrong}\n{_table(planted)}"


@pytest.mark.parametrize("half", ["A", "B"])
def test_the_onset_is_found_within_two_ticks(half: str) -> None:
    late = {}
    for case in CASES:
        verdict = _judge(case)
        if case.half != half or case.onset is None or verdict.verdict not in case.expected:
            continue
        if verdict.since_tick is None or abs(verdict.since_tick - case.onset) > NEAR:
            late[case.name] = verdict.since_tick
    assert not late


def test_a_failure_never_takes_the_best_tick_from_what_came_before() -> None:
    for case in CASES:
        if case.onset is not None and case.expected[0] in ("collapsed", "cycling", "diverged"):
            best = _judge(case).best_tick
            assert best is not None, case.name
            assert best < case.onset, case.name


def test_of_a_run_that_gets_sharper_to_its_end_one_of_the_last_ticks_is_best() -> None:
    growing = [case for case in CASES if case.name.endswith(" learning")]
    assert len(growing) >= 5
    for case in growing:
        assert (_judge(case).best_tick or 0) >= len(case.rows) - 2, case.name
