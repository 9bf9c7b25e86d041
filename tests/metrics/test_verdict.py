"""The verdict on logs that were written by hand: what each of the eight means, and when it begins."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gancli.config import DataFacts, TrainOptions, resolve
from gancli.metrics.best import best_tick, why_best
from gancli.metrics.verdict import Verdict, judge
from gancli.recipes import RECIPES, find_recipe

HEALTHY = {
    "finite": 1.0,
    "diversity": 0.95,
    "coverage": 0.96,
    "cluster_overlap": 0.8,
    "cluster_change": 0.1,
    "near_duplicates": 0.01,
    "near_duplicates_reals": 0.0,
    "effective_rank": 0.8,
    "copies": 0.0,
    "copies_reals": 0.0,
    "distance_to_reals": 1.0,
    "roughness": 1.0,
    "kid": 0.1,
    "raw_diversity": 0.95,
    "d_gap": 0.1,
    "d_gap_error": 0.02,
    "loss_d": 1.2,
    "loss_g": 0.9,
}


def _rows(changes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A log with a row before the first step, then one for each of `changes`."""
    first = HEALTHY | {"tick": 0, "kimg": 0.0, "loss_d": None, "loss_g": None, "diversity": 0.0, "coverage": 0.04}
    return [first] + [HEALTHY | {"tick": i + 1, "kimg": i + 1.0} | change for i, change in enumerate(changes)]


def _judge(changes: Sequence[dict[str, Any]], **given: Any) -> Verdict:
    return judge(_rows(changes), **({"num_images": 300, "planned_kimg": 10.0} | given))


def test_an_empty_log_is_too_early() -> None:
    verdict = judge([], num_images=100)
    assert (verdict.verdict, verdict.since_tick, verdict.best_tick) == ("starved", None, None)


def test_a_run_like_its_reals_is_healthy() -> None:
    verdict = _judge([{}] * 10)
    assert verdict.verdict == "healthy"
    assert verdict.advice


@pytest.mark.parametrize(
    ("sign", "name"),
    [
        ({"diversity": 0.05}, "collapsed"),
        ({"coverage": 0.25}, "collapsed"),
        ({"latent_sensitivity": 0.0}, "collapsed"),
        ({"coverage": 0.1, "cluster_change": 0.9}, "cycling"),
        ({"copies": 0.9}, "memorising"),
        ({"d_gap": 0.8}, "overfitting"),
        ({"coverage": 0.1, "roughness": 4.0, "distance_to_reals": 2.0}, "diverged"),
        ({"coverage": 0.75, "roughness": 3.0, "distance_to_reals": 2.6, "kid": 122.0}, "diverged"),
        ({"loss_d": math.nan}, "diverged"),
        ({"loss_d": None, "loss_g": None}, "diverged"),
        ({"finite": 0.5, "diversity": None, "coverage": None}, "diverged"),
        ({"raw_diversity": 0.05}, "collapsing"),
    ],
)
def test_each_failure_has_its_name_and_the_tick_it_began(sign: dict[str, Any], name: str) -> None:
    verdict = _judge([{}] * 6 + [sign] * 4)
    assert (verdict.verdict, verdict.since_tick) == (name, 7)
    assert verdict.evidence.endswith(".")
    assert verdict.best_tick is not None
    assert any("Go back to tick" in tip for tip in verdict.advice) == (verdict.best_tick < 7)
    assert verdict.best_tick < 7 or name in ("overfitting", "collapsing")  # the pictures are as good as before


def test_a_steady_fall_is_seen_before_its_end() -> None:
    verdict = _judge([{}] * 5 + [{"coverage": c} for c in (0.85, 0.75, 0.62)])
    assert (verdict.verdict, verdict.since_tick) == ("collapsing", 6)


def test_one_bad_tick_is_no_collapse() -> None:
    assert _judge([{}] * 5 + [{"coverage": 0.2}]).verdict == "healthy"
    assert _judge([{}] * 5 + [{"coverage": 0.2}, {}, {}]).verdict == "healthy"


def test_a_single_better_tick_does_not_end_a_collapse() -> None:
    verdict = _judge([{}] * 4 + [{"coverage": 0.2}] * 2 + [{}] + [{"coverage": 0.2}] * 2)
    assert (verdict.verdict, verdict.since_tick) == ("collapsed", 5)


def test_the_first_ticks_are_not_judged() -> None:
    low = {"coverage": 0.1, "diversity": 0.1}
    assert _judge([low, low]).verdict == "starved"
    rising = [{"coverage": 0.1, "diversity": d} for d in (0.05, 0.1, 0.16)]
    assert _judge(rising).verdict == "starved"


def test_a_generator_that_never_left_its_corner_is_collapsed_from_its_first_tick() -> None:
    verdict = _judge([{"coverage": 0.1, "diversity": 0.1}] * 8)
    assert (verdict.verdict, verdict.since_tick) == ("collapsed", 1)


def test_fewer_than_twenty_distinct_pictures_are_starved_whatever_they_show() -> None:
    assert _judge([{}] * 8, num_images=400, distinct_images=19).verdict == "starved"
    assert _judge([{"coverage": 0.1}] * 8, num_images=12).verdict == "starved"
    assert _judge([{}] * 8, num_images=20).verdict == "healthy"


def test_starved_of_pictures_is_told_to_collect_and_starved_of_time_to_wait() -> None:
    (more,) = _judge([{}] * 8, num_images=400, distinct_images=19).advice
    assert "collect more" in more
    (longer,) = _judge([{}]).advice
    assert "longer" in longer


def test_a_raw_network_that_has_not_opened_yet_is_not_accused() -> None:
    closed = {"raw_diversity": 0.1}
    assert _judge([closed] * 3).verdict == "healthy"
    assert _judge([closed] * 3 + [{}]).verdict == "healthy"
    assert _judge([closed] * 6).verdict == "collapsing"
    assert _judge([{}] + [closed] * 3, planned_kimg=15).verdict == "collapsing"


def test_garbage_that_falls_into_every_kind_is_given_time_at_first_and_then_named() -> None:
    garbage = {"roughness": 3.0, "distance_to_reals": 2.6, "kid": 122.0}
    assert _judge([garbage] * 4, planned_kimg=20.0).verdict == "starved"
    verdict = _judge([{}] * 5 + [garbage] * 3)
    assert (verdict.verdict, verdict.since_tick) == ("diverged", 6)
    assert "noise" in verdict.evidence


def test_doubles_alone_are_no_collapse_while_the_kinds_are_there() -> None:
    assert _judge([{"near_duplicates": 0.65, "coverage": 0.95}] * 8).verdict == "healthy"
    assert _judge([{"near_duplicates": 0.65, "coverage": 0.6}] * 8).verdict == "collapsed"
    assert _judge([{"near_duplicates": 0.95, "coverage": 0.95}] * 8).verdict == "collapsed"


@pytest.mark.parametrize("name", RECIPES)
def test_the_advice_names_no_flag_that_the_recipe_refuses(name: str) -> None:
    is_toy = find_recipe(name).sizes == "points"
    size, channels = ((0, 0), 2) if is_toy else ((32, 32), 3)
    facts = DataFacts(
        spec="x", fingerprint="0", size=size, channels=channels, num_images=300, num_held_out=20, flip=not is_toy
    )
    config = resolve(TrainOptions(model=name), facts)
    for sign in ({"diversity": 0.05}, {"d_gap": 0.8}, {"copies": 0.9}, {"loss_d": math.nan}, {"raw_diversity": 0.05}):
        for tip in _judge([{}] * 6 + [sign] * 4, config=config).advice:
            flags = {"--r1": "r1_gamma", "--augment": "augment", "--dropout": "dropout"}
            for flag, setting in flags.items():
                assert flag not in tip or getattr(find_recipe(name), setting) is not None, tip


def test_copies_and_doubles_that_the_reals_have_too_are_no_fault() -> None:
    alike = {"copies": 0.9, "copies_reals": 0.9, "near_duplicates": 0.9, "near_duplicates_reals": 0.88}
    assert _judge([alike] * 8).verdict == "healthy"


def test_a_gap_within_its_error_is_no_overfitting() -> None:
    assert _judge([{"d_gap": 0.6, "d_gap_error": 0.4}] * 8).verdict == "healthy"


def test_without_held_out_pictures_the_verdict_says_what_it_cannot_know() -> None:
    assert "held out" in _judge([{}] * 8, held_out=False).evidence
    assert "held out" not in _judge([{}] * 8).evidence


def test_the_verdict_is_plain_json() -> None:
    written = json.loads(json.dumps(_judge([{}] * 8).as_dict(), allow_nan=False))
    assert set(written) == {"verdict", "since_tick", "best_tick", "evidence", "advice", "measures"}
    assert isinstance(written["advice"], list)
    assert written["measures"]["diversity"] == 0.95


def test_the_best_tick_has_the_best_smoothed_coverage() -> None:
    coverages = [0.4, 0.8, 0.8, 0.9, 0.9, 0.9, 0.7, 0.6, 0.6, 0.6]
    assert best_tick(_rows([{"coverage": c} for c in coverages]), planned_kimg=10) == 6


def test_ties_go_to_the_smaller_kernel_distance() -> None:
    kids = [0.5, 0.4, 0.2, 0.3, 0.35]
    assert best_tick(_rows([{"coverage": 1.0, "kid": kid} for kid in kids]), planned_kimg=5) == 3


def test_what_differs_by_less_than_its_error_ties_and_the_later_tick_wins() -> None:
    def best(coverages: list[float], coverage_error: float, kids: list[float], kid_error: float) -> int | None:
        errors = {"coverage_error": coverage_error, "kid_error": kid_error}
        rows = _rows([{"coverage": c, "kid": k} | errors for c, k in zip(coverages, kids, strict=True)])
        return best_tick(rows, planned_kimg=6)

    full = [1.0] * 6
    assert best(full, 0.0, [0.5, 0.30, 0.32, 0.31, 0.33, 0.50], 0.03) == 5
    assert best(full, 0.0, [0.5, 0.30, 0.34, 0.38, 0.42, 0.46], 0.04) == 3  # no slow slide away from the nearest
    assert best([1.0, 1.0, 1.0, 0.9, 0.9, 0.9], 0.05, [0.5, 0.4, 0.3, 0.2, 0.1, 0.05], 0.01) == 6
    assert best([1.0, 1.0, 1.0, 0.9, 0.9, 0.9], 0.01, [0.5, 0.4, 0.3, 0.2, 0.1, 0.05], 0.01) == 3


def test_a_copier_is_best_only_while_there_is_no_other() -> None:
    rows = _rows([{"coverage": 0.8, "kid": 0.5}, {"coverage": 1.0, "kid": 0.1, "copies": 0.9}])
    assert best_tick(rows, planned_kimg=3) == 1


def test_why_a_tick_is_best_is_said_in_its_own_figures() -> None:
    assert "covers 96 %" in why_best(_rows([{}] * 4), 4)
    toy = _rows([{"modes": 8.0, "coverage": 1.0, "high_quality": 0.97}] * 2)
    assert why_best(toy, 2) == "8 modes, 97 % of the points of high quality"
    assert why_best(toy, 9) == ""


def test_no_tick_before_a_tenth_of_the_plan_is_best() -> None:
    rows = _rows([{"coverage": 1.0, "kid": 0.0}] * 3 + [{"coverage": 0.6}] * 3)
    assert best_tick(rows[:4], planned_kimg=40) is None
    assert best_tick(rows, planned_kimg=40) in (4, 5, 6)


def test_a_collapsed_tick_is_best_only_while_there_is_no_other() -> None:
    rows = _rows([{"coverage": 0.3}, {"coverage": 0.3}, {"coverage": 0.51}, {"coverage": 0.45}])
    assert best_tick(rows[:3]) in (1, 2)
    assert best_tick(rows) == 3


def test_the_best_tick_of_a_toy_is_the_last_with_all_modes_evenly_and_well() -> None:
    figures = [(7, 0.99, 0.2), (8, 0.90, 0.05), (8, 0.98, 0.01), (8, 0.96, 0.015), (8, 0.90, 0.01), (8, 0.99, 0.3)]
    rows = _rows([{"modes": m, "coverage": m / 8, "high_quality": q, "reverse_kl": kl} for m, q, kl in figures])
    assert best_tick(rows, planned_kimg=6) == 4


_SHARES = st.floats(0, 1)


@settings(max_examples=60)
@given(st.lists(st.tuples(_SHARES, _SHARES, _SHARES), max_size=12), st.booleans())
def test_the_best_tick_only_ever_moves_to_the_newest(values: list[tuple[float, float, float]], toy: bool) -> None:
    rows = _rows(
        [
            {"coverage": c, "kid": k}
            | ({"modes": round(8 * c), "high_quality": k, "reverse_kl": x / 20} if toy else {})
            for c, k, x in values
        ]
    )
    before = None
    for end in range(1, len(rows) + 1):
        now = best_tick(rows[:end], planned_kimg=10)
        assert now in (before, rows[end - 1]["tick"])
        before = now


_ANYTHING = st.one_of(
    st.none(), st.floats(), st.integers(-5, 5), st.text(max_size=3), st.lists(st.integers(), max_size=2)
)


@settings(max_examples=80)
@given(st.lists(st.dictionaries(st.sampled_from([*HEALTHY, "kimg", "tick", "modes"]), _ANYTHING), max_size=8))
def test_any_log_has_a_verdict(rows: list[dict[str, Any]]) -> None:
    verdict = judge(rows, num_images=30)
    json.dumps(verdict.as_dict(), allow_nan=False)
