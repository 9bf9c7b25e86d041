from __future__ import annotations

import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gancli import painting
from gancli.config import TrainOptions, resolve
from gancli.data import cache, dataset
from gancli.data.dataset import open_training_set
from gancli.data.sources import _painter_mark
from gancli.errors import ConfigError


def write_idx(folder: Path, images: np.ndarray, labels: list[int]) -> str:
    """`images` uint8 [N, H, W] with their labels; how it is named."""
    folder.mkdir()
    for kind, array in (("images-idx3", images), ("labels-idx1", np.array(labels, np.uint8))):
        head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        (folder / f"train-{kind}-ubyte").write_bytes(head + array.tobytes())
    return f"idx:{folder}"


def noise(num: int, side: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (num, side, side), np.uint8)


def test_another_painter_paints_its_landscapes_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _painter_mark()
    (tmp_path / "scenes.py").write_text("another palette")
    monkeypatch.setattr(painting, "__path__", [str(tmp_path)])
    assert _painter_mark() != before


def test_a_second_start_reads_no_picture_again(photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_training_set(str(photo_folder), size="24")

    def refuse(images: object) -> None:
        raise AssertionError("the pictures were read")

    for module in (cache, dataset):
        monkeypatch.setattr(module, "digests_of", refuse)
    second = open_training_set(str(photo_folder), size="24")
    assert second.facts == first.facts
    assert second.held_out.tolist() == first.held_out.tolist()
    assert second.held_out.numel() > 0


@pytest.mark.parametrize("kind", ["folder", "zip", "idx", "stacked", "demo"])
def test_a_grown_run_holds_out_what_its_parent_did(
    kind: str, photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gancli.data.sources.DEMO_SIZE", 80)
    monkeypatch.setattr("gancli.data.stacked.NUM_STACKED", 500)
    spec = str(photo_folder)
    if kind == "zip":
        spec = str(tmp_path / "set.zip")
        with zipfile.ZipFile(spec, "w") as archive:
            for path in sorted(photo_folder.iterdir()):
                archive.write(path, path.name)
    if kind in ("idx", "stacked"):
        spec = write_idx(tmp_path / "set", noise(200, 16), [i % 3 for i in range(200)])
    if kind == "demo":
        spec = "demo:landscapes"
    found = [open_training_set(spec, size=size, stacked=kind == "stacked").held_out.tolist() for size in ("16", "32")]
    assert found[0] == found[1]
    assert found[0]


def test_copies_never_straddle_the_splits(tmp_path: Path) -> None:
    """Equal pixels in files of different kinds, of which each has a hash of its own."""
    for number, pixels in enumerate(noise(120, 16)):
        Image.fromarray(pixels).save(tmp_path / f"{number:03}-a.png")
        Image.fromarray(pixels).save(tmp_path / f"{number:03}-b.bmp")
    held_out = set(open_training_set(str(tmp_path), size="16").held_out.tolist())
    assert held_out
    assert held_out == {row ^ 1 for row in held_out}


def test_classes_are_those_that_are_there(tmp_path: Path) -> None:
    letters = open_training_set(write_idx(tmp_path / "letters", noise(12, 16), [1, 3, 26] * 4))
    assert letters.facts.class_names == ("1", "3", "26")
    assert letters.labels is not None
    assert letters.labels.tolist() == [0, 1, 2] * 4
    fives = open_training_set(write_idx(tmp_path / "fives", noise(12, 16), [5] * 12))
    with pytest.raises(ConfigError, match="at least two classes, and this set has 1"):
        resolve(TrainOptions(conditional=True), fives.facts)


def test_pictures_beside_sub_folders_are_a_class_of_the_folders_name(photo_folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "birds"
    (home / "owls").mkdir(parents=True)
    for number, path in enumerate(sorted(photo_folder.iterdir())[:8]):
        shutil.copy(path, home / "owls" if number % 2 else home)
    assert open_training_set(str(home), size="16").facts.class_names == ("birds", "owls")


@pytest.mark.parametrize(("side", "near"), [(30, "28"), (4, "8")])
def test_a_sets_own_size_that_no_network_makes_is_told_with_the_nearest(tmp_path: Path, side: int, near: str) -> None:
    spec = write_idx(tmp_path / "odd", noise(12, side), [0, 1] * 6)
    with pytest.raises(ConfigError, match=f"{side}x{side} px.*nearest that works is {near}. Give --size {near}"):
        resolve(TrainOptions(), open_training_set(spec).facts)
    assert resolve(TrainOptions(), open_training_set(spec, size=near).facts).size == (int(near), int(near))
