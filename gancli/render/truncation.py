"""Truncation: fewer surprises for more typical pictures, by what suits the recipe.

A perceptron, DCGAN or ProGAN generator meets its latent in a linear layer; there the latent, after the recipe's own
normalisation, is drawn towards its mean, zero: psi * z. (Scaling before a normalisation would do nothing.) A generator
with a mapping network has its intermediate latent drawn towards the mean w, as in StyleGAN (Karras 2019, appendix B).
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from gancli.errors import UsageError
from gancli.models.layers import ClassLatent

__all__ = ["describe_truncation", "truncated"]

_NUM_FOR_MEAN = 4096


def truncated(module: nn.Module, psi: float, latent_dim: int) -> nn.Module:
    """`module` itself for `psi` 1, else a copy whose pictures lie nearer to the typical one; 0 is the typical one.

    Raises `UsageError` for a `psi` outside 0 to 2.
    """
    if not 0 <= psi <= 2:
        raise UsageError(f"--truncation {psi:g} is out of range: 0 (all alike) to 1 (nothing changed), at most 2.")
    if psi == 1:
        return module
    drawn = copy.deepcopy(module)
    mapping, entry = _mapping(drawn), _entry(drawn)
    if mapping is not None:
        with torch.inference_mode():
            z = torch.randn(_NUM_FOR_MEAN, latent_dim, generator=torch.Generator().manual_seed(0))
            device = next(drawn.parameters()).device
            try:
                mean = mapping(z.to(device)).mean(0, keepdim=True)
            except (TypeError, AssertionError):  # a conditional mapping has no one mean: the latent is drawn instead
                mapping = None
    if mapping is not None:
        mapping.register_forward_hook(lambda _module, _args, out: mean + psi * (out - mean))
    else:
        (entry or drawn).register_forward_pre_hook(_scale_first(psi))
    return drawn


def describe_truncation(module: nn.Module) -> str:
    """How `truncated` works on this generator, in a few words for the plan."""
    if _mapping(module) is not None:
        return "the intermediate latent drawn towards its mean"
    return "the latent drawn towards the centre, where it enters the first layer"


def _mapping(module: nn.Module) -> nn.Module | None:
    mapping = getattr(module, "mapping", None)
    return mapping if isinstance(mapping, nn.Module) else None


def _entry(module: nn.Module) -> nn.Module | None:
    return next((part for part in module.modules() if isinstance(part, ClassLatent)), None)


def _scale_first(psi: float) -> Any:
    def scale(_module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        z: Tensor = args[0]
        return (z * psi, *args[1:])

    return scale
