"""Claims about the one place where Pillow opens a file."""

from __future__ import annotations

import io
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from gancli.images import (
    ImageError,
    encode_png,
    fit_image,
    has_alpha,
    is_grey,
    list_images,
    read_image,
    sniff,
    to_array,
    write_png,
)


def ramp(width: int = 48, height: int = 32) -> Image.Image:
    """A picture with no symmetry: red grows to the right, green downwards, a blue corner."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 // (width - 1), y * 255 // (height - 1), np.where((x < 8) & (y < 8), 255, 0)], axis=2)
    return Image.fromarray(pixels.astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def difference(a: Image.Image, b: Image.Image) -> float:
    return float(np.abs(np.asarray(a.convert("RGB")).astype(int) - np.asarray(b.convert("RGB")).astype(int)).mean())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM"])
def test_every_format_is_told_by_content_and_read(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "named-wrongly.jpg"
    path.write_bytes(encoded(ramp(), kind))
    assert sniff(path.read_bytes()) == kind.lower()
    image = read_image(path)
    assert image.size == (48, 32)
    assert image.mode == "RGB"
    assert difference(image, ramp()) < 16


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    stored = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    turned = ramp().transpose(stored[orientation]) if orientation > 1 else ramp()
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = read_image(encoded(turned, "PNG", exif=exif))
    assert image.size == (48, 32)
    assert difference(image, ramp()) == 0


def test_a_foreign_profile_becomes_srgb_and_an_srgb_one_changes_nothing() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert difference(read_image(encoded(ramp(), "PNG", icc_profile=srgb)), ramp()) == 0
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert difference(read_image(encoded(ramp(), "PNG", icc_profile=lab)), ramp()) == 0
    assert difference(read_image(encoded(ramp(), "PNG", icc_profile=b"nonsense")), ramp()) == 0


@pytest.mark.parametrize(
    ("image", "kind", "mode"),
    [
        (ramp().convert("CMYK"), "JPEG", "RGB"),
        (ramp().convert("CMYK"), "TIFF", "RGB"),
        (ramp().convert("YCbCr"), "TIFF", "RGB"),
        (ramp().convert("1"), "PNG", "L"),
        (ramp().convert("L"), "PNG", "L"),
        (ramp().convert("P"), "PNG", "RGB"),
        (ramp().convert("LA"), "PNG", "RGB"),
        (ramp().convert("RGBA"), "PNG", "RGB"),
    ],
)
def test_every_mode_becomes_plain(image: Image.Image, kind: str, mode: str) -> None:
    assert read_image(encoded(image, kind)).mode == mode


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    deep = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    for kind in ("PNG", "TIFF"):
        image = read_image(encoded(Image.fromarray(deep), kind))
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image).reshape(-1), np.arange(256))


def test_float_and_signed_greys_are_scaled() -> None:
    unit = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    assert np.asarray(read_image(encoded(Image.fromarray(unit), "TIFF"))).max() == 255
    signed = np.arange(-32, 32, dtype=np.int32).reshape(8, 8)
    pixels = np.asarray(read_image(encoded(Image.fromarray(signed), "TIFF")))
    assert (pixels.min(), pixels.max()) == (0, 255)


def test_transparency_survives_and_is_laid_over_the_background() -> None:
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    for source in (encoded(image, "PNG"), encoded(image, "WEBP", lossless=True)):
        got = read_image(source)
        assert got.mode == "RGBA"
        assert has_alpha(got)
        assert np.all(to_array(got, 3, "white") == 255)
        assert np.all(to_array(got, 1, "black") == 0)
        assert to_array(got, 3, "#102030")[0, 0].tolist() == [16, 32, 48]
        assert to_array(got, 4).shape == (4, 4, 4)
    palette = Image.new("P", (4, 4), 3)
    palette.putpalette([0, 0, 0] * 256)
    assert read_image(encoded(palette, "PNG", transparency=3)).mode == "RGBA"


def test_the_first_frame_of_an_animation_is_the_picture() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    for kind in ("GIF", "WEBP", "PNG", "TIFF", "AVIF"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        assert to_array(read_image(data), 3)[0, 0].argmax() == 0


def png_header(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([1, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"hello", "not an image"),
        (b"BM as in a text that begins so", "not an image"),
        (b"<!DOCTYPE html><title>404</title>", "a web page"),
        (b"\xef\xbb\xbf\n<html>", "a web page"),
        (b"<?xml version='1.0'?><svg xmlns='x'/>", "a drawing (svg)"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "heic, which cannot be read here"),
        (png_header(20000, 20000), "too large"),
        (png_header(9500, 9500), "too large"),
        (encoded(ramp(), "PNG")[:-60], "truncated"),
        (encoded(ramp(400, 300), "JPEG")[:4000], "truncated"),
        (b"\xff\xd8\xff\xe0", "truncated"),
    ],
)
def test_what_is_no_image_has_a_short_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError) as caught:
        read_image(data)
    assert caught.value.reason == reason


def test_a_missing_file_a_folder_and_a_pipe_are_reasons_too(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for name, reason in (("nothing.jpg", "not found"), (".", "not a file"), ("pipe.jpg", "not a file")):
        with pytest.raises(ImageError) as caught:
            read_image(tmp_path / name)
        assert caught.value.reason == reason


def test_near_px_decodes_a_large_jpeg_small_but_never_smaller() -> None:
    data = encoded(ramp(1600, 1200), "JPEG")
    assert read_image(data, near_px=320).size == (800, 600)
    assert min(read_image(data, near_px=320).size) >= 320
    assert read_image(data, near_px=1300).size == (1600, 1200)
    assert read_image(encoded(ramp(1600, 1200), "PNG"), near_px=100).size == (1600, 1200)


@settings(max_examples=40)
@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from(["crop", "pad", "stretch", "smart"]),
    st.sampled_from(["L", "RGB", "RGBA"]),
)
@example((21, 1), (38, 1), "crop", "L")
def test_fit_gives_exactly_the_size(source: tuple[int, int], size: tuple[int, int], fit: str, mode: str) -> None:
    assert fit_image(Image.new(mode, source, 128 if mode == "L" else "red"), size, fit=fit).size == size


def test_crop_takes_the_middle_and_pad_keeps_all() -> None:
    wide = Image.new("RGB", (90, 30), "blue")
    wide.paste("red", (30, 0, 60, 30))
    assert np.all(np.asarray(fit_image(wide, (30, 30), fit="crop"))[:, 2:-2] == (255, 0, 0))
    padded = np.asarray(fit_image(wide, (30, 30), fit="pad", background="#00ff00"))
    assert padded[0, 0].tolist() == [0, 255, 0]
    assert padded[15, 2].tolist() == [0, 0, 255]
    assert fit_image(wide, (30, 30), fit="pad", background="keep").mode == "RGBA"


def test_smart_crop_follows_what_is_to_be_seen() -> None:
    pixels = np.full((60, 240, 3), 128, np.uint8)
    pixels[:, 180:] = np.random.default_rng(0).integers(0, 256, (60, 60, 3))
    busy = np.asarray(fit_image(Image.fromarray(pixels), (60, 60), fit="smart")).std()
    assert busy > 2 * np.asarray(fit_image(Image.fromarray(pixels), (60, 60), fit="crop")).std()
    plain = Image.new("RGB", (240, 60), "grey")
    plain.paste("red", (120, 0, 121, 60))
    assert difference(fit_image(plain, (60, 60), fit="smart"), fit_image(plain, (60, 60), fit="crop")) < 3


def test_grey_is_told_from_colour_by_pixels_and_not_by_mode() -> None:
    assert is_grey(ramp().convert("L").convert("RGB"))
    assert not is_grey(ramp())


def test_listing_skips_hidden_files_and_survives_loops(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/2.PNG", "a.jpg", ".hidden.jpg", "note.txt", "b/[x]\n.gif"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "b" / "again").symlink_to(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in list_images(tmp_path)] == ["a.jpg", "b/2.PNG", "b/[x]\n.gif"]


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 1, 4), (1, 7, 1), (33, 20, 3), (20, 33, 4), (64, 64, 1)])
def test_what_a_png_holds_is_what_was_given(shape: tuple[int, int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    for array in (pixels, pixels[::-1, ::-1], np.zeros_like(pixels)):
        with Image.open(io.BytesIO(encode_png(array))) as image:
            assert image.mode == {1: "L", 3: "RGB", 4: "RGBA"}[shape[2]]
            assert np.array_equal(np.asarray(image).reshape(shape), array)


def test_png_is_written_whole_without_metadata(tmp_path: Path) -> None:
    pixels = to_array(ramp(), 3)
    write_png(tmp_path / "x.png", pixels)
    write_png(tmp_path / "grey.png", pixels[:, :, :1])
    with Image.open(tmp_path / "x.png") as image:
        assert image.info == {}
        assert np.array_equal(np.asarray(image), pixels)
    with Image.open(tmp_path / "grey.png") as image:
        assert image.mode == "L"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["grey.png", "x.png"]
