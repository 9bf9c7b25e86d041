"""The training loop. Position is the random state; bookkeeping comes before the step, when everything is consistent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch

from gancli.config import Engine, TrainConfig
from gancli.data.batches import BatchSource
from gancli.data.dataset import TrainingSet
from gancli.errors import TrainingError
from gancli.files import write_json
from gancli.metrics.advice import advise
from gancli.models.checkpoint import Checkpoint
from gancli.text import clean
from gancli.training.engine import make_iteration, tune
from gancli.training.fused import FusedToy
from gancli.training.iteration import Iteration, Tally
from gancli.training.plan import planned_nimg
from gancli.training.ranks import ALONE, Ranks
from gancli.training.rescue import cured, has_failed, roll_back
from gancli.training.run import RunFolder
from gancli.training.state import State
from gancli.training.ticks import Reporter, Tick

__all__ = ["train_loop"]

_CHECK_EVERY = 50  # iterations between looks at whether the numbers are still numbers
_MOST_ROLLBACKS = 3
_WORTH_GOING_ON = 1.1  # times the images so far that the minutes left are good for
_ASK_EVERY = 16  # iterations between questions of several processes whether one of them shall stop


def train_loop(
    config: TrainConfig,
    engine: Engine,
    data: TrainingSet,
    run: RunFolder,
    checkpoint: Checkpoint | None,
    start: int,
    should_stop: Callable[[], bool],
    initial: State | None = None,
    ranks: Ranks = ALONE,
) -> Iterator[Tick]:
    """Trains until the first of the config's lengths, or until `should_stop`; yields at every tick.

    Of several processes, `ranks`, the first measures, saves, decides and yields; what it decides the others are told.

    `checkpoint`: where to go on from; None begins anew, from `initial` where given. Raises `TrainingError` when the
    losses are not finite after three rollbacks, `DiskError` when a checkpoint cannot be written.
    """
    # ---- what learns, where it stands
    tune(config, engine)
    if checkpoint is not None:
        state = State.restored(checkpoint, engine)
    else:
        state = initial or State.fresh(config, engine)
    ranks.share_state(state)
    extra: dict[str, Any] = ranks.told(dict(checkpoint.extra) if checkpoint is not None else {})
    asked, config = config, cured(config, extra)
    engine = replace(engine, micro_batch=extra.get("micro_batch", engine.micro_batch))
    reporter = None
    if ranks.is_first:
        run.forget_beyond(state.nimg)
        reporter = Reporter(config, engine, data, run, state)
    iteration = _iteration(config, engine, data, state, ranks)
    tick_nimg = max(1, round(engine.tick_kimg * 1000))
    seconds_before = float(extra.get("seconds", 0.0))
    target = _target(config, engine, extra, state.nimg, seconds_before)
    extra |= {"seconds": seconds_before, "target_nimg": target, "length": _length(config)}

    # ---- the first grid and checkpoint come before the first step
    if checkpoint is None and reporter is not None:
        reporter.first(extra)

    began = tick_began = time.perf_counter()
    tick_from, next_tick, checked, steps = state.nimg, (state.nimg // tick_nimg + 1) * tick_nimg, 0, 0
    while True:
        # ---- bookkeeping
        done = state.nimg >= target
        stopping = not done and _should_stop(ranks, should_stop, steps)
        at_tick = state.nimg > tick_from and (done or stopping or state.nimg >= next_tick)
        if done or stopping or at_tick or checked >= _CHECK_EVERY:
            checked = 0
            tally = iteration.tally.gather(ranks)
            if not (tally.is_finite() and _weights_are_finite(state)):
                if reporter is not None:
                    _roll_back(run, state, reporter, extra)
                ranks.share_state(state)
                iteration.tally, tick_from = Tally(), state.nimg
                next_tick = (state.nimg // tick_nimg + 1) * tick_nimg
                continue
        if at_tick:
            now = time.perf_counter()
            seconds = seconds_before + now - began
            rate = (state.nimg - tick_from) / max(now - tick_began, 1e-9)
            ranks.average_buffers(state.generator, state.generator_ema, state.discriminator)
            ranks.check_identical(state.generator, state.generator_ema, state.discriminator)
            tick, failed, went_back = None, False, False
            if reporter is not None:
                if config.minutes is not None:
                    planned = planned_nimg(config, rate, state.nimg, seconds)
                    # The first rate is a guess on a busy machine: an end that comes with minutes left is none.
                    target = planned if not done or planned > _WORTH_GOING_ON * state.nimg else target
                    done = state.nimg >= target
                clock = {
                    "seconds": round(seconds, 3),
                    "images_per_s": round(rate, 2),
                    "target_kimg": target / 1000,
                    "starts": start,
                }
                extra |= {"seconds": seconds, "target_nimg": target, "finished": done}
                if iteration.notes:
                    extra["micro_batch"] = iteration.micro_batch
                tick = reporter.tick(tally, clock, extra)
                failed = not done and has_failed(config, tick.verdict, reporter.rows, extra.get("rescues", ()))
                went_back = failed and config.on_collapse == "rollback"
                if went_back:
                    failed = False
                    iteration.notes.append(roll_back(reporter, state, extra, tick.verdict))
                elif failed:
                    iteration.notes.append("stopped at a collapse, as --on-collapse stop asks; see best.pt")
                tick = replace(tick, note="; ".join(iteration.notes))
            target, extra, failed, went_back = ranks.told((target, extra, failed, went_back))
            done = state.nimg >= target
            if went_back:
                ranks.share_state(state)
                config = cured(asked, extra)
                engine = replace(engine, micro_batch=iteration.micro_batch)
                iteration = _iteration(config, engine, data, state, ranks)
            iteration.notes.clear()
            iteration.tally, tick_from, checked = Tally(), state.nimg, 0
            tick_began, next_tick = now, (state.nimg // tick_nimg + 1) * tick_nimg
            if tick is not None:
                yield tick
            if failed:
                return
        if done or stopping:
            return

        # ---- the step
        iteration.run(state.nimg / target)
        checked += 1
        steps += 1


def _iteration(
    config: TrainConfig, engine: Engine, data: TrainingSet, state: State, ranks: Ranks
) -> Iteration | FusedToy:
    source = BatchSource(data, config, torch.device(engine.device), ranks.rank, ranks.world)
    return make_iteration(config, engine, state, source, ranks)


def _should_stop(ranks: Ranks, should_stop: Callable[[], bool], steps: int) -> bool:
    """Several processes agree, and ask each other only now and then."""
    if ranks.world == 1:
        return should_stop()
    return steps % _ASK_EVERY == 0 and ranks.any(should_stop())


def _target(config: TrainConfig, engine: Engine, extra: dict[str, Any], nimg: int, seconds: float) -> int:
    """Where the run ends: as planned before, while its length is the same; else planned anew."""
    if config.minutes is not None and extra.get("length") == _length(config) and "target_nimg" in extra:
        return int(extra["target_nimg"])
    return planned_nimg(config, engine.images_per_s, nimg, seconds)


def _length(config: TrainConfig) -> list[float | None]:
    return [config.epochs, config.kimg, config.minutes]


def is_finished(config: TrainConfig, checkpoint: Checkpoint) -> bool:
    """Has the run at `checkpoint` reached the length that `config` asks for?"""
    if checkpoint.extra.get("length") == _length(config) and checkpoint.extra.get("finished"):
        return True
    seconds = float(checkpoint.extra.get("seconds", 0.0))
    return (
        (config.kimg is not None and checkpoint.nimg >= config.kimg * 1000)
        or (config.epochs is not None and checkpoint.nimg >= config.epochs * config.num_images)
        or (config.minutes is not None and seconds >= config.minutes * 60)
    )


def _weights_are_finite(state: State) -> bool:
    weights: list[torch.Tensor] = [*state.generator.parameters(), *state.discriminator.parameters()]
    return bool(torch.isfinite(torch.stack(torch._foreach_norm(weights))).all())


def _roll_back(run: RunFolder, state: State, reporter: Reporter, extra: dict[str, Any]) -> None:
    """Back to the last good checkpoint, with another draw; after three times the run has diverged."""
    at, rescues = state.nimg, len(extra.get("rescues", ()))
    draw = state.draw - rescues  # those of --on-collapse are counted by themselves
    checkpoint, _ = run.newest_good()
    if checkpoint is None or draw >= _MOST_ROLLBACKS:
        config = reporter.config
        advice = advise("diverged", best_tick=None, num_images=config.num_images, held_out=False, config=config)
        evidence = f"Losses or weights are not finite at {at / 1000:.1f} kimg, and after {draw} rollbacks again."
        ticks = [row["tick"] for row in reporter.rows]
        verdict: dict[str, Any] = {
            "verdict": "diverged",
            "since_tick": (ticks[-1] if ticks else 0) + 1,
            "best_tick": reporter.judge().best_tick if ticks else None,
            "evidence": evidence,
            "advice": list(advice),
            "measures": {},
        }
        write_json(run.path / "verdict.json", verdict)
        raise TrainingError(
            f"The run '{clean(run.path)}' has diverged. {evidence} What was saved before is kept. "
            f"To try: {' '.join(advice)}"
        )
    state.load(checkpoint)
    state.draw = draw + rescues + 1
    reporter.rows = run.drop_rows_beyond(state.nimg)
