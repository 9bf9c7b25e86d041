"""Features that a figure can be computed on: random networks, the discriminator's own, or Inception's."""

from __future__ import annotations

import pickle
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gancli.errors import DataError, MissingExtraError
from gancli.metrics.features import FeatureSpace, to_float
from gancli.text import clean

__all__ = ["KINDS", "Extractor", "discriminator_extractor", "inception_extractor", "random_extractor"]

KINDS = ("random", "inception", "discriminator")
Extractor = Callable[[Tensor], Tensor]  # uint8 [N, C, H, W] -> float32 [N, d]
_CHUNK = 64
_MAX_WEIGHTS = 1 << 30


def random_extractor(reals: Tensor, *, device: torch.device | str) -> Extractor:
    """Fixed random networks at up to 64 px, standardised by `reals` uint8 [N, C, H, W]."""
    side = 64 if min(reals.shape[-2:]) > 32 else 32
    return FeatureSpace(reals[:: max(1, len(reals) // 2000)], device=device, side=side)


def discriminator_extractor(discriminator: nn.Module, *, device: torch.device | str) -> Extractor:
    """What the discriminator's last layer sees. Comparable within one checkpoint only."""
    last = [m for m in discriminator.modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    seen: list[Tensor] = []

    @torch.no_grad()
    def extract(images: Tensor) -> Tensor:
        hook = last.register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
        parts = []
        try:
            for part in torch.split(images, _CHUNK):
                seen.clear()
                discriminator(to_float(part.to(device)))
                parts.append(seen[-1].flatten(1).float())
        finally:
            hook.remove()
        return torch.cat(parts)

    return extract


def inception_extractor(weights: Path | None, *, device: torch.device | str) -> Extractor:
    """Inception's pool features (2048), as torch-fidelity computes them.

    `weights` is torch-fidelity's file (weights-inception-2015-12-05-6726825d.pth), read by us with
    `weights_only=True`; None lets torch-fidelity download it. Raises `MissingExtraError` without torch-fidelity, and
    `DataError` for a file that is not Inception's or holds more than tensors.
    """
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise MissingExtraError("Inception features (--features inception)", "metrics") from error
    network = _build_inception(FeatureExtractorInceptionV3, weights).to(device)

    @torch.no_grad()
    def extract(images: Tensor) -> Tensor:
        if images.shape[1] != 3:
            images = images[:, :1].expand(-1, 3, -1, -1) if images.shape[1] < 3 else images[:, :3]
        return torch.cat([network(part.to(device))[0].float() for part in torch.split(images, _CHUNK)])

    return extract


def _build_inception(make: Callable[..., Any], weights: Path | None) -> Any:
    if weights is None:
        try:
            return make("inception-v3-compat", ["2048"])
        except OSError as error:
            raise DataError(
                f"Inception's weights cannot be downloaded ({clean(error, 120)}). Fetch "
                "weights-inception-2015-12-05-6726825d.pth from torch-fidelity's releases, then: --inception PATH"
            ) from error
    state = _read_weights(weights)
    with tempfile.TemporaryDirectory(prefix="gan-inception-") as folder:
        # torch-fidelity unpickles the file it is given; it gets one that we wrote, of tensors only.
        safe = Path(folder) / "weights.pth"
        torch.save(state, safe)
        try:
            return make("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(safe))
        except RuntimeError as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else "other layers"
            raise DataError(
                f"'{clean(weights)}' holds tensors, but not those of torch-fidelity's Inception ({clean(first, 120)})."
            ) from error


def _read_weights(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise DataError(f"There is no file at '{clean(path)}' (--inception).")
    if path.stat().st_size > _MAX_WEIGHTS:
        raise DataError(f"'{clean(path)}' is larger than 1 GB; Inception's weights are 91 MB (--inception).")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
        raise DataError(
            f"'{clean(path)}' is refused: it is no weights file, or it would run code when read (--inception)."
        ) from error
    if not isinstance(state, dict) or not all(isinstance(t, Tensor) for t in state.values()):
        raise DataError(f"'{clean(path)}' is no table of tensors, so it is not Inception's weights (--inception).")
    return state
