"""Stacked digits: three grey images as the red, green and blue of one, so that ten classes make a thousand modes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gancli.errors import DataError
from gancli.text import clean

__all__ = ["NUM_STACKED", "stack_digits"]

Pixels = npt.NDArray[np.uint8]
NUM_STACKED = 128_000  # as in VEEGAN's and PacGAN's protocol


def stack_digits(images: Pixels, seed: int, spec: str, num: int = NUM_STACKED) -> Pixels:
    """`num` random triples of grey `images` uint8 [N, 1, H, W] as uint8 [num, 3, H, W], fixed by `seed`.

    Which of the thousand classes a triple is stays untold: the protocol is without labels. Raises `DataError` unless
    the images are grey.
    """
    if images.shape[1] != 1:
        raise DataError(
            f"--stacked lays three grey images over each other, and '{clean(spec)}' has {images.shape[1]} channels. "
            "It is for idx:FOLDER with MNIST's digits."
        )
    chosen = np.random.default_rng([seed, 0x57AC]).integers(0, len(images), (num, 3))
    stacked = np.empty((num, 3, *images.shape[2:]), np.uint8)
    for channel in range(3):
        stacked[:, channel] = images[chosen[:, channel], 0]
    return stacked
