"""Claims about copies: found whatever was done to them, the best one kept, nothing distinct removed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pytest
from curate_plants import landscapes, noise, photographs, save_planted
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from gancli.curate import CurateOptions, Done, curate, duplicates
from gancli.curate.duplicates import find_copies
from gancli.curate.facts import Facts, InspectSetup, inspect
from gancli.curate.hashes import grey_square, hash_pair, hash_text
from gancli.curate.neighbours import DenseScan, find_dense, near_pairs
from gancli.curate.second_look import agreement

SETUP = InspectSetup(near_px=128, background="white", trim=False, exact=False)
ALWAYS = ("q30", "resized", "brightened", "blurred", "exif", "mirrored", "mirrored-q70")
IN_DOUBT = ("cropped", "captioned")


def run(folder: Path, **parameters: object) -> Done:
    options = CurateOptions(size=(64, 64), **parameters)  # type: ignore[arg-type]
    *_, last = curate(folder, options=options, workers=0, dry_run=True)
    assert isinstance(last, Done)
    return last


def check_planted(folder: Path, originals: list[tuple[str, Image.Image]]) -> None:
    planted = save_planted(folder, originals)
    done = run(folder)
    rows = {row["source"]: row for row in done.rows}
    in_doubt = {done.rows[index]["source"] for pair in done.lookalikes for index in (pair.first, pair.second)}
    removed: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    total = Counter(kind for _, kind in planted.values())
    for name, (original, kind) in planted.items():
        row = rows[name]
        removed[kind] += row["status"] == "dup"
        caught[kind] += row["status"] == "dup" or name in in_doubt
        if row["status"] == "dup":
            keeper = row["duplicate_of"]
            assert planted.get(keeper, (keeper,))[0] == original, f"{name} is no copy of {keeper}"
    for name, _ in originals:
        assert rows[f"{name}.png"]["status"] == "ok", (name, rows[f"{name}.png"]["duplicate_of"])
    shares = {kind: (removed[kind] / total[kind], caught[kind] / total[kind]) for kind in total}
    assert all(shares[kind][0] >= 0.98 for kind in ALWAYS), shares
    assert all(shares[kind][1] >= 0.9 for kind in IN_DOUBT), shares


def test_planted_copies_of_a_few_pictures_are_found_and_the_original_is_kept(tmp_path: Path) -> None:
    photos = dict(photographs())
    named = [(name, photos[name]) for name in ("astronaut", "camera", "chelsea") if name in photos]
    check_planted(tmp_path / "in", [*named, *landscapes(6)])


@pytest.mark.slow
def test_planted_copies_of_photographs_and_paintings_are_found(tmp_path: Path) -> None:
    if not photographs():
        pytest.skip("scikit-image is not installed: no photographs")
    check_planted(tmp_path / "in", [*photographs(), *landscapes(40)])


def test_phash_is_imagehash_and_the_mirror_hash_is_the_mirrored_pictures_hash() -> None:
    for _, image in [*photographs()[:6], *landscapes(6)]:
        plain, mirrored = hash_pair(grey_square(image))
        assert hash_text(plain) == str(imagehash.phash(image))
        assert (mirrored ^ hash_pair(grey_square(ImageOps.mirror(image)))[0]).bit_count() <= 2


def test_flat_pictures_are_no_copies_of_each_other(tmp_path: Path) -> None:
    for number, colour in enumerate(["red", "lime", "blue", "grey"]):
        Image.new("RGB", (64, 64), colour).save(tmp_path / f"{number}.png")
    assert run(tmp_path).counts["kept"] == 4


def test_the_same_drawing_in_another_colour_is_not_removed_but_shown(tmp_path: Path) -> None:
    light, blue, red = landscapes(2)[1][1].convert("YCbCr").split()
    Image.merge("YCbCr", (light, blue, red)).convert("RGB").save(tmp_path / "a.png")
    Image.merge("YCbCr", (light, red, blue)).convert("RGB").save(tmp_path / "b.png")
    done = run(tmp_path)
    assert done.counts["kept"] == 2
    assert [(pair.first, pair.second) for pair in done.lookalikes] == [(0, 1)]


def test_a_chain_removes_nothing_unlike_the_kept_picture() -> None:
    rng = np.random.default_rng(0)
    look = rng.integers(0, 256, 1024, dtype=np.uint8).tobytes()

    def fact(number: int, phash: int, merit: float) -> Facts:
        return Facts(
            sha256=f"{number:064x}", num_bytes=1, width=64, height=64, format="png", phash=phash,
            phash_mirrored=(1 << 63) | 0x5555555555555555, flat=False, grey=True, alpha=False, look=look,
            colours=bytes(192), pixels="", pixels_mirrored="", flags=(), merit=merit,
        )  # fmt: skip

    chain = [fact(0, 0, 3.0), fact(1, 0x3FF, 2.0), fact(2, 0xFFFFF, 1.0)]
    copies, _ = find_copies(chain, 10)
    assert copies.keys() == {1}
    middle_best = [chain[1], chain[0], chain[2]]
    assert find_copies(middle_best, 10)[0].keys() == {1, 2}
    assert find_copies(middle_best, 10, {2})[0].keys() == {1}


def test_threshold_zero_means_identical_pixels(tmp_path: Path) -> None:
    image = noise(1)
    image.save(tmp_path / "a.png")
    image.save(tmp_path / "b.bmp")
    ImageOps.mirror(image).save(tmp_path / "c.png")
    image.save(tmp_path / "d.jpg", quality=95)
    done = run(tmp_path, threshold=0)
    status = {row["source"]: (row["status"], row["mirrored"]) for row in done.rows}
    assert status["d.jpg"] == ("ok", False)
    assert sorted(status[name][0] for name in ("a.png", "b.bmp", "c.png")) == ["dup", "dup", "ok"]


@settings(max_examples=25)
@given(st.integers(2, 60), st.integers(0, 14), st.integers(0, 2**32))
def test_every_pair_within_the_threshold_is_found_once(count: int, threshold: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 16, count, dtype=np.uint64) * np.uint64(0x0101010101010101)
    mirrored = rng.integers(0, 2**64, count, dtype=np.uint64)
    pairs = near_pairs(hashes, mirrored, threshold)
    got = set(zip(pairs.first.tolist(), pairs.second.tolist(), pairs.distance.tolist(), strict=True))
    wanted = set()
    for i in range(count):
        for j in range(i + 1, count):
            distances = (hashes[i] ^ hashes[j], hashes[i] ^ mirrored[j], mirrored[i] ^ hashes[j])
            nearest = min(int(value).bit_count() for value in distances)
            if nearest <= threshold:
                wanted.add((i, j, nearest))
    assert got == wanted


def test_bands_find_what_comparing_all_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    from gancli.curate import neighbours

    rng = np.random.default_rng(3)
    hashes = rng.integers(0, 2**64, 2000, dtype=np.uint64)
    for bit in range(5):
        hashes[1000:] = np.where(
            np.arange(1000) % 7 > bit, hashes[:1000] ^ np.uint64(1 << (11 * bit + 3)), hashes[1000:]
        )
    mirrored = np.roll(hashes, 5) ^ np.uint64(9)
    all_pairs = near_pairs(hashes, mirrored, 6)
    plan = neighbours._plan
    monkeypatch.setattr(neighbours, "_plan", lambda count, threshold: plan(1_000_000, threshold))
    banded = near_pairs(hashes, mirrored, 6)
    assert len(all_pairs) > 1000
    for name in ("first", "second", "distance", "mirrored"):
        assert np.array_equal(getattr(all_pairs, name), getattr(banded, name))


def test_crowds_of_near_equal_hashes_are_grouped_without_their_pairs() -> None:
    rng = np.random.default_rng(0)
    crowd = np.uint64(1 << 63) ^ (np.uint64(1) << rng.integers(0, 60, 3000).astype(np.uint64))
    hashes = np.concatenate([crowd, rng.integers(0, 2**64, 1000, dtype=np.uint64)])
    mirrored = rng.integers(0, 2**64, 4000, dtype=np.uint64)
    dense = find_dense(hashes, mirrored, 6)
    assert dense[:3000].all()
    assert dense[3000:].mean() < 0.2
    assert len(near_pairs(hashes, mirrored, 6, dense)) < 10
    scan = DenseScan(hashes, mirrored, dense, 6)
    others, distance, _ = scan.neighbours(0)
    assert len(others) == 2999
    assert distance.max() <= 2
    scan.take(others[:2000].tolist())
    assert set(scan.neighbours(0)[0].tolist()) == set(others[2000:].tolist())


def crowd_of(count: int, looks: int) -> list[Facts]:
    """Facts of so many different pictures whose hashes all lie within two bits of one point."""
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (32, 32), dtype=np.uint8).tobytes() for _ in range(looks)]
    return [
        Facts(
            sha256=f"{number:064x}", num_bytes=1, width=64, height=64, format="png", phash=(1 << a) | (1 << b),
            phash_mirrored=(1 << 63) | 0x5555555555555555, flat=False, grey=True, alpha=False,
            look=pictures[number % looks], colours=bytes(192), pixels="", pixels_mirrored="", flags=(),
            merit=-number,
        )
        for number, (a, b) in enumerate(rng.integers(0, 62, (count, 2)).tolist())
    ]  # fmt: skip


def test_different_pictures_with_nearly_one_hash_are_compared_with_few_others(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[int] = []

    def counted(first: Any, second: Any) -> Any:
        looked_at.append(len(first))
        return agreement(first, second)

    monkeypatch.setattr(duplicates, "agreement", counted)
    copies, lookalikes = find_copies(crowd_of(400, looks=400), 6)
    assert not copies
    assert not lookalikes
    assert max(looked_at) <= 16
    assert sum(looked_at) <= 16 * 400


def test_copies_within_a_crowd_are_found_and_a_picture_kept_by_hand_stays() -> None:
    crowd = crowd_of(1000, looks=40)
    copies, _ = find_copies(crowd, 6, {999})
    assert len(copies) == 1000 - 40 - 1
    assert 999 not in copies
    assert all(crowd[index].look == crowd[copy.of].look for index, copy in copies.items())


def test_a_hundred_frames_of_one_scene_become_one(tmp_path: Path) -> None:
    base = np.asarray(noise(4, 64, 64)).astype(np.int16)
    rng = np.random.default_rng(0)
    for number in range(300):
        frame = np.clip(base + rng.integers(-3, 4, base.shape), 0, 255).astype(np.uint8)
        Image.fromarray(frame).save(tmp_path / f"{number:03d}.png")
    assert run(tmp_path).counts["kept"] == 1


def test_the_second_look_sees_through_a_crop_and_a_shift(tmp_path: Path) -> None:
    for _, image in landscapes(6):
        cut = image.crop((12, 9, 228, 171))
        same = agreement(grey_square(image)[None], grey_square(cut)[None])[0][0]
        other = agreement(grey_square(image)[None], grey_square(ImageOps.flip(image))[None])[0][0]
        assert same > 0.85 > 0.7 > other


def test_facts_do_not_depend_on_the_file_format(tmp_path: Path) -> None:
    noise(2).save(tmp_path / "a.png")
    noise(2).save(tmp_path / "b.bmp")
    a, b = (inspect(SETUP, str(tmp_path / name)) for name in ("a.png", "b.bmp"))
    assert (a.phash, a.look, a.colours, a.merit) == (b.phash, b.look, b.colours, b.merit)
