"""A painter of mountain landscapes from numpy alone: seeded, unlimited, free of any licence.

Six kinds differ in palette, ridge and sky, so that words pick kinds and the coverage of a generator can be measured
against truth.
"""

from __future__ import annotations

import functools
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gancli.errors import UsageError
from gancli.painting.canvas import Canvas
from gancli.painting.scenes import SCENES

__all__ = ["KINDS", "kinds_for", "landscapes", "nearest_kind", "paint"]

KINDS: tuple[str, ...] = ("desert", "green", "high", "rocky", "highland", "snowy")
"""The kinds in the order of their labels."""

_FINE_PX = 160  # from this side on, edges are smooth enough without painting twice as large


def paint(kind: str, seed: int, width: int = 256, height: int = 256) -> NDArray[np.uint8]:
    """One landscape of `kind` as uint8 [height, width, 3].

    The same kind and seed show the same scene at every size. Raises UsageError for an unknown kind, a negative seed or
    a size below one pixel.
    """
    if kind not in KINDS:
        raise UsageError(f"Unknown kind of landscape '{kind}'. Choose one of: {', '.join(KINDS)}.")
    if seed < 0 or width < 1 or height < 1:
        raise UsageError(f"Cannot paint seed {seed} at {width}x{height}: the seed starts at 0 and a side at 1 pixel.")
    return _paint(np.random.SeedSequence([KINDS.index(kind), seed]), kind, width, height)


def _paint(entropy: np.random.SeedSequence, kind: str, width: int, height: int) -> NDArray[np.uint8]:
    rng = np.random.Generator(np.random.PCG64(entropy))
    fold = 2 if min(width, height) < _FINE_PX else 1
    canvas = Canvas(rng, width * fold, height * fold)
    SCENES[kind](canvas)
    fine = canvas.rgb.reshape(height, fold, width, fold, 3)
    image: NDArray[np.uint8] = (np.clip(fine.mean(axis=(1, 3)), 0, 1) * 255 + 0.5).astype(np.uint8)
    return image


def landscapes(num: int, size: tuple[int, int], seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """`num` landscapes of all kinds in turn: uint8 [num, height, width, 3] and their labels int64 [num].

    `size` is (width, height) in pixels and a label an index into KINDS.
    Picture i depends on the seed, the size and i alone: a longer set begins with the shorter one.
    """
    width, height = size
    if num < 0 or seed < 0 or width < 1 or height < 1:
        raise UsageError(f"Cannot paint {num} landscapes of {width}x{height} with seed {seed}.")
    labels = np.arange(num, dtype=np.int64) % len(KINDS)
    images = np.empty((num, height, width, 3), np.uint8)
    for i, label in enumerate(labels):
        images[i] = _paint(np.random.SeedSequence([seed, i, 77]), KINDS[label], width, height)
    return images, labels


_WORDS: dict[str, str] = {
    "desert": "arid camel canyon dune dunes erg mesa oasis sahara sand sandy wüste düne",
    "green": "alm forest forests grass grassy hill hills lush meadow meadows pasture spring summer valley wood woods "
    "grün grüne wald wiese",
    "high": "alpine alps andes altitude cloud clouds everest himalaya himalayas karakoram lofty peak peaks summit "
    "summits tall alpen gipfel hohe hoch",
    "rocky": "barren boulder boulders cliff cliffs crag craggy crags dolomite dolomites rock rocks rugged scree stone "
    "stony fels felsen felsig felsige",
    "highland": "fell fells glen heath heather highlands loch lochs misty moor moorland moors purple scotland scottish "
    "heide hochland",
    "snowy": "arctic blizzard cold frost frosty frozen glacier ice icy polar ski snow snowcapped white winter wintry "
    "eis schnee verschneit verschneite winterlich",
}


def kinds_for(query: str) -> tuple[str, ...]:
    """The kinds that the words of a query name, in the order of KINDS; all of them where it names none.

    A kind's own name wins over words that only suggest one: "snowy hills" is snowy alone, "winter hills" is green and
    snowy, "mountains" is everything.
    """
    words = set(re.findall(r"\w+", query.casefold()))
    named = tuple(kind for kind in KINDS if kind in words)
    suggested = tuple(kind for kind in KINDS if words & set(_WORDS[kind].split()))
    return named or suggested or KINDS


# ---- which kind is it? ----------------------------------------------------------------------------------------------

_THUMBNAIL = 16
_FITTED_PER_KIND = 80


def nearest_kind(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The label (index into KINDS) of the kind each image [N, H, W, 3] resembles most, as int64 [N].

    Linear discriminant analysis on the colours and the layout of 16-pixel thumbnails, fitted once per process to
    painted samples whose seeds no call of `paint` or `landscapes` shares.
    """
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise UsageError(f"Cannot tell the kind of {images.dtype} {list(images.shape)}: uint8 [N, H, W, 3] is needed.")
    if not len(images):
        return np.empty(0, np.int64)
    weights, offsets = _discriminant()
    labels: NDArray[np.int64] = np.argmax(_features(images) @ weights + offsets, axis=1).astype(np.int64)
    return labels


@functools.cache
def _discriminant() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The linear functions of the features, one per kind: weights [F, K] and offsets [K]."""
    samples, size = [], 2 * _THUMBNAIL
    for label, kind in enumerate(KINDS):
        seeds = (np.random.SeedSequence([label, i, 1999]) for i in range(_FITTED_PER_KIND))
        samples.append(_features(np.stack([_paint(seed, kind, size, size) for seed in seeds])))
    means = np.stack([part.mean(axis=0) for part in samples])
    within = np.concatenate([part - part.mean(axis=0) for part in samples])
    spread = within.T @ within / len(within)
    spread += 0.1 * np.trace(spread) / len(spread) * np.eye(len(spread))
    weights = np.linalg.solve(spread, means.T)
    return weights, -0.5 * (means.T * weights).sum(axis=0)


def _features(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Colour and layout [N, F]: a 4x4 grid of colours, the colours of 16 rows, how rough each quarter of them is."""
    small = _reduce(images, _THUMBNAIL)
    grid = _reduce(small, 4)
    rows = small.mean(axis=2)
    rough = np.abs(np.diff(small, axis=2)).mean(axis=(2, 3)).reshape(len(small), 4, _THUMBNAIL // 4).mean(axis=2)
    bright = rows.mean(axis=2, keepdims=True)
    tint = (rows - bright) / (bright + 0.1)
    return np.concatenate([part.reshape(len(small), -1) for part in (grid, rows, tint, 2 * rough)], axis=1)


def _reduce(images: NDArray[Any], side: int) -> NDArray[np.float64]:
    """Area means [N, side, side, C]; values in [0, 1]. An image may be smaller than `side`."""
    values = images.astype(np.float64) / (255 if images.dtype == np.uint8 else 1)
    down, across = _area(images.shape[1], side), _area(images.shape[2], side)
    return np.asarray(np.einsum("ij,njkc,lk->nilc", down, values, across, optimize=True))


def _area(pixels: int, side: int) -> NDArray[np.float64]:
    """How much of each of `pixels` falls into each of `side` equal parts, as rows that sum to one."""
    edges = np.linspace(0, pixels, side + 1)
    starts = np.arange(pixels)
    shared = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    share: NDArray[np.float64] = np.clip(shared, 0, None) * (side / pixels)
    return share
