from __future__ import annotations

import importlib.util
import io
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from gancli.errors import DataError, MissingExtraError, UsageError
from gancli.render import animation
from gancli.render.animation import Timing, check_format, write_animation
from gancli.render.frames import Frames, from_arrays, from_files, spread_over
from gancli.render.gif import gif_delays


def clip(count: int = 12, height: int = 40, width: int = 48, channels: int = 3) -> Frames:
    """A smooth landscape of colours that turns."""
    y, x, t = np.meshgrid(np.linspace(0, 1, height), np.linspace(0, 1, width), np.arange(count) / count, indexing="ij")
    waves = [np.sin(3 * x + (i + 1) * y + 2 * np.pi * t + i) for i in range(channels)]
    frames = (np.stack(waves, axis=-1) * 110 + 128).astype(np.uint8).transpose(2, 0, 1, 3)
    if channels == 4:
        frames[..., 3] = np.where(x.transpose(2, 0, 1) < 0.5, 0, 255)
    return from_arrays(np.ascontiguousarray(frames))


def blocks(data: bytes) -> list[tuple[int, bool]]:
    """(delay, has a palette of its own) of each frame, read from the bytes by the specification."""
    place, found, delay = 13 + 3 * (2 << (data[10] & 7)), [], 0
    while data[place] != 0x3B:
        if data[place] == 0x21:
            if data[place + 1] == 0xF9:
                delay = int.from_bytes(data[place + 4 : place + 6], "little")
            place += 2
        else:
            found.append((delay, bool(data[place + 9] & 0x80)))
            place += 11
        while data[place]:
            place += data[place] + 1
        place += 1
    return found


def test_a_gif_has_one_palette_its_frames_its_timing_and_its_loop(tmp_path: Path) -> None:
    frames = clip()
    repeated = from_arrays(np.stack([frames.load(0), frames.load(0), *frames]))
    made = write_animation(tmp_path / "x.gif", repeated, Timing(fps=30, hold_s=0.5))
    data = made.path.read_bytes()
    read = blocks(data)
    assert len(read) == made.num_frames == 14
    assert not any(own for _delay, own in read)
    assert sum(delay for delay, _own in read) == round(100 * (14 / 30 + 0.5))
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["loop"] == 0
        assert image.n_frames == 14
        for shown, frame in zip(ImageSequence.Iterator(image), repeated, strict=True):
            assert np.abs(np.asarray(shown.convert("RGB")).astype(int) - frame).mean() < 6


def test_a_still_part_of_the_picture_does_not_flicker(tmp_path: Path) -> None:
    frames = np.stack(list(clip(6)))
    frames[:, :20] = frames[0, :20]
    made = write_animation(tmp_path / "x.gif", from_arrays(frames), Timing(fps=20))
    with Image.open(made.path) as image:
        shown = [np.asarray(f.convert("RGB")) for f in ImageSequence.Iterator(image)]
    assert all(np.array_equal(f[:20], shown[0][:20]) for f in shown)


def test_delays_do_not_drift() -> None:
    assert sum(gif_delays([1 / 30] * 300)) == 1000
    assert set(gif_delays([1 / 30] * 300)) == {3, 4}


def test_transparent_frames_stay_transparent(tmp_path: Path) -> None:
    for name in ("x.gif", "x.webp"):
        made = write_animation(tmp_path / name, clip(channels=4), Timing(fps=20))
        with Image.open(made.path) as image:
            for shown in ImageSequence.Iterator(image):
                alpha = np.asarray(shown.convert("RGBA"))[..., 3]
                assert (alpha[:, :23] == 0).all()
                assert (alpha[:, 26:] == 255).all()


@pytest.mark.parametrize("loop", [True, False])
def test_webp_keeps_number_timing_and_loop(tmp_path: Path, loop: bool) -> None:
    made = write_animation(tmp_path / "x.webp", clip(), Timing(fps=30, loop=loop))
    with Image.open(made.path) as image:
        assert image.n_frames == 12
        assert image.info["loop"] == (0 if loop else 1)
        total = 0
        for shown in ImageSequence.Iterator(image):
            shown.load()
            total += image.info["duration"]
    assert total == 400


def test_grey_and_one_frame_and_one_colour_are_fine(tmp_path: Path) -> None:
    for number, frames in enumerate(
        (clip(channels=1), clip(1), from_arrays(np.zeros((3, 8, 8, 3), np.uint8)), clip(2, 9, 1))
    ):
        for suffix in ("gif", "webp"):
            made = write_animation(tmp_path / f"{number}.{suffix}", frames, Timing(fps=20, loop=False))
            with Image.open(made.path) as image:
                assert image.size == (frames.width, frames.height)
    with Image.open(tmp_path / "0.gif") as image:
        assert "loop" not in image.info


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_max_mb_is_met_and_used(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    noisy = np.stack(list(clip(10, 96, 96)))
    noisy = np.clip(noisy + rng.normal(0, 12, noisy.shape), 0, 255).astype(np.uint8)
    full = write_animation(tmp_path / f"full.{suffix}", from_arrays(noisy), Timing(fps=20))
    for share in (0.8, 0.3):
        limit = full.num_bytes * share / 1e6
        made = write_animation(tmp_path / f"x.{suffix}", from_arrays(noisy), Timing(fps=20), max_mb=limit)
        assert 0.85 * limit <= made.num_bytes / 1e6 <= limit
        assert made.num_frames == 10
        assert made.means
    with pytest.raises(UsageError, match="do not fit"):
        write_animation(tmp_path / f"y.{suffix}", from_arrays(noisy), Timing(fps=20), max_mb=0.001)


@pytest.mark.skipif(importlib.util.find_spec("imageio_ffmpeg") is None, reason="the video extra is not installed")
def test_mp4_has_even_sides_yuv420p_and_its_timing(tmp_path: Path) -> None:
    import imageio_ffmpeg

    made = write_animation(tmp_path / "x.mp4", clip(20, 41, 47), Timing(fps=10))
    said = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(made.path), "-f", "null", "-"], capture_output=True, text=True
    ).stderr
    assert "48x42" in said
    assert "yuv420p" in said
    assert "Duration: 00:00:02.00" in said
    assert "frame=   20" in said


def test_mp4_without_its_extra_is_said_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(animation, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"gancli\[video\]"):
        check_format(Path("x.mp4"), 20)


@pytest.mark.parametrize(("name", "fps"), [("x.avi", 20), ("x", 20), ("x.gif", 0), ("x.gif", 60), ("x.webp", -1)])
def test_what_cannot_be_written_is_said(name: str, fps: float) -> None:
    with pytest.raises(UsageError):
        check_format(Path(name), fps)


def test_frames_of_two_sizes_are_named_or_fitted(tmp_path: Path) -> None:
    for name, side in (("a", 8), ("b", 12)):
        Image.new("RGB", (side, 8), "red").save(tmp_path / f"{name}.png")
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    with pytest.raises(DataError, match=r"b\.png.*12x8"):
        list(from_files(paths))
    assert [f.shape for f in from_files(paths, fit=True)] == [(8, 8, 3)] * 2


def test_boomerang_shows_neither_end_twice() -> None:
    frames = from_arrays(np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1))
    assert [int(f[0, 0, 0]) for f in frames.boomerang()] == [0, 1, 2, 3, 2, 1]


def test_spacing_keeps_both_ends() -> None:
    assert spread_over(10, 4) == [0, 3, 6, 9]
    log = spread_over(100, 10, "log")
    assert len(log) == 10
    assert log[0] == 0
    assert log[-1] == 99
    assert log[5] < 30


def test_captions_stand_below_the_picture() -> None:
    frames = clip(2, 64, 64)
    shown = frames.captioned(["epoch 1", "epoch 2"])
    assert shown.height > 64
    assert np.array_equal(shown.load(1)[:64], frames.load(1))
    assert shown.load(1)[64:].min() < 120
    assert not np.array_equal(shown.load(0)[64:], shown.load(1)[64:])
