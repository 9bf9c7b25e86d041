"""A trained generator in the hand: pictures of seeds, and walks between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gancli.errors import CheckpointError, UsageError
from gancli.models.export import load_safetensors
from gancli.models.load import LoadedGenerator, load_generator
from gancli.render.grid import looking_scale, make_grid
from gancli.render.sampling import latents, pick_labels, render, render_points
from gancli.render.seeds import STREAM_KEYS, stream
from gancli.render.walks import Easing, Mode
from gancli.text import clean

__all__ = ["Generator", "Images", "load"]

Bytes = npt.NDArray[np.uint8]


class Images(np.ndarray[Any, np.dtype[np.uint8]]):
    """Pictures uint8 [N, H, W, C]; an array like any other that a notebook shows as a grid, and a walk as it moves."""

    is_walk = False

    def __array_finalize__(self, source: Any) -> None:
        self.is_walk = getattr(source, "is_walk", False) and source is not None and source.shape[1:] == self.shape[1:]

    def _repr_html_(self) -> str | None:
        """The moving picture, for a walk; None leaves the notebook to the grid."""
        if self.ndim != 4 or not len(self) or not self.is_walk:
            return None
        import base64

        from gancli.render.animation import Timing, animation_bytes
        from gancli.render.frames import from_arrays

        data = animation_bytes(".webp", from_arrays(np.asarray(self)), Timing(fps=20))
        width = self.shape[2] * looking_scale(self.shape[1], self.shape[2], 256)
        return f'<img alt="a walk" width="{width}" src="data:image/webp;base64,{base64.b64encode(data).decode()}">'

    def _repr_png_(self) -> bytes | None:
        if self.ndim != 4 or not len(self):
            return None
        plain = np.asarray(self[:64])
        return png_bytes(make_grid(plain, scale=looking_scale(plain.shape[1], plain.shape[2])))


def load(path: Path | str, *, net: str = "ema", device: str = "auto") -> Generator:
    """The generator of a run (its best.pt, else last.pt), of a checkpoint file or of an exported .safetensors.

    `net` is 'ema' (the running average of the weights) or 'raw'; `device` auto, cpu, cuda, cuda:1 or mps.
    Raises `CheckpointError` for what cannot be read, `UsageError` for a device that is not there.
    """
    if net not in ("ema", "raw"):
        raise UsageError(f"--net '{clean(net, 40)}': choose ema (the running average) or raw.")
    exported = _exported(Path(path))
    if exported is not None:
        return Generator(load_safetensors(exported, device=device))
    return Generator(load_generator(path, net=net, device=device))


def _exported(path: Path) -> Path | None:
    """The safetensors file that `path` means, itself or in a folder that `gan export` made; else None."""
    inside = path / "model.safetensors" if path.is_dir() else path
    return inside if inside.suffix == ".safetensors" and inside.is_file() else None


class Generator:
    """What `gancli.load` returns. One seed is one picture, for any number of seeds, order and thread count."""

    def __init__(self, loaded: LoadedGenerator) -> None:
        self.loaded = loaded
        self.config = loaded.config

    @property
    def path(self) -> Path:
        """The checkpoint file."""
        return self.loaded.path

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a picture in px; (0, 0) for a toy's points."""
        return self.config.size

    @property
    def channels(self) -> int:
        """1 (grey), 3 (RGB) or 4 (RGBA); 2 for a toy's points."""
        return self.config.channels

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes in label order; empty for a model without classes."""
        return self.loaded.class_names if self.config.num_classes else ()

    def latents(self, seeds: Sequence[int]) -> Tensor:
        """The latents of `seeds`: fp32 [N, latent_dim] on the CPU."""
        return latents(seeds, self.config.latent_dim)

    def sample(self, seeds: Sequence[int] = range(16), *, label: int | None = None, truncation: float = 1.0) -> Images:
        """The pictures of `seeds`: uint8 [N, H, W, C], C as `channels` says.

        `label` is a class, or None to draw each picture's class from its seed. `truncation` below 1 gives more typical
        pictures. Raises `UsageError` for a class that is not there, `CheckpointError` for a toy.
        """
        parts = list(self.stream(seeds, label=label, truncation=truncation))
        width, height = self.size
        shape = (0, height, width, self.channels)
        return (np.concatenate(parts) if parts else np.empty(shape, np.uint8)).view(Images)

    def stream(self, seeds: Sequence[int], *, label: int | None = None, truncation: float = 1.0) -> Iterator[Bytes]:
        """As `sample`, in chunks uint8 [n, H, W, C], so that any number fits into memory."""
        self.need_images("Sampling pictures")
        for start in range(0, len(seeds), 4096):
            part = seeds[start : start + 4096]
            labels = pick_labels(part, self.config.num_classes, label)
            yield from render(self.loaded, self.latents(part), labels, truncation=truncation)

    def points(
        self, seeds: Sequence[int], *, label: int | None = None, truncation: float = 1.0
    ) -> npt.NDArray[np.float32]:
        """A toy's points of `seeds`: fp32 [N, 2] in its own units. Raises `CheckpointError` for an image model."""
        if not self.config.is_points:
            raise CheckpointError(f"'{clean(self.path)}' makes images, not points: use sample().")
        labels = pick_labels(seeds, self.config.num_classes, label)
        return render_points(self.loaded, self.latents(seeds), labels, truncation=truncation)

    def walk(
        self,
        seeds: Sequence[int],
        *,
        frames: int = 60,
        loop: bool = True,
        mode: Mode = "slerp",
        easing: Easing = "linear",
        even: bool = False,
        label: int | None = None,
        truncation: float = 1.0,
    ) -> Images:
        """A walk through the pictures of `seeds`, `frames` per leg: uint8 [F, H, W, C].

        With `loop` the last frame flows into the first (F = k·frames), else F = (k - 1)·frames + 1. `even` spaces the
        frames by how much the picture changes. Raises `UsageError`, and `CheckpointError` for a toy.
        """
        from gancli.render.walk import Walk

        labels = None if label is None else [label]
        walk = Walk(
            self, [list(seeds)], frames, loop=loop, mode=mode, easing=easing, labels=labels, truncation=truncation
        )
        if even:
            walk.make_even()
        shown = np.stack(list(walk.frames())).view(Images)
        shown.is_walk = True
        return shown

    def key_seeds(self, count: int) -> list[int]:
        """`count` seeds of 0 to 99999 derived from the run's own seed: what a walk uses when none are given."""
        chosen = stream(self.config.seed, STREAM_KEYS).choice(100_000, count, replace=False)
        return [int(seed) for seed in chosen]

    def need_images(self, what: str) -> None:
        """Raises `CheckpointError` when this is a toy."""
        if self.config.is_points:
            raise CheckpointError(
                f"'{clean(self.path)}' makes 2-D points (a toy), and {what[0].lower()}{what[1:]} needs an image model. "
                "Points come from: gan sample --format npy"
            )

    def _repr_png_(self) -> bytes | None:
        return None if self.config.is_points else self.sample(range(16))._repr_png_()

    def __repr__(self) -> str:
        width, height = self.size
        kind = "points" if self.config.is_points else f"{width}x{height}"
        return f"<Generator {self.config.recipe} {kind} at {self.loaded.nimg / 1000:g} kimg from '{clean(self.path)}'>"


def png_bytes(image: Bytes) -> bytes:
    """uint8 [H, W, C] as the bytes of a PNG."""
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def joined(chunks: Iterator[Bytes], count: int) -> Iterator[Bytes]:
    """Groups of `count` pictures [count, H, W, C] from chunks of any size; a rest is dropped."""
    held: list[Bytes] = []
    for chunk in chunks:
        for image in chunk:
            held.append(image)
            if len(held) == count:
                yield np.stack(held)
                held = []


def labels_of_keys(generator: Generator, seeds: Sequence[int], labels: Sequence[int] | None) -> Tensor | None:
    """The class of each key seed: the given ones in turn, or drawn from the seeds; None for a model without classes."""
    num_classes = generator.config.num_classes
    if not labels:
        return pick_labels(seeds, num_classes)
    for label in labels:
        pick_labels([0], num_classes, label)
    return torch.tensor([labels[i % len(labels)] for i in range(len(seeds))])
