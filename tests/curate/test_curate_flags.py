"""Claims about the quality flags: each is raised by a picture made for it and by no good one."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from curate_plants import landscapes
from PIL import Image, ImageFilter, ImageOps

from gancli.curate import CurateOptions, Done, curate

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
