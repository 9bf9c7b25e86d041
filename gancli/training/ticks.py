"""A tick: the row of the log, the measures of health, the verdict, the pictures, the checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gancli.config import Engine, TrainConfig
from gancli.data.dataset import TrainingSet
from gancli.data.streams import normal
from gancli.files import write_json
from gancli.metrics.best import best_tick
from gancli.metrics.health import HealthMonitor, Measures, nudge
from gancli.metrics.score import score_quantiles
from gancli.metrics.verdict import Verdict, judge
from gancli.training.board import Board
from gancli.training.iteration import Tally
from gancli.training.objectives import discriminator_loss, undecided_logit
from gancli.training.plan import memory_mb
from gancli.training.run import RunFolder
from gancli.training.samples import SampleWriter, fresh_fakes, run_generator
from gancli.training.state import State

__all__ = ["Reporter", "Tick"]


_NUM_HELD_OUT = 64  # pictures that the held-out loss is taken from


@dataclass(frozen=True, kw_only=True)
class Tick:
    """What `train` yields: the row of log.jsonl, the verdict so far, and how long it will still take."""

    row: dict[str, Any]
    verdict: Verdict
    seconds_left: float
    note: str = ""  # what --on-collapse did, in words


class Reporter:
    """Measures, judges and saves. The training loop tells it when."""

    def __init__(self, config: TrainConfig, engine: Engine, data: TrainingSet, run: RunFolder, state: State) -> None:
        self.config, self.engine, self.data, self.run, self.state = config, engine, data, run, state
        self.samples = SampleWriter(config, data, torch.device(engine.device))
        self.rows = run.drop_rows_beyond(state.nimg)
        self._held_out = data.images[data.held_out][:_NUM_HELD_OUT] if len(data.held_out) else None
        self._monitor = self._make_monitor()
        self._monitor.continue_from(self.rows)
        self._board = Board(run.path, self.rows) if config.tensorboard else None

    def first(self, extra: dict[str, Any]) -> None:
        """Before the first step: the first grids, and a checkpoint."""
        self.samples.write(self.state.generator_ema, self.run.path / "samples", self.state.nimg)
        self.save(extra)

    def tick(self, tally: Tally, clock: dict[str, Any], extra: dict[str, Any]) -> Tick:
        """Writes the row, the grids, the checkpoint, best.pt and verdict.json of this position."""
        row = self._row(tally, clock)
        self.rows.append(row)
        self.samples.write(self.state.generator_ema, self.run.path / "samples", self.state.nimg)
        # The row first: one that no checkpoint knows is dropped and done again, one that is missing stays missing.
        self.run.append(row)
        self.save(extra)
        if self._board is not None:
            self._board.add(row)
        verdict = self.judge()
        best = self._position_of(verdict.best_tick)
        self.run.make_best(self.state.nimg if best is None else best)
        write_json(self.run.path / "verdict.json", verdict.as_dict())
        rate = row["images_per_s"] or self.engine.images_per_s
        left = max(0.0, row["target_kimg"] * 1000 - self.state.nimg) / max(rate, 1e-9)
        return Tick(row=row, verdict=verdict, seconds_left=left)

    def save(self, extra: dict[str, Any]) -> None:
        """A checkpoint of this position; the best one so far is spared from the rotation."""
        spare = {self._position_of(best_tick(self.rows))} if self.rows else set()
        if self.config.on_collapse == "rollback":
            spare.add(0)
        extra = extra | {"score_quantiles": self._score_quantiles()}
        content = self.state.content(self.config, self.engine, self.data.card, extra)
        self.run.save(content, self.config.keep, {nimg for nimg in spare if nimg is not None})

    def go_back(self) -> None:
        """After the state went back to an earlier position: so do the log and the measures."""
        self.rows = self.run.drop_rows_beyond(self.state.nimg)
        self._monitor = self._make_monitor()
        self._monitor.continue_from(self.rows)
        if self._board is not None:
            self._board.close()
            self._board = Board(self.run.path, self.rows)

    def _score_quantiles(self) -> list[float]:
        """What the discriminator thinks of training images, kept so that `gan score` needs no data."""
        data, labels = self.data, None
        rows = data.train[:: max(1, len(data.train) // 128)][:128]
        if self.config.num_classes and data.labels is not None:
            labels = data.labels[rows]
        return score_quantiles(self.state.discriminator, data.images[rows], labels)

    def judge(self) -> Verdict:
        """The verdict after the ticks so far."""
        return judge(
            self.rows,
            num_images=self.config.num_images,
            distinct_images=self._monitor.distinct_images,
            held_out=self.config.num_held_out > 0,
            config=self.config,
        )

    def _position_of(self, tick: int | None) -> int | None:
        return next((row["nimg"] for row in self.rows if row["tick"] == tick), None)

    def _row(self, tally: Tally, clock: dict[str, Any]) -> dict[str, Any]:
        state, means = self.state, tally.means()
        learned = {name: means.get(name) for name in _LEARNED}
        return {
            "tick": (self.rows[-1]["tick"] if self.rows else 0) + 1,
            "nimg": state.nimg,
            "kimg": round(state.nimg / 1000, 4),
            "epoch": round(state.nimg / self.config.num_images, 4),
            **clock,
            **learned,
            "loss_d_held_out": self._held_out_loss(),
            "lr_g": float(state.optimizer_g.param_groups[0]["lr"]),
            "lr_d": float(state.optimizer_d.param_groups[0]["lr"]),
            "memory_mb": round(memory_mb(self.engine.device), 1),
            "draw": state.draw,
            **self._measure(),
        }

    # ---- health -------------------------------------------------------------------------------------------------

    def _make_monitor(self) -> HealthMonitor:
        data = self.data
        known: dict[str, Any] = {}
        if self.config.is_points:
            from gancli.data.toys import toy_modes

            name = self.config.data.partition(":")[2]
            if name != "arcs":
                centres, sigma = toy_modes(name)
                known = {"centres": torch.from_numpy(centres / data.scale), "sigma": sigma / data.scale}
        held_out = data.images[data.held_out] if len(data.held_out) else None
        return HealthMonitor(
            data.images[data.train], held_out, seed=self.config.seed, device=self.engine.device, **known
        )

    def _measure(self) -> Measures:
        conditional = self.config.num_classes > 0
        undecided = partial(undecided_logit, self.config.objective)
        return self._monitor.measure(self._sample, None if conditional else self._judge, self._pairs, undecided)

    def _sample(self, num: int, net: str) -> Tensor:
        generator = self.state.generator_ema if net == "ema" else self.state.generator
        return fresh_fakes(generator, self.config, num, f"health-{net}", self.state.nimg)

    @torch.no_grad()
    def _pairs(self, num: int) -> tuple[Tensor, Tensor]:
        shape = (num, self.config.latent_dim)
        z, other = (normal(shape, self.config.seed, f"pairs-{i}", self.state.nimg) for i in (0, 1))
        labels = torch.arange(num) % self.config.num_classes if self.config.num_classes else None
        both = [run_generator(self.state.generator_ema, x.to(self.engine.device), labels) for x in (z, nudge(z, other))]
        return both[0], both[1]

    @torch.no_grad()
    def _judge(self, images: Tensor) -> Tensor:
        """Logits of the discriminator in evaluation mode, in chunks."""
        discriminator = self.state.discriminator
        discriminator.eval()
        try:
            device = self.engine.device
            return torch.cat([discriminator(part.to(device)).float() for part in torch.split(images, 64)])
        finally:
            discriminator.train()

    def _held_out_loss(self) -> float | None:
        if self._held_out is None or self.config.num_classes:
            return None
        reals = self._held_out if self.config.is_points else self._held_out.float() / 127.5 - 1
        fakes = fresh_fakes(self.state.generator, self.config, len(reals), "held-out", self.state.nimg)
        loss = discriminator_loss(self.config.objective, self._judge(reals), self._judge(fakes))
        value = float(loss)
        return value if value == value and abs(value) != float("inf") else None


_LEARNED = ("loss_d", "loss_g", "d_real", "d_fake", "grad_norm_g", "grad_norm_d", "r1", "r2", "gp", "loss_auxiliary")
