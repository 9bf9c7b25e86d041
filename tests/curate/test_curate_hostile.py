"""Claims about files that want to do harm, are broken or merely odd: each is accounted for, none stops the rest."""

from __future__ import annotations

import io
import json
import random
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from curate_plants import noise
from PIL import Image, PngImagePlugin

from gancli.curate import CurateOptions, Done, curate

MODES = (
    "1",
    "L",
    "LA",
    "P",
    "PA",
    "RGB",
    "RGBA",
    "RGBX",
    "CMYK",
    "YCbCr",
    "LAB",
    "HSV",
    "I",
    "F",
    "I;16",
    "La",
    "RGBa",
)
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_chunk(name: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")


def png(width: int, height: int, body: bytes, *chunks: bytes, depth: int = 8, colour: int = 0) -> bytes:
    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([depth, colour, 0, 0, 0])
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", head)
        + b"".join(chunks)
        + png_chunk(b"IDAT", body)
        + png_chunk(b"IEND", b"")
    )


def truncations() -> Iterator[tuple[str, bytes]]:
    for kind in FORMATS:
        data = encoded(noise(1, 90, 70), kind)
        for tenth in range(10):
            yield f"cut-{kind}-{tenth}.{kind.lower()}", data[: len(data) * tenth // 10]


def bit_flips(count: int) -> Iterator[tuple[str, bytes]]:
    draw = random.Random(0)
    files = {kind: encoded(noise(2, 60, 50), kind) for kind in FORMATS}
    for number in range(count):
        kind = FORMATS[number % len(FORMATS)]
        data = bytearray(files[kind])
        for _ in range(draw.choice((1, 1, 2, 8, 40))):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        yield f"flip-{number}.{kind.lower()}", bytes(data)


def odd_modes() -> Iterator[tuple[str, bytes]]:
    base = noise(3, 48, 40)
    for mode in (
        "1",
        "L",
        "LA",
        "P",
        "PA",
        "RGB",
        "RGBA",
        "RGBX",
        "CMYK",
        "YCbCr",
        "LAB",
        "HSV",
        "I",
        "F",
        "I;16",
        "La",
        "RGBa",
    ):
        try:
            image = (
                base.convert("L").convert(mode) if mode in ("I", "F", "I;16") else base.convert("RGBA").convert(mode)
            )
        except ValueError:
            image = base.convert("LA") if mode in ("La", "PA") else base
        for kind in ("PNG", "TIFF", "JPEG"):
            try:
                yield f"mode-{mode.replace(';', '-')}-{kind}.{kind.lower()}", encoded(image, kind)
            except (OSError, ValueError, KeyError):
                continue
    yield "mode-float-nan.tiff", encoded(Image.fromarray(np.full((8, 8), np.nan, np.float32)), "TIFF")
    palette = base.convert("P")
    yield "mode-P-trns.png", encoded(palette, "PNG", transparency=bytes(range(200)))
    yield "mode-rgb-trns.png", encoded(base, "PNG", transparency=(10, 20, 30))
    yield "mode-gif-trns.gif", encoded(palette, "GIF", transparency=4)
    exif = Image.Exif()
    exif[0x0112] = 77
    yield "exif-nonsense.jpg", encoded(base, "JPEG", exif=exif)
    yield "exif-broken.jpg", encoded(base, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(40))
    yield "icc-broken.png", encoded(base, "PNG", icc_profile=b"acsp" * 80)


def bombs() -> Iterator[tuple[str, bytes]]:
    yield "bomb-header.png", png(50_000, 50_000, zlib.compress(bytes(1000)), depth=1)
    yield "bomb-zip.png", png(9_000, 9_000, zlib.compress(bytes(9_000 * 9_001), 9))
    text = png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(80_000_000), 9))
    yield "bomb-text.png", png(8, 8, zlib.compress(bytes(72)), text)
    info = PngImagePlugin.PngInfo()
    for number in range(200):
        info.add_text(f"k{number}", "x" * 5000, zip=True)
    yield "many-texts.png", encoded(noise(4), "PNG", pnginfo=info)
    icc = png_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(80_000_000), 9))
    yield "bomb-icc.png", png(8, 8, zlib.compress(bytes(72)), icc)
    yield "bomb-gif.gif", b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) + b",\0\0\0\0\xff\xff\xff\xff\0\2\2L\1\0;"
    yield "bomb-bmp.bmp", b"BM" + bytes(12) + (40).to_bytes(4, "little") + (2**30).to_bytes(4, "little") * 2 + bytes(64)


def sides() -> Iterator[tuple[str, bytes]]:
    for number, (width, height) in enumerate(
        ((1, 1), (1, 500), (500, 1), (2, 3), (30_000, 1), (1, 30_000), (30_000, 40))
    ):
        yield f"side-{number}.png", encoded(Image.linear_gradient("L").resize((width, height)), "PNG")


NAMES = (
    "[red]x[x].png", "a\nb.png", "esc\x1b[31m.png", "space d.png", "'quote\".png", "$(touch x).png", "ünï-漢字.png",
    "-rf.png", "%2e%2e.png", "\u202egnp.exe.png", "<b>.png", "a" * 200 + ".png",
)  # fmt: skip


def corpus(flips: int) -> dict[str, bytes]:
    files = dict([*truncations(), *odd_modes(), *bombs(), *sides(), *bit_flips(flips)])
    files |= {name: encoded(noise(100 + number), "PNG") for number, name in enumerate(NAMES)}
    files |= {"page.jpg": b"<!doctype html><p>no", "text.png": b"hello", "empty.webp": b"", "zeros.tiff": bytes(5000)}
    files["drawing.png"] = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    files["random.jpg"] = b"\xff\xd8\xff\xe0" + random.Random(1).randbytes(4000)
    return files


def check_corpus(folder: Path, files: dict[str, bytes], workers: int) -> None:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "good.png").write_bytes(encoded(noise(50), "PNG"))
    options = CurateOptions(size=(24, 24), trim=True)
    *_, done = curate(folder, options=options, workers=workers, time_limit_s=30)
    assert isinstance(done, Done)
    rows = {row["source"]: row for row in done.rows}
    assert set(rows) == {*files, "good.png"}
    assert rows["good.png"]["status"] == "ok"
    assert all(row["status"] == "ok" or row["reason"] for row in rows.values())
    assert all(rows[name]["status"] in ("ok", "dup") for name in NAMES)
    assert all(rows[name]["status"] == "fail" for name in ("page.jpg", "text.png", "empty.webp", "zeros.tiff"))
    assert all(rows[name]["status"] == "fail" for name in files if name.startswith("bomb-") and name != "bomb-zip.png")
    for row in done.rows:
        if row["status"] == "ok":
            with Image.open(done.path / row["file"]) as image:
                assert image.size == (24, 24)
    manifest = (done.path / "manifest.jsonl").read_text()
    assert "\x1b" not in manifest
    assert len([json.loads(line) for line in manifest.splitlines()]) == len(files) + 1


def test_a_small_hostile_corpus_is_accounted_for(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    check_corpus(tmp_path / "in", corpus(60), workers=1)


@pytest.mark.slow
def test_two_thousand_hostile_files_are_accounted_for(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    files = corpus(1860)
    assert len(files) >= 2000
    check_corpus(tmp_path / "in", files, workers=2)


def test_a_closed_search_leaves_no_process(tmp_path: Path) -> None:
    for seed in range(60):
        noise(seed).save(tmp_path / f"{seed}.png")
    findings = curate(tmp_path, options=CurateOptions(size=(16, 16)), workers=2, dry_run=True)
    for finding in findings:
        if type(finding).__name__ == "Read":
            break
    findings.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if "watch" in thread.name]
