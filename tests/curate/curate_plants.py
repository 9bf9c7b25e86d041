"""Pictures for the tests of curation: real photographs, painted landscapes, and copies planted among them."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from gancli.painter import KINDS, paint

PHOTOS = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)


@cache
def photographs() -> tuple[tuple[str, Image.Image], ...]:
    """The photographs that come with scikit-image, found without importing it."""
    from importlib.util import find_spec

    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        return ()
    folder = Path(spec.origin).parent / "data"
    found = []
    for name in PHOTOS:
        if (folder / name).is_file():
            image = Image.open(folder / name).convert("RGB")
            image.thumbnail((512, 512), Image.Resampling.LANCZOS)
            found.append((name.split(".")[0], image))
    return tuple(found)


@cache
def landscapes(count: int, width: int = 240, height: int = 180) -> tuple[tuple[str, Image.Image], ...]:
    """Painted landscapes of all kinds."""
    named = []
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        named.append((f"{kind}-{number}", Image.fromarray(paint(kind, 1000 + number, width, height))))
    return tuple(named)


def crop_share(image: Image.Image, share: float) -> Image.Image:
    dx, dy = round(image.width * share), round(image.height * share)
    return image.crop((dx, dy, image.width - dx, image.height - dy))


def bar(image: Image.Image) -> Image.Image:
    copy = image.copy()
    copy.paste("white", (0, image.height - round(image.height * 0.08), image.width, image.height))
    return copy


def quality_30(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=30)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "resized": lambda image: image.resize((image.width * 2 // 3, image.height * 2 // 3), Image.Resampling.LANCZOS),
    "brightened": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "mirrored": ImageOps.mirror,
    "cropped": lambda image: crop_share(image, 0.025),
    "captioned": bar,
}


def save_planted(folder: Path, originals: list[tuple[str, Image.Image]]) -> dict[str, tuple[str, str]]:
    """Writes originals (PNG) and one copy of each kind; returns copy name -> (original's name, kind)."""
    folder.mkdir(parents=True, exist_ok=True)
    planted: dict[str, tuple[str, str]] = {}
    for name, image in originals:
        image.save(folder / f"{name}.png")
        image.save(folder / f"a-{name}-q30.jpg", quality=30)
        planted[f"a-{name}-q30.jpg"] = (f"{name}.png", "q30")
        ImageOps.mirror(image).save(folder / f"a-{name}-mirrored-q70.jpg", quality=70)
        planted[f"a-{name}-mirrored-q70.jpg"] = (f"{name}.png", "mirrored-q70")
        exif = Image.Exif()
        exif[0x0112] = 6
        image.transpose(Image.Transpose.ROTATE_90).save(folder / f"a-{name}-exif.jpg", quality=85, exif=exif)
        planted[f"a-{name}-exif.jpg"] = (f"{name}.png", "exif")
        for kind, change in CHANGES.items():
            change(image).save(folder / f"a-{name}-{kind}.jpg", quality=88)
            planted[f"a-{name}-{kind}.jpg"] = (f"{name}.png", kind)
    return planted


def noise(seed: int, width: int = 64, height: int = 48) -> Image.Image:
    """A picture of its own: soft blobs."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
