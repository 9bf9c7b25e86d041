"""From seeds to pictures: one seed is one latent is one image, however many are made at once.

A chunk has one fixed size, its tail padded and thrown away, and is computed by one thread in fp32, because matrix
products round differently for other shapes and thread counts. More cores compute more chunks side by side.
"""

from __future__ import annotations

import contextlib
import copy
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from gancli.errors import UsageError
from gancli.render.seeds import STREAM_LABEL, STREAM_LATENT, stream

if TYPE_CHECKING:
    from gancli.models.load import LoadedGenerator

__all__ = ["chunk_size", "latent", "latents", "pick_labels", "render", "render_points", "run_chunks", "to_uint8"]

_T = TypeVar("_T")


def latent(seed: int, latent_dim: int) -> Tensor:
    """The latent of `seed`: fp32 [latent_dim], standard normal, the same on every platform and in every version."""
    return torch.from_numpy(stream(seed, STREAM_LATENT).standard_normal(latent_dim).astype(np.float32))


def latents(seeds: Sequence[int], latent_dim: int) -> Tensor:
    """The latents of `seeds`: fp32 [N, latent_dim]."""
    if not len(seeds):
        return torch.empty(0, latent_dim)
    return torch.stack([latent(seed, latent_dim) for seed in seeds])


def pick_labels(seeds: Sequence[int], num_classes: int, label: int | None = None) -> Tensor | None:
    """The classes of `seeds`: int64 [N], all `label`, or drawn from each seed; None for a model without classes.

    Raises `UsageError` when `label` is not a class of the model.
    """
    if num_classes == 0:
        if label is not None:
            raise UsageError("This model knows no classes: leave --class out, or train with --conditional.")
        return None
    if label is not None and not 0 <= label < num_classes:
        raise UsageError(f"--class {label} is out of range: this model has the classes 0 to {num_classes - 1}.")
    drawn = [label if label is not None else int(stream(s, STREAM_LABEL).randint(num_classes)) for s in seeds]
    return torch.tensor(drawn, dtype=torch.int64)


def to_uint8(images: Tensor) -> npt.NDArray[np.uint8]:
    """Images [N, C, H, W] in [-1, 1] as uint8 [N, H, W, C]: -1 is 0, 1 is 255, rounded to the nearest."""
    scaled = images.detach().float().add(1).mul(127.5).round_().clamp_(0, 255)
    pixels: npt.NDArray[np.uint8] = scaled.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pixels


def render(
    loaded: LoadedGenerator, z: Tensor, labels: Tensor | None = None, *, truncation: float = 1.0
) -> Iterator[npt.NDArray[np.uint8]]:
    """The images of latents `z` [N, latent_dim] in chunks, in order: uint8 [n, H, W, C].

    `labels` are classes int64 [N], or weights of the classes fp32 [N, K] to blend them. `truncation`: see
    `gancli.render.truncation`. Equal latents give equal bytes on one device, whatever N, order and thread count.
    """
    return _forward(loaded, z, labels, truncation, to_uint8)


def render_points(
    loaded: LoadedGenerator, z: Tensor, labels: Tensor | None = None, *, truncation: float = 1.0
) -> npt.NDArray[np.float32]:
    """The points of latents `z` [N, latent_dim] of a toy: fp32 [N, 2] in the toy's own units."""
    scale = float(loaded.data_card.get("scale", 1.0))
    parts = [points * scale for points in _forward(loaded, z, labels, truncation, _to_numbers)]
    joined: npt.NDArray[np.float32] = (
        np.concatenate(parts).astype(np.float32) if parts else np.empty((0, 2), np.float32)
    )
    return joined


def chunk_size(width: int, height: int, device: torch.device) -> int:
    """Images computed at once: a power of two that depends on the picture's size and the kind of device alone."""
    budget = (8 if device.type == "cpu" else 64) * 64 * 64
    ceiling = 32 if device.type == "cpu" else 256
    size = 1
    while size < ceiling and size * 2 * max(1, width) * max(1, height) <= budget:
        size *= 2
    return size


def _to_numbers(values: Tensor) -> npt.NDArray[np.float32]:
    numbers: npt.NDArray[np.float32] = values.float().cpu().numpy()
    return numbers


def _forward(
    loaded: LoadedGenerator, z: Tensor, labels: Tensor | None, truncation: float, finish: Callable[[Tensor], _T]
) -> Iterator[_T]:
    """The generator's output for `z` in chunks, each finished where it was computed."""
    from gancli.render.truncation import truncated

    module = loaded.module
    if labels is not None and labels.is_floating_point():
        module = _with_soft_classes(module)
    module = truncated(module, truncation, loaded.config.latent_dim, loaded.config.num_classes)
    size = chunk_size(*loaded.config.size, loaded.device)

    def compute(start: int) -> _T:
        part = _padded(z[start : start + size].float(), size).to(loaded.device)
        classes = None if labels is None else _padded(labels[start : start + size], size).to(loaded.device)
        images: Tensor = module(part, classes)
        return finish(images[: min(size, len(z) - start)])

    yield from run_chunks(compute, range(0, len(z), size), loaded.device)


def run_chunks(compute: Callable[[int], _T], starts: Sequence[int], device: torch.device) -> Iterator[_T]:
    """`compute` of each start, in order, without gradients and in true fp32.

    On the CPU each chunk is computed by one thread, as many side by side as torch has threads; at most one chunk more
    than that is held.
    """
    if device.type != "cpu":
        for start in starts:
            with torch.inference_mode(), _true_fp32():
                result = compute(start)
            yield result
        return
    workers = max(1, min(torch.get_num_threads(), len(starts)))
    pending: deque[Future[_T]] = deque()
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            for start in starts:
                pending.append(pool.submit(_compute_alone, compute, start))
                if len(pending) > workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _compute_alone(compute: Callable[[int], _T], start: int) -> _T:
    with torch.inference_mode():
        return compute(start)


@contextlib.contextmanager
def _true_fp32() -> Iterator[None]:
    """No TF32 and no autotuning, which may pick another algorithm in another process."""
    before = torch.backends.cuda.matmul.allow_tf32
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        torch.backends.cuda.matmul.allow_tf32 = False
        try:
            yield
        finally:
            torch.backends.cuda.matmul.allow_tf32 = before


def _padded(rows: Tensor, size: int) -> Tensor:
    if len(rows) == size:
        return rows
    return torch.cat([rows, rows.new_zeros(size - len(rows), *rows.shape[1:])])


class _SoftEmbedding(nn.Module):
    """An embedding that takes weights of classes [N, K] instead of indices."""

    takes_weights = True

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)

    def forward(self, weights: Tensor) -> Tensor:
        return weights @ self.weight


def _with_soft_classes(module: nn.Module) -> nn.Module:
    soft = copy.deepcopy(module)
    for parent in list(soft.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Embedding):
                setattr(parent, name, _SoftEmbedding(child.weight.detach()))
    return soft.requires_grad_(False).eval()
