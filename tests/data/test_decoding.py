"""Claims about decoding a set in worker processes, and about the cache it goes to."""

from __future__ import annotations

import functools
import os
import random
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gancli.data import cache, decoding
from gancli.data.cache import cached_array
from gancli.data.dataset import open_training_set
from gancli.data.folder import Entry, folder_entries
from gancli.images import fit_image, read_image, to_array


def noise(seed: int, mode: str = "RGB") -> Image.Image:
    draw = random.Random(seed)
    side = draw.randrange(40, 200)
    small = Image.frombytes("RGB", (8, 8), draw.randbytes(192)).resize((side, draw.randrange(40, 200)))
    return small.convert("L").convert(mode) if mode in ("L", "grey") else small.convert(mode)


@pytest.fixture
def odd_folder(tmp_path: Path) -> Path:
    """150 pictures of several kinds and sizes, every tenth of them no picture."""
    folder = tmp_path / "odd"
    folder.mkdir()
    for index in range(150):
        kind = ("jpg", "png", "webp")[index % 3]
        path = folder / f"{index:03d}.{kind}"
        noise(index).save(path)
        if index % 10 == 7:
            path.write_bytes(path.read_bytes()[: (0, 3, 200)[index % 3]])
    return folder


def decoded(entries: list[Entry], file: Path) -> tuple[np.ndarray[Any, Any], list[int], list[tuple[str, str]]]:
    made = decoding.decode(entries, (24, 16), file)
    assert len(made.origins) == len(made.kept)
    return np.fromfile(file, np.uint8).reshape(made.shape), made.kept, made.skipped


def test_rows_and_reasons_do_not_depend_on_the_number_of_workers(
    odd_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = folder_entries(odd_folder)
    monkeypatch.setattr(decoding, "_BATCH", 8)
    found = []
    for workers in (1, 3):
        monkeypatch.setattr(decoding, "num_cpus", lambda workers=workers: workers)
        found.append(decoded(entries, tmp_path / "pixels"))
    assert np.array_equal(found[0][0], found[1][0])
    assert found[0][1:] == found[1][1:]


def test_rows_are_the_pictures_in_the_order_of_their_names(odd_folder: Path, tmp_path: Path) -> None:
    images, kept, skipped = decoded(folder_entries(odd_folder), tmp_path / "pixels")
    assert kept == [index for index in range(150) if index % 10 != 7]
    names = sorted(path.name for path in odd_folder.iterdir())
    assert [name for name, _ in skipped] == [name for index, name in enumerate(names) if index % 10 == 7]
    assert {reason for _, reason in skipped} == {"empty file", "not an image", "broken"}
    for row, index in enumerate(kept):
        image = fit_image(read_image(odd_folder / names[index], near_px=24), (24, 16), fit="crop")
        assert np.array_equal(images[row], to_array(image, 3).transpose(2, 0, 1))


def test_what_hangs_or_crashes_costs_only_itself(
    odd_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "_TIME_LIMIT_S", 2.0)
    entries = [entry for index, entry in enumerate(folder_entries(odd_folder)) if index % 10 != 7]
    entries[5:5] = [Entry("hangs", (), functools.partial(time.sleep, 600))]
    entries[66:66] = [Entry("crashes", (), functools.partial(os._exit, 3))]
    images, kept, skipped = decoded(entries, tmp_path / "pixels")
    assert skipped == [("hangs", "took too long"), ("crashes", "crashed the decoder")]
    assert len(images) == len(kept) == 135


@pytest.mark.parametrize(
    ("modes", "channels"),
    [(["L"], 1), (["grey"], 1), (["grey"] * 39 + ["RGB"], 3), (["RGBA", "RGB"], 3), (["clear", "RGB"], 4)],
    ids=["grey files", "grey in colour files", "one in colour", "opaque", "see-through"],
)
def test_a_set_has_the_channels_that_it_needs(tmp_path: Path, modes: list[str], channels: int) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for index in range(80):
        mode = modes[index % len(modes)]
        image = noise(index, {"clear": "RGBA", "grey": "L"}.get(mode, mode))
        if mode == "clear":
            image.putalpha(Image.linear_gradient("L").resize(image.size))
        (image.convert("RGB") if mode == "grey" else image).save(folder / f"{index:02d}.png")
    images, kept, _ = decoded(folder_entries(folder), tmp_path / "pixels")
    assert images.shape == (80, channels, 16, 24)
    assert len(kept) == 80


def test_a_zip_is_the_folder_that_it_was_made_of(odd_folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in odd_folder.iterdir():
            archive.write(path, path.name)
    folder = open_training_set(str(odd_folder), size="24")
    zipped = open_training_set(str(tmp_path / "set.zip"), size="24")
    assert zipped.facts.fingerprint == folder.facts.fingerprint
    assert zipped.names == folder.names
    assert zipped.skipped == folder.skipped


def test_a_zip_that_takes_the_place_of_another_is_read_anew(photo_folder: Path, tmp_path: Path) -> None:
    place, found = tmp_path / "set.zip", []
    for count in (40, 60):
        with zipfile.ZipFile(tmp_path / "next.zip", "w") as archive:
            for path in sorted(photo_folder.iterdir(), reverse=count == 40)[:count]:
                archive.write(path, path.name)
        (tmp_path / "next.zip").replace(place)
        data = open_training_set(str(place), size="16")
        assert not data.skipped
        found.append(len(data.images))
    assert found == [40, 60]


def test_a_cache_without_room_costs_a_second_decoding_only(
    photo_folder: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = open_training_set(str(photo_folder), size="128")
    monkeypatch.setenv("GAN_CACHE", str(small_disk / "cache"))
    data = open_training_set(str(photo_folder), size="128")
    assert data.facts == kept.facts
    assert bool((data.images == kept.images).all())
    assert not list((small_disk / "cache").iterdir())


def test_a_cache_that_is_a_file_is_done_without(
    photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("in the way")
    monkeypatch.setenv("GAN_CACHE", str(tmp_path / "cache"))
    assert len(open_training_set(str(photo_folder), size="24").images) == 60


def build(file: Path, value: int = 3) -> tuple[tuple[int, ...], dict[str, Any]]:
    file.write_bytes(bytes([value] * 60))
    return (5, 3, 2, 2), {"value": value}


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("damage", ["images.u8", "digests.npy", "facts.json"])
def test_a_damaged_cache_is_built_anew(own_cache: Path, damage: str) -> None:
    cached_array({"key": 1}, build)
    (place,) = own_cache.iterdir()
    (place / damage).write_bytes((place / damage).read_bytes()[:-9])
    images, digests, facts = cached_array({"key": 1}, build)
    assert images.shape == (5, 3, 2, 2)
    assert images.min() == images.max() == 3
    assert len(set(digests.tolist())) == 1
    assert facts["value"] == 3


def test_two_who_build_the_same_at_once_both_have_it(own_cache: Path) -> None:
    def slowly(file: Path) -> tuple[tuple[int, ...], dict[str, Any]]:
        cached_array({"key": 1}, build)  # the other one is done first
        return build(file)

    images, _, _ = cached_array({"key": 1}, slowly)
    assert images.min() == 3
    assert len(list(own_cache.iterdir())) == 1


def test_what_a_killed_build_left_is_swept_up_a_day_later(own_cache: Path) -> None:
    for name, age_s in (("old", 2 * 86400), ("new", 60)):
        (own_cache / f".building-{name}").mkdir(parents=True)
        left = own_cache / f".building-{name}" / "images.u8"
        left.write_bytes(bytes(100))
        os.utime(left, (time.time() - age_s,) * 2)
    cached_array({"key": 1}, build)
    assert [path.name for path in own_cache.glob(".building-*")] == [".building-new"]


def test_the_oldest_sets_make_room(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_CAP_BYTES", 2000)
    for key in range(20):
        cached_array({"key": key}, functools.partial(build, value=key))
        for path in own_cache.iterdir():
            os.utime(path, (path.stat().st_mtime - 10,) * 2)
    assert 2 <= len(list(own_cache.iterdir())) < 20
    shutil.rmtree(own_cache)
