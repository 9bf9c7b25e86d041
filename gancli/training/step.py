"""One update of the discriminator, one of the generator: gradients in, numbers out. Every engine runs this."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from gancli.config import Engine, TrainConfig
from gancli.data.augment import apply_augmentation
from gancli.data.batches import Batch
from gancli.recipes import find_recipe
from gancli.training.compiling import compiled
from gancli.training.objectives import (
    discriminator_loss,
    drift_penalty,
    generator_loss,
    gradient_penalty,
    squared_gradient_norm,
    undecided_logit,
)

__all__ = ["Numbers", "Step"]

Numbers = dict[str, Tensor]


class Step:
    """The adversarial update for one config; holds no state of its own."""

    def __init__(
        self,
        config: TrainConfig,
        engine: Engine,
        generator: nn.Module,
        discriminator: nn.Module,
        scaler: torch.amp.GradScaler | None = None,
    ) -> None:
        self.config = config
        self.engine = engine
        self.generator = generator
        self.discriminator = discriminator
        self.r1_gamma: float | Tensor = config.r1_gamma or 0.0
        self.r2_gamma: float | Tensor = config.r2_gamma or 0.0
        self.noise_scale: float | Tensor = 0.0  # of the instance noise at this position
        self.micro_batch = engine.micro_batch
        self.is_captured = False  # into a graph, whose random numbers are seeded from outside
        # where the discriminator judges patches, the loss takes each patch's logit
        self._logits = getattr(discriminator, "patch_logits", discriminator)
        self._judge_and_redraw = getattr(discriminator, "judge_and_redraw", None)
        self._margin = find_recipe(config.recipe).hinge_margin
        self.draws = bool(config.dropout) or self._margin < 1 or getattr(generator, "draws_noise", False)
        self._scaler = scaler
        self._loss_d = compiled(self._discriminator_loss) if engine.compile else self._discriminator_loss
        self._loss_g = compiled(self._generator_loss) if engine.compile else self._generator_loss

    def discriminator_gradients(self, batch: Batch, fakes: Tensor | None = None) -> Numbers:
        """Adds the gradients of the discriminator's loss on `batch`; returns detached means to log.

        `fakes` float [N, …] spares making them again; they are taken without their history.
        """
        numbers: Numbers = {}
        for part, share, start in self._parts(batch):
            made = self._fakes(part) if fakes is None else fakes[start : start + len(part)]
            loss, found = self._discriminator_part(part, made.detach())
            self._backward(loss * share)
            for name, value in found.items():
                numbers[name] = numbers.get(name, 0.0) + value.detach() * share
        return numbers

    def generator_gradients(self, batch: Batch, fakes: Tensor | None = None) -> Numbers:
        """Adds the gradients of the generator's loss on `batch`; `fakes` with their history spare making them again."""
        numbers: Numbers = {}
        with _frozen(self.discriminator):
            for part, share, start in self._parts(batch):
                made = self.make(part) if fakes is None else fakes[start : start + len(part)]
                self._seed(part.seed + 1)
                loss = self._loss_g(made, part.at(0) if self.engine.compile else part)
                self._backward(loss * share)
                numbers["loss_g"] = numbers.get("loss_g", 0.0) + loss.detach() * share
        return numbers

    def make(self, batch: Batch) -> Tensor:
        """Fakes for `batch` with their history, float32 [N, C, H, W] in [-1, 1]."""
        self._seed(batch.seed)
        with self.autocast():
            return self.generator(batch.z, batch.labels).float()  # type: ignore[no-any-return]

    @property
    def is_whole(self) -> bool:
        """Does the batch run in one piece?"""
        return not 0 < self.micro_batch < self.config.batch_size

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """The precision of the engine; logits and losses are always float32."""
        if self.engine.precision == "fp32":
            return contextlib.nullcontext()
        kind = torch.bfloat16 if self.engine.precision == "bf16" else torch.float16
        return torch.autocast(torch.device(self.engine.device).type, dtype=kind)

    # ---- one part of a batch ------------------------------------------------------------------------------------

    def _discriminator_part(self, part: Batch, fakes: Tensor) -> tuple[Tensor, Numbers]:
        config, between = self.config, None
        reals = part.reals.detach().requires_grad_(bool(config.r1_gamma))
        fakes = fakes.requires_grad_(bool(config.r2_gamma))
        if config.gp_weight:
            assert part.mix is not None
            between = torch.lerp(part.reals, fakes.detach(), part.mix).requires_grad_(True)
        self._seed(part.seed)
        scale = 1.0 if self._scaler is None else self._scaler.get_scale()
        # a compiled loss is a function of its tensors alone
        return self._loss_d(part.at(0) if self.engine.compile else part, reals, fakes, between, scale)

    def _discriminator_loss(
        self, part: Batch, reals: Tensor, fakes: Tensor, between: Tensor | None, scale: float
    ) -> tuple[Tensor, Numbers]:
        """The whole loss with its penalties; `scale` keeps the inner gradients of fp16 from vanishing."""
        config, redrawing = self.config, None
        # Two passes, not one: networks with batch statistics must not mix reals and fakes.
        if self._judge_and_redraw is None:
            real_logits = self._judge(reals, part, part.noise_real)
        else:
            seen = self._seen(reals, part, part.noise_real)
            with self.autocast():
                real_logits, redrawing = self._judge_and_redraw(seen, part.labels, part.seed)
            real_logits = real_logits.float()
        fake_logits = self._judge(fakes, part, part.noise_fake)
        smoothing = config.label_smoothing or 0.0
        loss = discriminator_loss(config.objective, real_logits, fake_logits, smoothing, self._margin)
        numbers = {"loss_d": loss, **self._scores(real_logits, fake_logits)}
        if config.r1_gamma:
            numbers["r1"] = squared_gradient_norm(real_logits, reals, scale).mean()
            loss = loss + 0.5 * self.r1_gamma * numbers["r1"]
        if config.r2_gamma:
            numbers["r2"] = squared_gradient_norm(fake_logits, fakes, scale).mean()
            loss = loss + 0.5 * self.r2_gamma * numbers["r2"]
        if config.gp_weight and between is not None:
            logits = self._judge(between, part, None)
            numbers["gp"] = gradient_penalty(logits, between, scale).mean()
            loss = loss + config.gp_weight * numbers["gp"]
        if config.drift:
            loss = loss + config.drift * drift_penalty(real_logits)
        if redrawing is not None:
            numbers["loss_auxiliary"] = redrawing.float()
            loss = loss + numbers["loss_auxiliary"]
        return loss, numbers

    def _generator_loss(self, fakes: Tensor, part: Batch) -> Tensor:
        reals = part.reals if self.config.objective == "relativistic" else None
        fake_logits = self._judge(fakes, part, part.noise_fake)
        real_logits = None if reals is None else self._judge(reals, part, part.noise_real)
        return generator_loss(self.config.objective, fake_logits, real_logits)

    def _backward(self, loss: Tensor) -> None:
        loss = loss if self._scaler is None else self._scaler.scale(loss)
        loss.backward()  # type: ignore[no-untyped-call]

    def _judge(self, images: Tensor, part: Batch, noise: Tensor | None) -> Tensor:
        """The logits float32 [N], or [N, P] of P patches, of `images` augmented and noised as the position says."""
        images = self._seen(images, part, noise)
        # the networks alone run in the engine's precision: half of it would move pixels to the wrong places
        with self.autocast():
            logits: Tensor = self._logits(images, part.labels)
        return logits.float()

    def _seen(self, images: Tensor, part: Batch, noise: Tensor | None) -> Tensor:
        """`images` as the discriminator sees them: augmented, with noise."""
        if part.augmentation is not None:
            images = apply_augmentation(images, part.augmentation)
        if noise is not None:
            images = images + self.noise_scale * noise
        return images

    def _fakes(self, part: Batch) -> Tensor:
        with torch.no_grad():
            return self.make(part)

    def _scores(self, real_logits: Tensor, fake_logits: Tensor) -> Numbers:
        scores = {"d_real": real_logits, "d_fake": fake_logits}
        if self.config.objective == "non-saturating":
            scores = {name: logits.sigmoid() for name, logits in scores.items()}
        undecided = undecided_logit(self.config.objective, real_logits, fake_logits)
        return {
            **{name: value.mean() for name, value in scores.items()},
            "sign_real": (real_logits - undecided).sign().mean(),
            "sign_fake": (fake_logits - undecided).sign().mean(),
        }

    def _parts(self, batch: Batch) -> Iterator[tuple[Batch, float, int]]:
        size = self.micro_batch or len(batch)
        for start in range(0, len(batch), size):
            part = batch if size >= len(batch) else batch.part(start, start + size)
            yield part, len(part) / batch.num_whole, start

    def _seed(self, seed: int) -> None:
        """What the networks draw inside (dropout) comes from the position too."""
        if self.draws and not self.is_captured:
            torch.manual_seed(seed)


@contextlib.contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """No gradients for the weights of `module`: in the generator's step they would be computed and thrown away."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)
