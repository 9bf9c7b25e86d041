"""One iteration: the discriminator's updates, the generator's update, the running average, the position moved on."""

from __future__ import annotations

import re
from collections.abc import Callable

import torch
from torch import Tensor

from gancli.config import Engine, TrainConfig
from gancli.data.batches import Batch, BatchSource
from gancli.errors import TrainingError
from gancli.models.growing import set_fade
from gancli.recipes import find_recipe
from gancli.training.adaptation import Adaptation
from gancli.training.growth import fade
from gancli.training.memory import has_batch_statistics, is_out_of_memory
from gancli.training.ranks import ALONE, Ranks
from gancli.training.schedules import burn_in, cosine, ema_beta, gamma_factor, lr_factor
from gancli.training.state import State
from gancli.training.step import Step

__all__ = ["Iteration", "Tally"]

_NORM_EVERY = 16


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


class Iteration:
    """Runs iterations on `state`. All that changes over the run is set from the position before each update."""

    def __init__(
        self, config: TrainConfig, engine: Engine, state: State, source: BatchSource, ranks: Ranks = ALONE
    ) -> None:
        self.config = config
        self.state = state
        self.ranks = ranks
        self.notes: list[str] = []  # what happened that a person should know
        self.source = source
        self.step = Step(config, engine, state.generator, state.discriminator)
        self.tally = Tally()
        self._measures_norms = False
        self._adaptation = Adaptation(config, state.augment)
        every = re.fullmatch(r"(\d+)(e?)", config.d_every)
        assert every is not None
        self._every, self._every_epochs = int(every[1]), bool(every[2])
        # One batch of latents serves both updates, as in Radford's code, where no second set of reals is needed.
        self._reuses = config.objective != "relativistic"

    def run(self, progress: float) -> None:
        """One iteration at `progress` (0..1) of the planned run."""
        config, state, begin = self.config, self.state, self.state.nimg
        self._schedule(progress)
        self._measures_norms = (begin // (config.batch_size * config.d_steps)) % _NORM_EVERY == 0
        p = self._adaptation.chance(progress, state.augment)
        fakes = None
        for turn in range(config.d_steps):
            batch = self.source.discriminator_batch(state.nimg, state.draw, p)
            if self._reuses and turn == config.d_steps - 1:
                fakes = self._made(batch)
            if self._is_d_turn(state.nimg):
                numbers, fakes = self._gradients(state.optimizer_d, self.step.discriminator_gradients, batch, fakes)
                self.ranks.sum_gradients(state.discriminator)
                self.tally.add(numbers)
                if config.augment == "ada":
                    sign = self.ranks.sum(numbers["sign_real"].detach().clone())
                    self._adaptation.observe(sign, batch.num_whole, state.augment)
                self._measure_norm("grad_norm_d", state.discriminator)
                state.optimizer_d.step()
            state.nimg += batch.num_whole
        if not self._reuses:
            batch = self.source.generator_batch(begin, state.draw, p)
        numbers, fakes = self._gradients(state.optimizer_g, self.step.generator_gradients, batch, fakes)
        self.ranks.sum_gradients(state.generator)
        self.tally.add(numbers)
        self._measure_norm("grad_norm_g", state.generator)
        state.optimizer_g.step()
        state.average(ema_beta(config.ema_halflife_kimg, state.nimg, state.nimg - begin))

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
        compute: Callable[[Batch, Tensor | None], dict[str, Tensor]],
        batch: Batch,
        fakes: Tensor | None,
    ) -> tuple[dict[str, Tensor], Tensor | None]:
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
        config, state = self.config, self.state
        factor = lr_factor(config.lr_schedule, self._lr_progress(progress), config.seed, state.nimg)
        beta2 = config.betas[1]
        if config.beta2_final is not None:
            beta2 = cosine(beta2, config.beta2_final, progress, burn_in(config.gamma_schedule))
        for optimizer, lr in ((state.optimizer_g, config.g_lr), (state.optimizer_d, config.d_lr)):
            for group in optimizer.param_groups:
                group["lr"] = lr * factor
                group["betas"] = (config.betas[0], beta2)
        if config.grown:
            set_fade(fade(progress), state.generator, state.generator_ema, state.discriminator)
        gamma = gamma_factor(config.gamma_schedule, progress)
        self.step.r1_gamma = (config.r1_gamma or 0.0) * gamma
        self.step.r2_gamma = (config.r2_gamma or 0.0) * gamma
        self.step.noise_scale = (config.instance_noise or 0.0) * (1.0 - min(progress, 1.0))

    def _lr_progress(self, progress: float) -> float:
        """The fish stages belong to a whole length: shorter runs keep the first rates, longer ones stretch them."""
        if self.config.lr_schedule != "fish":
            return progress
        return min(progress, self.state.nimg / (find_recipe(self.config.recipe).kimg * 1000))

    def _is_d_turn(self, nimg: int) -> bool:
        """Every k-th batch, or every k-th epoch; the first always."""
        unit = self.config.num_images if self._every_epochs else self.config.batch_size
        return (nimg // unit) % self._every == 0

    def _measure_norm(self, name: str, module: torch.nn.Module) -> None:
        if self._measures_norms:
            gradients = [p.grad for p in module.parameters() if p.grad is not None]
            self.tally.add({name: torch.stack(torch._foreach_norm(gradients)).norm()})
