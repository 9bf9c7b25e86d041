"""One iteration: the discriminator's updates, the generator's update, the running average, the position moved on."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gancli.config import Engine, TrainConfig
from gancli.data.batches import Batch, BatchSource
from gancli.data.prefetch import Prefetcher
from gancli.errors import TrainingError
from gancli.models.growing import set_fade
from gancli.training.adaptation import Adaptation
from gancli.training.memory import has_batch_statistics, is_out_of_memory
from gancli.training.ranks import ALONE, Ranks
from gancli.training.schedules import (
    burn_in,
    cosine,
    ema_beta,
    fade,
    fish_nimg,
    gamma_factor,
    halflife_factor,
    lr_factor,
)
from gancli.training.state import State
from gancli.training.step import Numbers, Step

__all__ = ["Inputs", "Iteration", "Tally"]

_NORM_EVERY = 16
_LEAST_SCALE = 1e-3  # of fp16: what still overflows below it is no number at all


class Tally:
    """Sums of what the steps return, kept on the device; read only when somebody asks."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, numbers: dict[str, Tensor], count: int = 1) -> None:
        """Adds one observation of each number, or the sums of `count`."""
        for name, value in numbers.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] = self._counts.get(name, 0) + count

    def means(self) -> dict[str, float]:
        """The mean of each number since the start; waits for the device."""
        return {name: float(total) / self._counts[name] for name, total in self._sums.items()}

    def gather(self, ranks: Ranks) -> Tally:
        """The tally of the global batches: each process has added its share of every number."""
        if ranks.world == 1 or not self._sums:
            return self
        whole = Tally()
        names = sorted(self._sums)
        sums = ranks.sum(torch.stack([self._sums[name].detach().float().cpu() for name in names]))
        whole._sums = dict(zip(names, sums, strict=True))
        whole._counts = dict(self._counts)
        return whole

    def is_finite(self) -> bool:
        """Was every number so far finite? Waits for the device."""
        return all(bool(torch.isfinite(total)) for total in self._sums.values())


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What one iteration computes on: a batch for each turn of the discriminator, and the generator's.

    `learns`: on which of `batches` the discriminator learns; `own`: the generator's, None where it takes the last of
    `batches`; `measures_norms`: are gradient norms wanted?
    """

    batches: tuple[Batch, ...]
    learns: tuple[bool, ...]
    own: Batch | None
    measures_norms: bool


class Iteration:
    """Runs iterations on `state`. All that changes over the run is set from the position before each update."""

    warm_up = 1  # iterations before their rate means anything

    def __init__(
        self,
        config: TrainConfig,
        engine: Engine,
        state: State,
        source: BatchSource | Prefetcher,
        ranks: Ranks = ALONE,
    ) -> None:
        self.config = config
        self.engine = engine
        self.state = state
        self.ranks = ranks
        self.notes: list[str] = []  # what happened that a person should know
        self.source = source
        self.step = Step(config, engine, state.generator, state.discriminator, state.scaler)
        self.tally = Tally()
        self._ema_beta: float | Tensor = 0.0
        self._held: dict[str, Tensor] = {}
        self._adaptation = Adaptation(config, state.augment)
        every = re.fullmatch(r"(\d+)(e?)", config.d_every)
        assert every is not None
        self._every, self._every_epochs = int(every[1]), bool(every[2])
        # One batch of latents serves both updates, as in Radford's code, where no second set of reals is needed.
        self._reuses = config.objective != "relativistic"

    def run(self, progress: float) -> None:
        """One iteration at `progress` (0..1) of the planned run."""
        config, state = self.config, self.state
        self._schedule(progress)
        inputs = self._draw(self._adaptation.chance(progress, state.augment))
        for numbers in self._update(inputs):
            self.tally.add(numbers)
            if config.augment == "ada" and "sign_real" in numbers:
                sign = self.ranks.sum(numbers["sign_real"].detach().clone())
                self._adaptation.observe(sign, config.batch_size, state.augment)
        state.nimg += config.batch_size * config.d_steps

    def _draw(self, p: float | None) -> Inputs:
        """All that is random in this iteration; `p`: how often adaptive augmentation strikes."""
        config, begin, draw = self.config, self.state.nimg, self.state.draw
        places = range(begin, begin + config.batch_size * config.d_steps, config.batch_size)
        return Inputs(
            batches=tuple(self.source.discriminator_batch(nimg, draw, p) for nimg in places),
            learns=tuple(self._is_d_turn(nimg) for nimg in places),
            own=None if self._reuses else self.source.generator_batch(begin, draw, p),
            measures_norms=(begin // (config.batch_size * config.d_steps)) % _NORM_EVERY == 0,
        )

    def _update(self, inputs: Inputs) -> list[Numbers]:
        """The discriminator's updates, the generator's, the running average; one table of numbers for each update."""
        state, step, found, fakes = self.state, self.step, [], None
        for turn, batch in enumerate(inputs.batches):
            if self._reuses and turn == len(inputs.batches) - 1:
                fakes = self._made(batch)
            if inputs.learns[turn]:
                numbers, fakes = self._gradients(state.optimizer_d, step.discriminator_gradients, batch, fakes)
                norm = "grad_norm_d" if inputs.measures_norms else None
                found.append(self._advance(state.optimizer_d, state.discriminator, numbers, norm))
        batch = inputs.batches[-1] if inputs.own is None else inputs.own
        numbers, fakes = self._gradients(state.optimizer_g, step.generator_gradients, batch, fakes)
        norm = "grad_norm_g" if inputs.measures_norms else None
        found.append(self._advance(state.optimizer_g, state.generator, numbers, norm))
        state.average(self._ema_beta)
        return found

    def _advance(
        self, optimizer: torch.optim.Optimizer, module: nn.Module, numbers: Numbers, norm: str | None
    ) -> Numbers:
        """One step along the gradients; returns `numbers` with their `norm`, and nothing where fp16 overflowed."""
        scaler = self.state.scaler
        self.ranks.sum_gradients(module)
        if scaler is not None:
            scaler.unscale_(optimizer)
        if norm is not None:
            gradients = [p.grad for p in module.parameters() if p.grad is not None]
            numbers[norm] = torch.stack(torch._foreach_norm(gradients)).norm()
        if scaler is None:
            optimizer.step()
            return numbers
        before = scaler.get_scale()
        scaler.step(optimizer)
        scaler.update()
        # a step that overflowed is not taken and the scale halved, which is how it finds its height at the beginning
        is_taken = scaler.get_scale() >= before or before < _LEAST_SCALE
        return numbers if is_taken else {}

    @property
    def micro_batch(self) -> int:
        """Images at a time; 0: the whole batch."""
        return self.step.micro_batch

    # ---- memory -------------------------------------------------------------------------------------------------

    def _made(self, batch: Batch) -> Tensor | None:
        """Fakes with their history for both updates; None where the batch runs in pieces, which make their own."""
        if not self.step.is_whole:
            return None
        try:
            return self.step.make(batch)
        except (RuntimeError, MemoryError) as error:
            self._take_less(error)
        return None

    def _gradients(
        self,
        optimizer: torch.optim.Optimizer,
        compute: Callable[[Batch, Tensor | None], Numbers],
        batch: Batch,
        fakes: Tensor | None,
    ) -> tuple[Numbers, Tensor | None]:
        """The gradients of one update; where the memory does not hold them, in pieces half as large."""
        while True:
            optimizer.zero_grad(set_to_none=True)
            try:
                return compute(batch, fakes), fakes
            except (RuntimeError, MemoryError) as error:
                self._take_less(error)
            fakes = None  # outside of the except clause, which would keep the failed graph alive
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _take_less(self, error: BaseException) -> None:
        """Halves the micro-batch after an out-of-memory; raises where that would change what is computed."""
        if not is_out_of_memory(error):
            raise error
        size = self.step.micro_batch or len(range(self.config.batch_size)[:: self.ranks.world])
        advice = f"Give a smaller --batch (e.g. {max(2, self.config.batch_size // 2)}), --size or --width."
        if has_batch_statistics(self.state.generator, self.state.discriminator):
            raise TrainingError(
                f"A batch of {self.config.batch_size} does not fit into the memory, and the networks of "
                f"'{self.config.recipe}' look at the whole batch, so it cannot run in pieces. {advice}"
            ) from error
        if size <= 1:
            raise TrainingError(f"Not even a single image fits into the memory. {advice}") from error
        self.step.micro_batch = (size + 1) // 2
        self.notes.append(f"out of memory: going on with micro-batches of {self.step.micro_batch}, the same arithmetic")

    # ---- schedules and numbers ------------------------------------------------------------------------------------

    def _schedule(self, progress: float) -> None:
        config, state, held = self.config, self.state, self._hold
        factor = lr_factor(config.lr_schedule, progress, config.seed, state.nimg, fish_nimg(config.num_images))
        beta2 = config.betas[1]
        if config.beta2_final is not None:
            beta2 = cosine(beta2, config.beta2_final, progress, burn_in(config.gamma_schedule))
        for name, optimizer, lr in (("g", state.optimizer_g, config.g_lr), ("d", state.optimizer_d, config.d_lr)):
            for group in optimizer.param_groups:
                group["lr"] = held(f"lr_{name}", lr * factor) if self.engine.cuda_graph else lr * factor
                group["betas"] = (config.betas[0], beta2)
        if config.grown:  # its alphas are in the weights' state, so that one that has ended may go on or be fine-tuned
            set_fade(fade(progress), state.generator, state.generator_ema, state.discriminator)
        gamma = gamma_factor(config.gamma_schedule, progress)
        self.step.r1_gamma = held("r1", (config.r1_gamma or 0.0) * gamma)
        self.step.r2_gamma = held("r2", (config.r2_gamma or 0.0) * gamma)
        self.step.noise_scale = held("noise", (config.instance_noise or 0.0) * (1.0 - min(progress, 1.0)))
        num = config.batch_size * config.d_steps
        halflife = config.ema_halflife_kimg * halflife_factor(config.gamma_schedule, progress)
        self._ema_beta = held("ema", ema_beta(halflife, state.nimg + num, num))

    def _hold(self, name: str, value: float) -> float | Tensor:
        """`value` as the step takes it: where its kernels are fixed once, in a tensor that stays where it is."""
        if not (self.engine.compile or self.engine.cuda_graph):
            return value
        if name not in self._held:
            self._held[name] = torch.zeros((), device=self.engine.device)
        return self._held[name].fill_(value)

    def _is_d_turn(self, nimg: int) -> bool:
        """Every k-th batch, or every k-th epoch; the first always."""
        unit = self.config.num_images if self._every_epochs else self.config.batch_size
        return (nimg // unit) % self._every == 0
