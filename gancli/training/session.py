"""From what a person asked to a run that is ready to go: data, config, folder, engine, plan."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from gancli.config import FREE_TO_CHANGE, Engine, TrainConfig, TrainOptions, resolve
from gancli.data.dataset import TrainingSet, open_training_set
from gancli.errors import CheckpointError, ConfigError, UsageError
from gancli.files import free_path
from gancli.models.checkpoint import Checkpoint
from gancli.models.devices import pick_device
from gancli.recipes import find_recipe
from gancli.text import clean
from gancli.training.beginning import Beginning, read_beginning
from gancli.training.board import need_tensorboard
from gancli.training.choosing import choose_engine
from gancli.training.engine import check_precision
from gancli.training.loop import is_finished, train_loop
from gancli.training.plan import Plan, make_plan
from gancli.training.ranks import ALONE, Ranks
from gancli.training.repeat import as_before, read_config
from gancli.training.run import RunFolder, find_equal_run, is_unborn, run_name
from gancli.training.state import State
from gancli.training.ticks import Tick

__all__ = ["Session", "open_session"]

RUNS = Path("runs")
Say = Callable[[str], None]


@dataclass(kw_only=True)
class Session:
    """A run that is ready: its plan can be read, and `ticks` trains it."""

    config: TrainConfig
    engine: Engine
    data: TrainingSet
    run: RunFolder
    checkpoint: Checkpoint | None  # where it goes on from
    plan: Plan
    is_new: bool
    finished: bool
    notes: list[str]
    initial: State | None = None
    ranks: Ranks = ALONE

    def ticks(self, should_stop: Callable[[], bool] = lambda: False) -> Iterator[Tick]:
        """Trains; yields at each tick. A finished run yields nothing. Raises `TrainingError`, `DiskError`."""
        if self.finished:
            return
        if not self.ranks.is_first:
            yield from self._loop(0, should_stop)
            return
        self.run.lock()
        try:
            if self.is_new:
                self.run.create(self.config, self.engine, self.data.card)
            nimg = self.checkpoint.nimg if self.checkpoint else 0
            start = self.run.note_start(self.config, nimg)
            yield from self._loop(start, should_stop)
        finally:
            self.run.unlock()

    def _loop(self, start: int, should_stop: Callable[[], bool]) -> Iterator[Tick]:
        return train_loop(
            self.config, self.engine, self.data, self.run, self.checkpoint, start, should_stop, self.initial, self.ranks
        )


def open_session(
    options: TrainOptions,
    *,
    out: Path | None = None,
    resume: Path | None = None,
    init_from: Path | None = None,
    grow_from: Path | None = None,
    like: Path | None = None,
    given: Collection[str] = (),
    force_data: bool = False,
    say: Say = lambda text: None,
) -> Session:
    """Everything up to the first step. `say` hears what takes a moment.

    `out`: the run folder, continued if it is there; `resume`: a run to continue; without both the newest run in
    ./runs with an equal config is continued. `like`: a run or file whose config fills in what was not given; `given`:
    names of options that were asked for although they equal their default. Raises `GanError`s naming the flag that
    does not fit.
    """
    before = _before(resume, like)
    _check_beginnings(resume, init_from, grow_from)
    beginning = read_beginning(init_from, grow_from)
    if before is not None:
        follows = ("size",) if grow_from is not None else ()
        options = as_before(options, before, given=given, adapts=like is not None, follows=follows)
    if beginning is not None:
        options = beginning.options(options, given)
    _check_early(options)
    say(f"reading {clean(options.data or '')}")
    data = open_training_set(
        options.data or "demo:landscapes", size=options.size, seed=options.seed, stacked=options.stacked
    )
    if beginning is not None:
        beginning.check(data.facts)
        config = beginning.config(resolve(options, data.facts), options)
    else:
        _check_repeat(like, before)
        config = resolve(options, data.facts)
    existing = _existing(resume or out, config)
    if existing is not None:
        return _continued(existing, config, data, force_data, say, beginning)
    run = RunFolder(out or free_path(RUNS / run_name(config)))
    say("measuring this machine")
    engine = choose_engine(config, data, say)
    notes = []
    if like is not None and before is not None and _has_other_pixels(before, config):
        notes.append(f"the data have changed since '{clean(like)}': other pixels, so the run will differ")
    return Session(
        config=config,
        engine=engine,
        data=data,
        run=run,
        checkpoint=None,
        plan=make_plan(config, engine, data, run.path, 0, 0.0),
        is_new=True,
        finished=False,
        notes=notes,
        initial=None if beginning is None else beginning.state(config, engine),
    )


def _before(resume: Path | None, like: Path | None) -> TrainConfig | None:
    """The config of the run that is continued or repeated."""
    if resume is None:
        return None if like is None else read_config(like)
    if like is not None:
        raise UsageError("--resume continues a run, --config begins another like it. Give one of them.")
    if not (resume / "config.json").is_file():
        raise CheckpointError(f"--resume '{clean(resume)}' is not a run. Name a folder that 'gan train' made.")
    return RunFolder(resume).config()


def _check_beginnings(resume: Path | None, init_from: Path | None, grow_from: Path | None) -> None:
    if resume is not None and (init_from is not None or grow_from is not None):
        flag = "--init-from" if grow_from is None else "--grow-from"
        raise UsageError(f"--resume continues a run, {flag} begins one. Give one of them.")


def _check_repeat(like: Path | None, before: TrainConfig | None) -> None:
    """A run that began from weights cannot be repeated without them."""
    if like is not None and before is not None and before.begun_from is not None:
        raise ConfigError(
            f"--config '{clean(like)}' began from the weights of {clean(before.begun_from)}. Give these with "
            f"{_parent_flag(before)}."
        )


def _parent_flag(config: TrainConfig) -> str:
    return "--grow-from or --init-from" if config.grown else "--init-from"


def _check_early(options: TrainOptions) -> None:
    """What can be refused before the data are read."""
    if options.model is not None:
        find_recipe(options.model)
    check_precision(options.precision, pick_device(options.device))
    if options.tensorboard:
        need_tensorboard()


def _existing(folder: Path | None, config: TrainConfig) -> RunFolder | None:
    """The run to go on with: the one in `folder`; where none was named, the newest with an equal config."""
    if folder is None:
        return find_equal_run(config, RUNS)
    if (folder / "config.json").is_file():
        return RunFolder(folder)
    if folder.exists() and not is_unborn(folder):
        raise ConfigError(f"'{clean(folder)}' is there already and is no run. Name another folder with -o.")
    return None


def _continued(
    run: RunFolder, config: TrainConfig, data: TrainingSet, force_data: bool, say: Say, beginning: Beginning | None
) -> Session:
    stored = run.config()
    if config.begun_from is None:
        config = replace(config, grown=stored.grown, begun_from=stored.begun_from)
    if force_data:
        # The new data's own facts take the place of the recorded ones; everything else must still agree.
        known = replace(stored, **{name: getattr(config, name) for name in _DATA_FIELDS})
        differences = known.difference(config, FREE_TO_CHANGE)
        if differences:
            raise ConfigError(f"--force-data changes the data alone, not {clean('; '.join(differences), 300)}.")
    else:
        run.check_continues(config)
    checkpoint, notes = run.newest_good()
    engine = run.engine()
    if config.device != stored.device:
        engine = replace(choose_engine(config, data, say), tick_kimg=engine.tick_kimg)
    if checkpoint is not None and notes:
        notes.append(f"going on from the checkpoint before, at {checkpoint.nimg / 1000:.1f} kimg")
    elif checkpoint is None and notes:
        raise CheckpointError(f"No checkpoint of '{clean(run.path)}' can be read. {' '.join(notes)}")
    initial = None
    if checkpoint is not None:
        checkpoint = replace(checkpoint, config=config)
    elif beginning is not None:
        initial = beginning.state(config, engine)
    elif config.begun_from is not None:
        raise CheckpointError(
            f"The run '{clean(run.path)}' ended before its first checkpoint. Give {_parent_flag(config)} once more: it "
            f"began from the weights of {clean(config.begun_from)}."
        )
    finished = checkpoint is not None and is_finished(config, checkpoint)
    nimg = checkpoint.nimg if checkpoint else 0
    seconds = float(checkpoint.extra.get("seconds", 0.0)) if checkpoint else 0.0
    return Session(
        config=config,
        engine=engine,
        data=data,
        run=run,
        checkpoint=checkpoint,
        plan=make_plan(config, engine, data, run.path, nimg, seconds),
        is_new=False,
        finished=finished,
        notes=notes,
        initial=initial,
    )


def _has_other_pixels(before: TrainConfig, config: TrainConfig) -> bool:
    same = (before.data, before.size, before.seed) == (config.data, config.size, config.seed)
    return same and before.fingerprint != config.fingerprint


_DATA_FIELDS = ("fingerprint", "num_images", "num_held_out", "class_names", "data")
