"""Bad input gets one clear message, exit 1 or 2, nothing on stdout, no traceback, and loses nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Gan = Callable[..., Any]
FAST = ("--model", "dcgan", "--size", "16", "--width", "8", "--batch", "8", "--kimg", "0.016", "--precision", "fp32")


def assert_refused(done: Any, words: str, code: int = 1) -> None:
    assert done.code == code, done
    assert done.out == ""
    assert words in done.err
    assert "Traceback" not in done.err
    assert "\x1b" not in done.err


def test_an_empty_folder(gan: Gan, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert_refused(gan("train", "empty", *FAST), "No images found in 'empty'")
    assert_refused(gan("curate", "empty"), "empty")


def test_a_folder_of_text_files(gan: Gan, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    for name in ("a.txt", "b.md"):
        (tmp_path / "texts" / name).write_text("words")
    assert_refused(gan("train", "texts", *FAST), "No images found")
    (tmp_path / "texts" / "c.jpg").write_text("words too")
    assert_refused(gan("train", "texts", *FAST), "0 usable images")


def test_one_image(gan: Gan, tmp_path: Path, photo_folder: Path) -> None:
    (tmp_path / "one").mkdir()
    shutil.copy(next(photo_folder.iterdir()), tmp_path / "one")
    assert_refused(gan("train", "one", *FAST), "1 usable image; training needs at least two")


def test_a_batch_larger_than_the_set(gan: Gan, tmp_path: Path, photo_folder: Path) -> None:
    (tmp_path / "ten").mkdir()
    for path in sorted(photo_folder.iterdir())[:10]:
        shutil.copy(path, tmp_path / "ten")
    assert_refused(gan("train", "ten", *FAST[:-4], "--batch", "64", "--kimg", "0.016"), "--batch 64 is larger")


@pytest.mark.parametrize("command", ["sample", "interpolate", "gif", "train"])
def test_an_empty_pipe(gan: Gan, command: str) -> None:
    assert_refused(gan(command, pipe=""), "the step before gave no path")
    assert_refused(gan(command, "-", pipe="\n\n"), "the step before gave no path")


def test_a_pipe_whose_step_failed_names_nothing(gan: Gan) -> None:
    assert_refused(gan("sample", pipe='{"error": 1}\n'), "the step before gave no path")


@pytest.mark.parametrize("command", ["sample", "interpolate", "info"])
def test_no_argument_and_nothing_here(gan: Gan, command: str) -> None:
    assert_refused(gan(command), "Run 'gan train' first", code=2)


def test_a_checkpoint_that_is_text_or_cut(gan: Gan, tmp_path: Path, photo_folder: Path) -> None:
    (tmp_path / "text.pt").write_text("not a checkpoint")
    assert_refused(gan("sample", "text.pt"), "text.pt")
    done = gan("train", photo_folder, *FAST, "-o", "run")
    assert done.code == 0, done.err
    data = (tmp_path / "run" / "last.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(data[: len(data) // 3])
    assert_refused(gan("sample", "cut.pt"), "cut.pt")
    assert_refused(gan("sample", "run", "--class", "3"), "no classes", code=2)


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (("--model", "biggan"), "Unknown model 'biggan'", 1),
        (("--size", "33"), "nearest that works is 32", 2),
        (("--size", "[/red]"), "[/red]", 2),
        (("--betas", "x"), "two numbers", 2),
        (("--kimg", "many"), "--kimg", 2),
        (("--unknown", "1"), "unknown", 2),
        (("--device", "tpu"), "tpu", 2),
    ],
)
def test_wrong_flags(gan: Gan, arguments: tuple[str, ...], words: str, code: int) -> None:
    assert_refused(gan("train", "demo:landscapes", *arguments), words, code)


@pytest.mark.parametrize(
    "name",
    [
        "[/x]",
        "esc\x1b[31m",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("with space", "new\nline", "ünï", "a'b")),
    ],
)
def test_odd_names_pass_through_the_whole_pipe(gan: Gan, tmp_path: Path, photo_folder: Path, name: str) -> None:
    folder = tmp_path / name
    shutil.copytree(photo_folder, folder)
    os.rename(folder / "photo 00.png", folder / f"{name.replace(chr(47), chr(45))}.png")
    done = gan("train", name, *FAST)
    assert done.code == 0, done.err
    assert "\x1b" not in done.err
    made = gan("sample", pipe=done.out)
    assert made.code == 0, made.err
    walked = gan("interpolate", "--frames", "2", pipe=done.out)
    assert walked.code == 0, walked.err
    movie = gan("gif", pipe=walked.out)
    assert movie.code == 0, movie.err
    assert Path(movie.out.strip()).stat().st_size > 100
    assert gan("info", pipe=done.out).code == 0


def test_no_permission(gan: Gan, tmp_path: Path, photo_folder: Path) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    assert_refused(gan("train", photo_folder, *FAST, "-o", "taken/run"), "taken")
    assert (tmp_path / "taken").read_text() == "a file, not a folder"


def test_a_foreign_folder_is_left_alone(gan: Gan, tmp_path: Path, photo_folder: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("dear diary")
    assert_refused(gan("train", photo_folder, *FAST, "-o", "mine"), "is no run")
    assert (tmp_path / "mine" / "diary.txt").read_text() == "dear diary"


def test_a_full_disk_keeps_the_previous_checkpoint(gan: Gan, small_disk: Path, photo_folder: Path) -> None:
    out = small_disk / "run"
    first = gan("train", photo_folder, *FAST, "-o", out)
    assert first.code == 0, first.err
    before = (out / "last.pt").read_bytes()
    with (small_disk / "ballast").open("wb") as file:
        file.write(bytes(shutil.disk_usage(small_disk).free - 50_000))
    longer = [*FAST[:-4], "--kimg", "0.064", "--precision", "fp32"]
    assert_refused(gan("train", photo_folder, *longer, "-o", out), "the disk is full")
    assert (out / "last.pt").read_bytes() == before
    (small_disk / "ballast").unlink()
    done = gan("train", photo_folder, *longer, "-o", out)
    assert done.code == 0, done.err
