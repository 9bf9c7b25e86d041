"""WebDataset shards and torchvision's sets train as they are."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from gancli.data import shards, sources
from gancli.data.dataset import open_training_set
from gancli.errors import DataError, UsageError


def write_shard(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


@pytest.fixture
def pictures(photo_folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(photo_folder.iterdir())[:12]]


@pytest.fixture
def shard_folder(pictures: list[bytes], tmp_path: Path) -> Path:
    """Two shards as img2dataset writes them: 000000000.jpg, .json, .txt of one key, a parquet file beside."""
    out = tmp_path / "shards"
    out.mkdir()
    for shard in (0, 1):
        members = {}
        for number, data in enumerate(pictures[6 * shard : 6 * shard + 6]):
            key = f"{shard:05d}{number:04d}"
            facts = {"url": "https://example.org", "license": "CC0-1.0", "split": "train"}
            members |= {f"{key}.jpg": data, f"{key}.json": json.dumps(facts).encode(), f"{key}.txt": b"a hill"}
            members[f"{key}.cls"] = str(number % 2).encode()
        write_shard(out / f"{shard:05d}.tar", members)
        (out / f"{shard:05d}.parquet").write_bytes(b"PAR1")
        (out / f"{shard:05d}_stats.json").write_text("{}")
    return out


def test_shards_give_the_pixels_of_the_folder(shard_folder: Path, photo_folder: Path) -> None:
    sharded, plain = open_training_set(str(shard_folder), size="16"), open_training_set(str(photo_folder), size="16")
    assert sharded.facts.size == (16, 16)
    assert torch.equal(sharded.images, plain.images[:12])
    assert sharded.facts.class_names == ("0", "1")
    assert sharded.labels is not None
    assert sharded.labels.tolist() == [0, 1] * 6
    assert sharded.card["licenses"] == {"CC0-1.0": 12}
    assert sharded.names[0] == "00000.tar/000000000.jpg"


def test_a_second_start_decodes_nothing_and_a_changed_shard_is_noticed(
    shard_folder: Path, pictures: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_training_set(str(shard_folder), size="16")
    with monkeypatch.context() as context:
        context.setattr(shards, "_samples", lambda shard: pytest.fail("walked through again"))
        context.setattr(sources, "decode", lambda *given: pytest.fail("decoded again"))
        again = open_training_set(str(shard_folder), size="16")
    assert again.facts == first.facts
    write_shard(shard_folder / "00001.tar", {"1.png": pictures[0], "2.png": pictures[1]})
    assert len(open_training_set(str(shard_folder), size="16").images) == 8


def test_one_tar_trains_by_itself_and_odd_members_are_skipped_with_a_reason(
    pictures: list[bytes], tmp_path: Path
) -> None:
    members = {"a/1.jpg": pictures[0], "a/1.txt": b"x", "b/1.png": b"no image", "2.seg.png": pictures[1], "3.cls": b"0"}
    write_shard(tmp_path / "one.tar", members)
    found = open_training_set(str(tmp_path / "one.tar"), size="16")
    assert found.names == ["one.tar/a/1.jpg", "one.tar/2.seg.png"]
    assert [name for name, _ in found.skipped] == ["one.tar/b/1.png"]


def test_a_shard_cut_off_gives_what_is_whole(pictures: list[bytes], tmp_path: Path) -> None:
    write_shard(tmp_path / "cut.tar", {f"{i}.png": data for i, data in enumerate(pictures)})
    with tarfile.open(tmp_path / "cut.tar") as archive:
        middle = archive.getmember("7.png")
    whole = (tmp_path / "cut.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: middle.offset_data + middle.size // 2])
    found = open_training_set(str(tmp_path / "cut.tar"), size="16")
    assert len(found.images) == 7
    assert [name for name, _ in found.skipped] == ["cut.tar/7.png"]


def test_what_is_no_tar_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"\x1f\x8bnot plain" * 100)
    with pytest.raises(DataError, match="plain tar files"):
        open_training_set(str(tmp_path / "x.tar"), size="16")


def test_held_out_samples_stay_held_out(pictures: list[bytes], tmp_path: Path) -> None:
    members = {}
    for number in range(60):
        split = "held-out" if number < 6 else "train"
        members |= {f"{number}.png": pictures[number % 12], f"{number}.json": json.dumps({"split": split}).encode()}
    write_shard(tmp_path / "set.tar", members)
    assert open_training_set(str(tmp_path / "set.tar"), size="16").held_out.tolist() == list(range(6))


def write_mnist(root: Path, pixels: np.ndarray, labels: np.ndarray) -> Path:
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for part in ("train", "t10k"):
        header = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in pixels.shape)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(
            bytes([0, 0, 8, 1]) + len(labels).to_bytes(4, "big") + labels.tobytes()
        )
    return raw


def test_a_torchvision_set_on_the_disk_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 256, (20, 28, 28), np.uint8), np.arange(20, dtype=np.uint8) % 10
    write_mnist(tmp_path / "data", pixels, labels)
    monkeypatch.chdir(tmp_path)
    found = open_training_set("torchvision:mnist")
    assert torch.equal(found.images[:, 0], torch.from_numpy(pixels))
    assert found.labels is not None
    assert found.labels.tolist() == labels.tolist()
    assert (found.facts.size, found.facts.channels, found.facts.flip) == ((28, 28), 1, False)
    assert found.facts.spec == f"torchvision:MNIST@{(tmp_path / 'data').resolve()}"
    assert open_training_set(found.facts.spec, size="14").facts.size == (14, 14)


def test_a_torchvision_set_that_is_not_there_is_not_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(DataError, match="not on this disk"):
        open_training_set("torchvision:CIFAR10")
    with pytest.raises(UsageError, match="there are CIFAR10"):
        open_training_set("torchvision:imagenet21k")


def test_a_damaged_torchvision_set_is_named_and_not_called_missing(tmp_path: Path) -> None:
    pixels, labels = np.zeros((20, 28, 28), np.uint8), np.arange(20, dtype=np.uint8) % 10
    where = f"torchvision:MNIST@{tmp_path}"
    raw = write_mnist(tmp_path, pixels, labels)
    whole = (raw / "train-images-idx3-ubyte").read_bytes()
    (raw / "train-images-idx3-ubyte").write_bytes(whole[:-100])
    with pytest.raises(DataError, match="damaged or not whole"):
        open_training_set(where)
    (raw / "train-images-idx3-ubyte").write_bytes(whole[:10])
    with pytest.raises(DataError, match="damaged or not whole"):
        open_training_set(where)
    write_mnist(tmp_path, pixels, labels[:-3])
    with pytest.raises(DataError, match="20 images and 17 labels"):
        open_training_set(where)
    write_mnist(tmp_path, pixels, labels + 70)
    with pytest.raises(DataError, match="is damaged"):
        open_training_set(where)
    (tmp_path / "cifar-10-batches-py").mkdir()
    with pytest.raises(DataError, match="damaged or not whole"):
        open_training_set(f"torchvision:CIFAR10@{tmp_path}")


def test_the_name_of_a_class_says_more_than_its_number(pictures: list[bytes], tmp_path: Path) -> None:
    members = {}
    for number, label in enumerate(("elk", "owl", "elk", "7")):
        members |= {f"{number}.png": pictures[number], f"{number}.cls": str(number % 2).encode()}
        members[f"{number}.json"] = json.dumps({"label": label}).encode()
    write_shard(tmp_path / "set.tar", members)
    assert open_training_set(str(tmp_path / "set.tar"), size="16").facts.class_names == ("1", "elk", "owl")
