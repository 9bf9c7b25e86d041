"""Truncation: fewer surprises for more typical pictures, by what suits the recipe.

Most generators meet their latent in a linear layer; there the latent is drawn towards its mean, zero: psi * z. Where
its scale is normalised away again (ProGAN's pixel norm), the first map is drawn towards its mean over many latents
instead; and in a generator with a mapping network the intermediate latent, as in StyleGAN (Karras 2019, appendix B).
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from gancli.errors import UsageError
from gancli.models.layers import ClassLatent, PixelNorm
from gancli.render.seeds import STREAM_MEAN, stream

__all__ = ["describe_truncation", "truncated"]

_NUM_FOR_MEAN = 512


def truncated(module: nn.Module, psi: float, latent_dim: int, num_classes: int = 0) -> nn.Module:
    """`module` itself for `psi` 1, else a copy whose pictures lie nearer to the typical one; 0 is the typical one.

    Raises `UsageError` for a `psi` outside 0 to 2.
    """
    if not 0 <= psi <= 2:
        raise UsageError(f"--truncation {psi:g} is out of range: 0 (all alike) to 1 (nothing changed), at most 2.")
    if psi == 1:
        return module
    drawn = copy.deepcopy(module)
    point = _point(drawn)
    if point is None:
        entry = next((part for part in drawn.modules() if isinstance(part, ClassLatent)), drawn)
        entry.register_forward_pre_hook(_scale_first(psi))
    else:
        mean = _mean_at(drawn, point, latent_dim, num_classes)
        point.register_forward_hook(lambda _module, _args, out: mean + psi * (out - mean))
    return drawn


def describe_truncation(module: nn.Module) -> str:
    """How `truncated` works on this generator, in a few words for the plan."""
    if _point(module) is None:
        return "the latent drawn towards its centre"
    if isinstance(getattr(module, "mapping", None), nn.Module):
        return "the intermediate latent drawn towards its mean"
    return "the first map drawn towards its mean (this recipe normalises the latent's scale away)"


def _point(module: nn.Module) -> nn.Module | None:
    """The part whose output is drawn; None: the latent itself."""
    mapping, start = getattr(module, "mapping", None), getattr(module, "start", None)
    if isinstance(mapping, nn.Module):
        return mapping
    if isinstance(start, nn.Module) and any(isinstance(part, PixelNorm) for part in start.modules()):
        return start
    return None


class _Caught(Exception):
    """Not an error: the way out of a forward pass whose rest is not needed."""

    def __init__(self, out: Tensor) -> None:
        self.out = out


def _mean_at(module: nn.Module, point: nn.Module, latent_dim: int, num_classes: int) -> Tensor:
    """The mean output of `point` over many latents (and classes): [1, …]."""

    def catch(_module: nn.Module, _args: tuple[Any, ...], out: Tensor) -> None:
        raise _Caught(out)

    handle = point.register_forward_hook(catch)
    device = next(module.parameters()).device
    numbers = stream(0, STREAM_MEAN).standard_normal((_NUM_FOR_MEAN, latent_dim)).astype("float32")
    labels = torch.arange(_NUM_FOR_MEAN, device=device) % num_classes if num_classes else None
    soft = [part for part in module.modules() if hasattr(part, "takes_weights")]
    if soft and labels is not None:
        labels = nn.functional.one_hot(labels, num_classes).float()
    try:
        with torch.inference_mode():
            module(torch.from_numpy(numbers).to(device), labels)
    except _Caught as caught:
        return caught.out.mean(0, keepdim=True)
    finally:
        handle.remove()
    raise AssertionError("the generator never came to its own part")


def _scale_first(psi: float) -> Any:
    def scale(_module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        z: Tensor = args[0]
        return (z * psi, *args[1:])

    return scale
