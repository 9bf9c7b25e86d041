"""`torchvision:NAME`: a data set that torchvision has put on this disk before. Nothing is downloaded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gancli.errors import DataError, UsageError
from gancli.text import clean

__all__ = ["VISION_SETS", "open_vision_set"]

VISION_SETS: dict[str, dict[str, Any]] = {
    "CIFAR10": {},
    "CIFAR100": {},
    "MNIST": {},
    "FashionMNIST": {},
    "KMNIST": {},
    "SVHN": {"split": "train"},
    "STL10": {"split": "train"},
}
# what torchvision leaves on the disk: where it lies and cannot be read, a set is damaged and not missing
_TRACES = {
    "CIFAR10": "cifar-10-batches-py",
    "CIFAR100": "cifar-100-python",
    "MNIST": "MNIST/raw",
    "FashionMNIST": "FashionMNIST/raw",
    "KMNIST": "KMNIST/raw",
    "SVHN": "train_32x32.mat",
    "STL10": "stl10_binary",
}
_DIGITS = ("MNIST", "KMNIST", "SVHN")  # mirrored, they are others


def open_vision_set(
    rest: str,
) -> tuple[str, npt.NDArray[np.uint8], npt.NDArray[np.int64], tuple[str, ...], bool]:
    """The training images of `NAME` or `NAME@FOLDER`: spec, uint8 [N, C, H, W], labels, class names, may be mirrored.

    Without a folder it is looked for in $GAN_DATA, ./data, ./datasets, here, and the same below the home folder.
    Raises `UsageError` for a name that is not known, `DataError` where it is not on the disk, or is damaged.
    """
    from torchvision import datasets

    asked, _, place = rest.partition("@")
    name = next((known for known in VISION_SETS if known.lower() == asked.lower()), None)
    if name is None:
        raise UsageError(f"'torchvision:{clean(asked, 40)}' is not known; there are {', '.join(VISION_SETS)}.")
    places = [Path(place).expanduser()] if place else _places()
    for root in places:
        try:
            found: Any = getattr(datasets, name)(str(root), download=False, **VISION_SETS[name])
            pixels, labels, classes = _pixels(found.data), _labels(found), _classes(found)
        except ImportError as error:
            raise DataError(f"torchvision's {name} needs {error.name or clean(error, 80)}: pip install it.") from error
        except Exception as error:
            if not (root / _TRACES[name]).exists():
                continue
            raise DataError(
                f"torchvision's {name} in '{clean(root)}' is damaged or not whole "
                f"({clean(error, 120) or type(error).__name__}). Fetch it anew."
            ) from error
        if len(pixels) != len(labels) or (len(labels) and not 0 <= labels.min() <= labels.max() < len(classes)):
            raise DataError(
                f"torchvision's {name} in '{clean(root)}' is damaged: {len(pixels)} images and {len(labels)} labels "
                f"of {len(classes)} classes. Fetch it anew."
            )
        return f"torchvision:{name}@{root.resolve()}", pixels, labels, classes, name not in _DIGITS
    looked = ", ".join(f"'{clean(p)}'" for p in places)
    raise DataError(
        f"torchvision's {name} is not on this disk (looked in {looked}). Nothing is downloaded: fetch it with "
        f"torchvision.datasets.{name}('data', download=True), or name its folder: torchvision:{name}@FOLDER."
    )


def _places() -> list[Path]:
    own = [Path(os.environ["GAN_DATA"])] if os.environ.get("GAN_DATA") else []
    return [*own, *(top / sub for top in (Path(), Path.home()) for sub in ("data", "datasets", "."))]


def _pixels(data: Any) -> npt.NDArray[np.uint8]:
    """Whatever torchvision keeps, as [N, C, H, W]."""
    pixels = np.asarray(data).astype(np.uint8, copy=False)
    if pixels.ndim == 3:
        return np.ascontiguousarray(pixels[:, None])
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2) if pixels.shape[-1] == 3 else pixels)


def _labels(found: Any) -> npt.NDArray[np.int64]:
    return np.asarray(found.targets if hasattr(found, "targets") else found.labels).astype(np.int64)


def _classes(found: Any) -> tuple[str, ...]:
    if getattr(found, "classes", None):
        return tuple(str(c) for c in found.classes)
    return tuple(str(i) for i in range(int(_labels(found).max()) + 1))
