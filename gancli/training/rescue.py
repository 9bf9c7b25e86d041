"""What --on-collapse does: stop, or back to the best tick with the one thing changed that the advice names."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gancli.config import TrainConfig
from gancli.errors import CheckpointError, TrainingError
from gancli.files import append_json_line, write_json
from gancli.metrics.advice import is_too_fast
from gancli.metrics.rows import kimg_of
from gancli.metrics.verdict import Verdict
from gancli.models.checkpoint import read_checkpoint
from gancli.recipes import find_recipe
from gancli.text import clean
from gancli.training.run import RunFolder
from gancli.training.state import State
from gancli.training.ticks import Reporter

__all__ = ["cured", "has_failed", "next_cure", "roll_back"]

_MOST_RESCUES = 3
# Of the planned kimg: how long a verdict must hold before it is acted on; a run that has not been well since it began
# has nothing to go back to, and may only be young.
_PATIENCE, _PATIENCE_FROM_THE_START = 0.02, 0.5
_RISEN = 1.1  # times the coverage of three ticks before: such a run is still on its way
_HELPED = 0.1  # coverage above that at which the change before was made: it works, though not yet well
_FEW_BATCHES = 17  # an epoch; fewer collapsed sooner
_FAILURES = {
    "stop": ("collapsed", "cycling", "diverged"),
    "rollback": ("collapsed", "cycling", "diverged", "collapsing"),
}


def has_failed(
    config: TrainConfig, verdict: Verdict, rows: list[dict[str, Any]], rescues: Sequence[Mapping[str, Any]]
) -> bool:
    """Is `verdict` one that --on-collapse acts on, and has it held for the patience, in kimg?

    After three `rescues`, the records of what was changed, a run goes on as it is.
    """
    if verdict.verdict not in _FAILURES.get(config.on_collapse, ()) or len(rescues) >= _MOST_RESCUES:
        return False
    if not _has_better(verdict):
        is_late = kimg_of(rows[-1]) >= _PATIENCE_FROM_THE_START * float(rows[-1]["target_kimg"])
        has_helped = bool(rescues) and _coverage(rows[-3:]) > rescues[-1]["coverage"] + _HELPED
        return is_late and not has_helped and not _coverage(rows[-3:]) > _RISEN * _coverage(rows[-6:-3])
    since = next((row for row in rows if row["tick"] == verdict.since_tick), rows[-1])
    return kimg_of(rows[-1]) - kimg_of(since) >= _PATIENCE * float(rows[-1]["target_kimg"])


def _has_better(verdict: Verdict) -> bool:
    """Is there a tick from before the failure to go back to?"""
    return verdict.best_tick is not None and verdict.best_tick < (verdict.since_tick or 0)


def _coverage(rows: list[dict[str, Any]]) -> float:
    """The mean over `rows`; without any, infinite."""
    return sum(row.get("coverage") or 0.0 for row in rows) / len(rows) if rows else math.inf


def next_cure(config: TrainConfig, verdict: str = "collapsed") -> tuple[str, dict[str, Any]]:
    """The first thing of the advice that `config` can still take while it trains: its flag, and the settings."""
    return next(_cures(config, verdict))


def cured(config: TrainConfig, extra: dict[str, Any]) -> TrainConfig:
    """`config` with the changes that the rollbacks so far have made; they travel in the checkpoint."""
    for rescue in extra.get("rescues", ()):
        config = TrainConfig.from_dict(config.to_dict() | rescue["changes"])
    return config


def roll_back(reporter: Reporter, state: State, extra: dict[str, Any], verdict: Verdict) -> str:
    """Puts `state`, log and folder back to the best tick, changes one thing, records both; returns what to say.

    What is undone is kept: its rows in rollbacks.jsonl, its grids in samples/rolled-back-N.
    """
    run, config, rows, was = reporter.run, reporter.config, reporter.rows, state.nimg
    flag, changes = next_cure(config, verdict.verdict)
    best = next((row for row in rows if row["tick"] == verdict.best_tick), None)
    draw, number = state.draw + 1, len(extra.get("rescues", ())) + 1
    _load(run, state, int(best["nimg"]) if best is not None and _has_better(verdict) else 0)
    state.draw = draw
    undone = [row for row in rows if row["nimg"] > state.nimg]
    tick = next((f"tick {row['tick']}" for row in rows if row["nimg"] == state.nimg), "the beginning")
    text = f"{verdict.verdict}: back to {tick} ({state.nimg / 1000:.1f} kimg), from now on {flag}"
    if number == _MOST_RESCUES:
        text += "; the last change that is tried"
    record = {"number": number, "from_nimg": was, "to_nimg": state.nimg, "flag": flag, "changes": changes}
    record |= {"coverage": _coverage(rows[-3:])}
    append_json_line(run.path / "rollbacks.jsonl", record | {"verdict": verdict.as_dict(), "rows": undone})
    extra["rescues"] = [*extra.get("rescues", ()), record]
    reporter.config = cured(config, {"rescues": [record]})
    # The checkpoint first: from here on every crash resumes after the rollback.
    reporter.save(extra)
    run.forget_beyond(state.nimg, f"rolled-back-{number}")
    reporter.go_back()
    write_json(run.path / "verdict.json", reporter.judge().as_dict())
    return text


def _load(run: RunFolder, state: State, nimg: int) -> None:
    """The checkpoint at `nimg`; where it is gone or damaged, the oldest that can be read."""
    for path in (run.checkpoint_at(nimg), run.path / "best.pt", *run.checkpoints()):
        try:
            checkpoint = read_checkpoint(path)
        except CheckpointError:
            continue
        if checkpoint.nimg == nimg or path.parent.name == "checkpoints":
            return state.load(checkpoint)
    raise TrainingError(f"The run '{clean(run.path)}' has no checkpoint left to go back to.")


def _cures(config: TrainConfig, verdict: str) -> Iterator[tuple[str, dict[str, Any]]]:
    half = {"g_lr": config.g_lr / 2, "d_lr": config.d_lr / 2}
    slower = f"--lr {half['g_lr']:g}" + (f" --d-lr {half['d_lr']:g}" if config.d_lr != config.g_lr else ""), half
    recipe = find_recipe(config.recipe)
    if is_too_fast(config):
        own = {"g_lr": recipe.g_lr, "d_lr": recipe.d_lr}
        yield f"--lr {recipe.g_lr:g} --d-lr {recipe.d_lr:g}", own
    if verdict == "diverged":
        yield slower
    if recipe.r1_gamma is not None and not config.r1_gamma:
        yield "--r1 10", {"r1_gamma": 10.0}
    if recipe.augment is not None and config.augment in (None, "none", "light", "photo") and not config.is_points:
        yield "--augment diffaugment", {"augment": "diffaugment"}
    if config.num_images / config.batch_size < _FEW_BATCHES and config.batch_size >= 8:
        yield f"--batch {config.batch_size // 2}", {"batch_size": config.batch_size // 2}
    if (config.d_steps, config.d_every) == (1, "1") and config.objective != "wasserstein" and not config.is_points:
        yield "--d-every 2", {"d_every": "2"}
    yield slower
