"""Claims about the quality flags: each is raised by a picture made for it and by no good one."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from curate_plants import landscapes
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter, ImageOps

from gancli.curate import CurateOptions, Done, curate
from gancli.curate.quality import quality_scores

Change = Callable[[Image.Image], Image.Image]


def bad_jpeg(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=10)
    return Image.open(io.BytesIO(buffer.getvalue()))


def barred(image: Image.Image) -> Image.Image:
    return ImageOps.expand(image, (0, 40), "black")


CHANGES: dict[str, Change] = {
    "blurry": lambda image: image.filter(ImageFilter.GaussianBlur(12)),
    "dark": lambda image: image.point(lambda value: value // 5),
    "light": lambda image: image.point(lambda value: 250 + value // 52),
    "low-information": lambda image: image.convert("L").point(lambda value: value // 64 * 64).convert("RGB"),
    "odd-aspect": lambda image: image.crop((0, 60, image.width, 60 + image.width // 4)),
    "greyscale": lambda image: image.convert("L").convert("RGB"),
    "small": lambda image: image.resize((60, 45), Image.Resampling.LANCZOS),
    "upscaled": lambda image: image.resize((64, 48)).resize(image.size, Image.Resampling.BICUBIC),
    "low-quality": bad_jpeg,
    "few-colours": lambda image: image.quantize(8, dither=Image.Dither.NONE).convert("RGB"),
    "bars": barred,
}


@pytest.fixture(scope="module")
def good() -> Image.Image:
    return landscapes(1)[0][1].convert("RGB").resize((320, 240), Image.Resampling.LANCZOS)


def make(folder: Path, **parameters: object) -> Done:
    options = CurateOptions(size=(64, 64), **parameters)  # type: ignore[arg-type]
    *_, last = curate(folder, options=options, workers=0)
    assert isinstance(last, Done)
    return last


def save(image: Image.Image, path: Path) -> None:
    """As a JPEG with its own tables where it came from one, without loss otherwise."""
    if image.format == "JPEG":
        image.save(path, "JPEG", quality="keep")
    else:
        image.save(path, "PNG")


@pytest.mark.parametrize("flag", CHANGES)
def test_a_flag_is_raised_by_its_picture_and_drops_only_it(flag: str, good: Image.Image, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    save(good, folder / "good.png")
    save(CHANGES[flag](ImageOps.flip(good)), folder / "planted.png")
    rows = {row["source"]: row for row in make(folder).rows}
    assert flag in rows["planted.png"]["flags"]
    assert flag not in rows["good.png"]["flags"]
    assert rows["planted.png"]["status"] == "ok"
    dropped = {row["source"]: row for row in make(folder, drop=(flag,)).rows}
    assert (dropped["planted.png"]["status"], dropped["planted.png"]["reason"]) == ("skip", flag)
    assert dropped["good.png"]["status"] == "ok"


def test_a_size_far_from_the_others_is_odd(good: Image.Image, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(8):
        good.rotate(40 * number).resize((200 + 4 * number, 150)).save(folder / f"{number}.png")
    ImageOps.flip(good).resize((2000, 1500)).save(folder / "huge.png")
    assert [row["source"] for row in make(folder).rows if "odd-size" in row["flags"]] == ["huge.png"]


def test_trim_cuts_the_bars_off(good: Image.Image, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    barred(good).save(folder / "barred.png")
    plain, trimmed = make(folder), make(folder, trim=True)
    corners = []
    for done in (plain, trimmed):
        with Image.open(done.path / done.rows[0]["file"]) as image:
            corners.append(image.getpixel((32, 1)))
    assert corners[0] == (0, 0, 0)
    assert corners[1] != (0, 0, 0)


def test_curate_needs_no_network_and_nothing_but_numpy_and_pillow(good: Image.Image, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    good.save(tmp_path / "in" / "good.png")
    script = f"""
import socket, sys
def refuse(*_): raise AssertionError("the network was asked")
socket.socket.connect = socket.getaddrinfo = refuse
from gancli.curate import curate
*_, done = curate({str(tmp_path / "in")!r}, workers=0)
assert done.counts["kept"] == 1
strange = {{"torch", "torchvision", "scipy", "imagehash", "requests", "sqlite3", "flask", "matplotlib"}}
assert not strange & set(sys.modules), strange & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    low=st.integers(0, 255),
    spread=st.sampled_from([0, 1, 8, 40, 255]),
    num_colours=st.sampled_from([1, 12, 17, 24, 1000]),
    seed=st.integers(0, 2**31),
)
def test_a_part_of_a_picture_settles_no_flag_otherwise_than_the_whole(
    height: int, width: int, low: int, spread: int, num_colours: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    colours = (low + rng.integers(0, spread + 1, (num_colours, 3))).clip(0, 255).astype(np.uint8)
    pixels = colours[rng.integers(0, num_colours, (height, width))]
    work = Image.fromarray(pixels)
    scores = quality_scores(work, pixels, work.convert("L"), work.convert("L"))
    bright = np.sqrt((pixels.reshape(-1, 3).astype(np.float64) ** 2) @ [0.241, 0.691, 0.068]) / 255
    counts = np.unique((pixels >> 2).reshape(-1, 3), axis=0, return_counts=True)[1]
    exact = {
        "dark": np.percentile(bright, 99),
        "light": 1 - np.percentile(bright, 5),
        "few-colours": np.sort(counts)[-16:].sum() / (height * width),
    }
    for name, limit, sign in (("dark", 0.32, 1), ("light", 0.05, 1), ("few-colours", 0.95, -1)):
        if abs(exact[name] - limit) > 1e-5:
            assert (sign * scores[name] < sign * limit) == (sign * exact[name] < sign * limit)
