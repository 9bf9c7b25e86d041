"""The whole toy step written out by hand: both gradients, both Adams and the running average on flat vectors.

For points the networks are so small that autograd costs more than the arithmetic. Here the gradient with respect to the
input is computed forwards (leaky ReLU is linear between its kinks), so the penalties need no second backward pass. Both
networks are updated at once from one forward pass. Tests hold it to the plain step's gradients.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gancli.config import Engine, TrainConfig
from gancli.data.batches import BatchSource
from gancli.training.compiling import compiled
from gancli.training.iteration import Tally
from gancli.training.schedules import burn_in, cosine, ema_beta, fish_nimg, gamma_factor, lr_factor
from gancli.training.state import State

__all__ = ["FusedToy", "can_fuse", "toy_gradients"]

_SLOPE = 0.2
_BLOCK = 32  # steps whose random numbers are drawn together
_NAMES = ("loss_d", "loss_g", "d_real", "d_fake", "r1", "r2", "grad_norm_d", "grad_norm_g")
_EPS = 1e-8
_HIDDEN = 3


def can_fuse(config: TrainConfig) -> bool:
    """Is the run the toy recipe with nothing that only the plain step knows?"""
    return (
        config.networks == "toy"
        and config.objective == "relativistic"
        and config.betas[0] == 0
        and config.r1_gamma == config.r2_gamma
        and (config.d_steps, config.d_every) == (1, "1")
        and not (config.drift or config.instance_noise)
    )


class FusedToy:
    """Runs steps on `state` in place of `Iteration`; the networks' parameters become views of flat vectors."""

    warm_up = 1

    def __init__(self, config: TrainConfig, engine: Engine, state: State, source: BatchSource) -> None:
        self.config, self.state, self.source = config, state, source
        self._step = _compiled_step() if engine.compile else _step
        self._flat: dict[str, Tensor] = {}
        self._block: tuple[tuple[int, int], Tensor, Tensor] | None = None
        self._sums = torch.zeros(len(_NAMES), device=engine.device)
        self._pending = 0
        self._tally = Tally()
        self._device = engine.device
        self.notes: list[str] = []

    @property
    def micro_batch(self) -> int:
        """Points always run as a whole batch: 0."""
        return 0

    @property
    def tally(self) -> Tally:
        """What the steps so far said; they are only added up in a vector until somebody looks."""
        if self._pending:
            self._tally.add(dict(zip(_NAMES, self._sums.clone(), strict=True)), self._pending)
        self._sums.zero_()
        self._pending = 0
        return self._tally

    @tally.setter
    def tally(self, tally: Tally) -> None:
        self._sums.zero_()
        self._pending = 0
        self._tally = tally

    @torch.no_grad()
    def run(self, progress: float) -> None:
        """One step at `progress` (0..1) of the planned run."""
        config, state = self.config, self.state
        if not self._is_bound():
            self._bind()
        reals, z = self._inputs()
        flat = self._flat
        self._step(
            flat["g"], flat["d"], flat["g2"], flat["d2"], flat["ema"], self._sums, reals, z, self._numbers(progress)
        )
        state.nimg += config.batch_size
        self._pending += 1

    def _numbers(self, progress: float) -> Tensor:
        """What the schedules say: lr of G and D, beta2, its correction, gamma, how much of the average stays."""
        config, state = self.config, self.state
        factor = lr_factor(config.lr_schedule, progress, config.seed, state.nimg, fish_nimg(config.num_images))
        beta2 = config.betas[1]
        if config.beta2_final is not None:
            beta2 = cosine(beta2, config.beta2_final, progress, burn_in(config.gamma_schedule))
        for optimizer, lr in ((state.optimizer_g, config.g_lr), (state.optimizer_d, config.d_lr)):
            optimizer.param_groups[0]["lr"] = lr * factor
            optimizer.param_groups[0]["betas"] = (config.betas[0], beta2)
        steps = state.nimg // config.batch_size + 1
        self._flat["steps"].fill_(steps)
        gamma = (config.r1_gamma or 0.0) * gamma_factor(config.gamma_schedule, progress)
        beta = ema_beta(config.ema_halflife_kimg, state.nimg + config.batch_size, config.batch_size)
        numbers = [config.g_lr * factor, config.d_lr * factor, beta2, 1 - beta2**steps, gamma, beta]
        return torch.tensor(numbers, device=self._device)

    def _inputs(self) -> tuple[Tensor, Tensor]:
        """Reals [N, 2] and latents of this step, cut from those of its block of steps."""
        size = self.config.batch_size
        block, step = divmod(self.state.nimg // size, _BLOCK)
        key = (block, self.state.draw)
        if self._block is None or self._block[0] != key:
            reals, z = self.source.block(block * _BLOCK * size, _BLOCK * size, self.state.draw)
            self._block = (key, reals.reshape(_BLOCK, size, -1), z.reshape(_BLOCK, size, -1))
        return self._block[1][step], self._block[2][step]

    # ---- flat vectors ---------------------------------------------------------------------------------------------

    def _is_bound(self) -> bool:
        """Do networks and optimizers lie in the vectors? Loading a checkpoint gives the optimizers new tensors."""
        if not self._flat:
            return False
        state = self.state.optimizer_d.state[next(self.state.discriminator.parameters())]
        return bool(state) and state["exp_avg_sq"].data_ptr() == self._flat["d2"].data_ptr()

    def _bind(self) -> None:
        state = self.state
        self._flat = {
            "g": _bind_parameters(state.generator),
            "d": _bind_parameters(state.discriminator),
            "ema": _bind_parameters(state.generator_ema),
            "steps": torch.zeros((), device=self._device),
        }
        for name, optimizer, module in (
            ("g", state.optimizer_g, state.generator),
            ("d", state.optimizer_d, state.discriminator),
        ):
            self._flat[f"{name}2"] = self._bind_moments(optimizer, module, self._flat[name])

    def _bind_moments(self, optimizer: torch.optim.Optimizer, module: nn.Module, like: Tensor) -> Tensor:
        """Adam's second moments as one vector; the first ones are the gradient itself at beta1 0, and stay zero."""
        flat, at = torch.zeros_like(like), 0
        for parameter in module.parameters():
            part = flat[at : at + parameter.numel()].view(parameter.shape)
            known = optimizer.state[parameter].get("exp_avg_sq")
            if known is not None:
                part.copy_(known)
            optimizer.state[parameter] = {
                "step": self._flat["steps"],
                "exp_avg": torch.zeros_like(part),
                "exp_avg_sq": part,
            }
            at += parameter.numel()
        return flat


def _bind_parameters(module: nn.Module) -> Tensor:
    """One vector whose pieces are from now on the parameters of `module`."""
    flat = torch.cat([p.detach().flatten() for p in module.parameters()])
    at = 0
    for parameter in module.parameters():
        parameter.data = flat[at : at + parameter.numel()].view(parameter.shape)
        at += parameter.numel()
    return flat


# ---- arithmetic -----------------------------------------------------------------------------------------------------


def toy_gradients(g: Tensor, d: Tensor, reals: Tensor, z: Tensor, gamma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of both losses with respect to the flat weights `g` and `d`, and eight numbers to log.

    `reals` [N, 2], `z` [N, Z]. L_D = E softplus(D(y) - D(x)) + gamma/2 E(|∇D(x)|² + |∇D(y)|²), y = G(z);
    L_G = E softplus(D(x) - D(y)) (Huang et al. 2024, as in its code).
    """
    n, points = reals.shape
    width = _width(len(g), z.shape[1], points)
    wg, wd = _cut(g, z.shape[1], width, points), _cut(d, points, width, 1)
    hg, mg, fakes = _forward(z, wg)
    h, m, logits = _forward(torch.cat([reals, fakes]), wd)
    real_logits, fake_logits = logits[:n, 0], logits[n:, 0]
    difference = fake_logits - real_logits
    slope = torch.sigmoid(difference) / n  # of L_D along a fake's logit, and minus it along a real's
    along = torch.cat([-slope, slope])[:, None]
    # dD/d(hidden layer k), from the last to the input
    u3 = m[2] * wd[6]
    u2 = m[1] * (u3 @ wd[4])
    u1 = m[0] * (u2 @ wd[2])
    at_input = u1 @ wd[0]
    # the penalty's gradient runs through the same chain the other way
    b0 = (gamma / n) * at_input
    b1 = m[0] * (b0 @ wd[0].t())
    b2 = m[1] * (b1 @ wd[2].t())
    b3 = m[2] * (b2 @ wd[4].t())
    grad_d = torch.cat(
        [
            (u1.t() @ (along * h[0] + b0)).flatten(),
            (along * u1).sum(0),
            (u2.t() @ (along * h[1] + b1)).flatten(),
            (along * u2).sum(0),
            (u3.t() @ (along * h[2] + b2)).flatten(),
            (along * u3).sum(0),
            (along * h[3] + b3).sum(0),
            torch.zeros_like(along[0]),  # only differences of logits count; rounding must not become a drift
        ]
    )
    e = -(torch.sigmoid(-difference) / n)[:, None] * at_input[n:]
    e3 = mg[2] * (e @ wg[6])
    e2 = mg[1] * (e3 @ wg[4])
    e1 = mg[0] * (e2 @ wg[2])
    layers = ((e1, z), (e2, hg[1]), (e3, hg[2]), (e, hg[3]))
    grad_g = torch.cat([part for out, into in layers for part in ((out.t() @ into).flatten(), out.sum(0))])
    squared = at_input.square().sum(1)
    numbers = torch.stack(
        [
            F.softplus(difference).mean(),
            F.softplus(-difference).mean(),
            real_logits.mean(),
            fake_logits.mean(),
            squared[:n].mean(),
            squared[n:].mean(),
            grad_d.square().sum().sqrt(),
            grad_g.square().sum().sqrt(),
        ]
    )
    return grad_g, grad_d, numbers


def _step(
    g: Tensor, d: Tensor, g2: Tensor, d2: Tensor, ema: Tensor, sums: Tensor, reals: Tensor, z: Tensor, now: Tensor
) -> None:
    """One simultaneous update of all vectors in place; `now` holds what the schedules say."""
    grad_g, grad_d, numbers = toy_gradients(g, d, reals, z, now[4])
    sums.add_(numbers)
    for weights, second, gradient, lr in ((g, g2, grad_g, now[0]), (d, d2, grad_d, now[1])):
        second.copy_(now[2] * second + (1 - now[2]) * gradient * gradient)
        weights.sub_(lr * gradient / ((second / now[3]).sqrt() + _EPS))
    ema.copy_(now[5] * ema + (1 - now[5]) * g)


@functools.lru_cache(maxsize=1)
def _compiled_step() -> Callable[..., None]:
    return compiled(_step)


def _forward(x: Tensor, weights: list[Tensor]) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Activations (the input first), slopes of the leaky ReLUs, output."""
    activations, slopes = [x], []
    for layer in range(_HIDDEN):
        before = torch.addmm(weights[2 * layer + 1], activations[-1], weights[2 * layer].t())
        slopes.append(torch.where(before > 0, 1.0, _SLOPE))
        activations.append(before * slopes[-1])
    return activations, slopes, torch.addmm(weights[-1], activations[-1], weights[-2].t())


def _cut(flat: Tensor, inputs: int, width: int, outputs: int) -> list[Tensor]:
    """Weight and bias of each layer, in the order of the module's parameters."""
    shapes = [(width, inputs), (width,)] + [(width, width), (width,)] * (_HIDDEN - 1) + [(outputs, width), (outputs,)]
    sizes = [math.prod(shape) for shape in shapes]
    return [part.view(shape) for part, shape in zip(torch.split(flat, sizes), shapes, strict=True)]


def _width(count: int, inputs: int, outputs: int) -> int:
    """The width that gives `count` parameters: 2 w² + (inputs + 3 + outputs) w + outputs."""
    b = inputs + 3 + outputs
    return (math.isqrt(b * b + 8 * (count - outputs)) - b) // 4
