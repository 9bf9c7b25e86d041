"""Claims about packages, labels, splits, the summary and decisions made by number."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from curate_plants import noise
from PIL import Image

from gancli.curate import CurateOptions, Done, curate
from gancli.curate.decisions import append_decision, parse_change
from gancli.curate.options import parse_numbers, parse_size
from gancli.errors import UsageError
from gancli.images import read_image


def make(folder: Path, *, reject: tuple[int, ...] = (), flip: tuple[int, ...] = (), **parameters: Any) -> Done:
    options = CurateOptions(size=(32, 32), **parameters)
    *_, last = curate(folder, options=options, workers=0, reject=reject, flip=flip)
    assert isinstance(last, Done)
    return last


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    for seed in range(6):
        path = tmp_path / "pets" / ("cat" if seed % 2 else "dog") / f"{seed}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise(seed).save(path)
    return tmp_path / "pets"


def test_the_zip_is_in_stylegans_layout_and_reproducible(classes: Path) -> None:
    done = make(classes, format="zip")
    path = done.path / "pets-32.zip"
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        assert names[0] == "00000/img00000000.png"
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        labels = json.loads(archive.read("dataset.json"))["labels"]
        assert sorted(number for _, number in labels) == [0, 0, 0, 1, 1, 1]
        assert {name for name, _ in labels} == {name for name in names if name.endswith(".png")}
        assert read_image(archive.read(names[0])).size == (32, 32)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    path.unlink()
    make(classes, format="zip")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


def test_webdataset_shards_carry_picture_class_and_origin(classes: Path) -> None:
    done = make(classes, format="webdataset")
    with tarfile.open(done.path / "shards" / "00000.tar") as archive:
        members = {member.name: archive.extractfile(member) for member in archive.getmembers()}
    assert list(members)[:3] == ["000000000.png", "000000000.json", "000000000.cls"]
    with tarfile.open(done.path / "shards" / "00000.tar") as archive:
        read = {name: archive.extractfile(name).read() for name in members}  # type: ignore[union-attr]
    assert json.loads(read["000000000.json"])["label"] == "cat"
    assert read["000000000.cls"] == b"0"
    assert Image.open(io.BytesIO(read["000000005.png"])).size == (32, 32)


def test_the_imagefolder_has_metadata_for_each_picture(classes: Path) -> None:
    done = make(classes, format="hf")
    lines = [json.loads(line) for line in (done.path / "hf/train/metadata.jsonl").read_text().splitlines()]
    assert next(iter(lines[0])) == "file_name"
    assert {line["label"] for line in lines} == {"cat", "dog"}
    pictures = {path.name for path in (done.path / "hf" / "train").glob("*.png")}
    assert pictures == {line["file_name"] for line in lines}
    (classes / "cat" / "1.png").unlink()
    make(classes, format="hf")
    assert len(list((done.path / "hf" / "train").glob("*.png"))) == 5


def test_held_out_is_a_share_by_content_and_keeps_copies_together(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for seed in range(120):
        noise(seed, 40, 40).save(folder / f"{seed}.png")
    done = make(folder, held_out=0.2, mirror=True)
    splits: dict[str, set[str]] = {}
    for row in done.rows:
        splits.setdefault(row["sha256"], set()).add(row["split"])
    assert all(len(split) == 1 for split in splits.values())
    held_out = {sha for sha, split in splits.items() if split == {"held-out"}}
    assert 8 <= len(held_out) <= 44
    noise(500, 40, 40).save(folder / "more.png")
    again = make(folder, held_out=0.2, mirror=True)
    assert held_out <= {row["sha256"] for row in again.rows if row["split"] == "held-out"}


def test_numbers_on_the_sheet_reject_and_flip_and_are_remembered(classes: Path) -> None:
    with pytest.raises(UsageError, match="no training set"):
        make(classes, reject=(1,))
    first = make(classes)
    numbers = {row["source"]: row["number"] for row in first.rows}
    upright = (first.path / next(row["file"] for row in first.rows if row["source"] == "cat/3.png")).read_bytes()
    done = make(classes, reject=(numbers["cat/1.png"],), flip=(numbers["cat/3.png"],))
    rows = {row["source"]: row for row in done.rows}
    assert rows["cat/1.png"]["reason"] == "rejected by you"
    assert rows["cat/3.png"]["flipped"]
    assert (done.path / rows["cat/3.png"]["file"]).read_bytes() != upright
    again = make(classes)
    assert again.rows == done.rows
    assert {row["source"]: row["number"] for row in again.rows} == numbers
    with pytest.raises(UsageError, match="no picture with the number 99"):
        make(classes, reject=(99,))


def test_a_review_changes_only_what_it_decided(classes: Path) -> None:
    first = make(classes)
    before = {path.name: path.stat().st_mtime_ns for path in (first.path / "images").iterdir()}
    chosen = first.rows[2]
    append_decision(first.path / "review.jsonl", chosen["sha256"], {"crop": [0.1, 0.1, 0.6, 0.7], "label": "fox"})
    done = make(classes)
    after = {path.name: path.stat().st_mtime_ns for path in (done.path / "images").iterdir()}
    changed = {name for name in after if before.get(name) != after[name]}
    assert changed == {Path(chosen["file"]).name}
    assert json.loads((done.path / "dataset.json").read_text())["label_names"] == ["cat", "dog", "fox"]


def test_one_label_in_a_set_without_classes_gives_the_others_a_class(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for seed in range(4):
        noise(seed).save(tmp_path / "in" / f"{seed}.png")
    first = make(tmp_path / "in", format="zip")
    append_decision(first.path / "review.jsonl", first.rows[1]["sha256"], {"label": "peak"})
    done = make(tmp_path / "in", format="zip")
    dataset = json.loads((done.path / "dataset.json").read_text())
    assert dataset["label_names"] == ["peak", "unlabelled"]
    assert sorted(number for _, number in dataset["labels"]) == [0, 1, 1, 1]


def test_decisions_of_another_set_and_torn_lines_are_told_and_ignored(classes: Path) -> None:
    first = make(classes)
    append_decision(first.path / "review.jsonl", "0" * 64, {"decision": "reject"})
    with (first.path / "review.jsonl").open("a") as file:
        file.write('{"sha256": "zz", "set": {"decision": "reject"}}\n{"sha2')
    findings = list(curate(classes, options=CurateOptions(size=(32, 32)), workers=0))
    told = [finding.text for finding in findings if type(finding).__name__ == "Note"]
    assert len(told) == 2
    assert findings[-1].counts["kept"] == 6  # type: ignore[union-attr]


def test_a_rejected_picture_takes_its_copies_with_it_but_a_kept_one_stays(classes: Path) -> None:
    noise(0).resize((40, 30)).save(classes / "dog" / "copy.png")
    first = make(classes)
    rows = {row["source"]: row for row in first.rows}
    assert rows["dog/copy.png"]["duplicate_of"] == "dog/0.png"
    append_decision(first.path / "review.jsonl", rows["dog/0.png"]["sha256"], {"decision": "reject"})
    rows = {row["source"]: row for row in make(classes).rows}
    assert rows["dog/copy.png"]["reason"] == "a copy of a rejected picture"
    append_decision(first.path / "review.jsonl", rows["dog/copy.png"]["sha256"], {"decision": "keep"})
    assert {row["source"]: row for row in make(classes).rows}["dog/copy.png"]["status"] == "ok"


def test_the_summary_counts_scenes_and_says_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for seed in range(40):
        noise(seed).save(folder / f"{seed}.png")
    done = make(folder)
    assert 30 <= done.figures["effective_images"] <= 40
    assert done.figures["diversity"] > 0.9
    assert sum(done.figures["sizes"].values()) == 40
    assert sum(done.figures["palette"].values()) > 0.9
    assert "Too few to train on" in done.advice[0]
    curation = json.loads((done.path / "curation.json").read_text())
    assert curation["summary"] == done.figures


def test_the_contact_sheet_shows_every_kept_picture(classes: Path) -> None:
    sheet = read_image(make(classes).path / "contact-sheet.jpg")
    assert sheet.width > 300
    assert sheet.height > 100


@pytest.mark.parametrize(("text", "size"), [("64", (64, 64)), ("192x128", (192, 128)), (" 32 X 48 ", (32, 48))])
def test_sizes_parse(text: str, size: tuple[int, int]) -> None:
    assert parse_size(text) == size


def test_what_cannot_be_meant_is_refused() -> None:
    assert parse_numbers("--reject", "3, 17,20-22") == [3, 17, 20, 21, 22]
    for wrong in ("x", "-", "64x", "0x-3", ""):
        with pytest.raises(UsageError):
            parse_size(wrong)
    with pytest.raises(UsageError):
        parse_numbers("--reject", "3;4")
    for parameters in (
        {"size": (0, 5)}, {"fit": "zoom"}, {"threshold": 15}, {"drop": ("ugly",)}, {"background": "mauve"},
        {"format": "rar"}, {"held_out": 0.9}, {"min_side": -1},
    ):  # fmt: skip
        with pytest.raises(UsageError):
            CurateOptions(**parameters)  # type: ignore[arg-type]
    for change in ({}, {"decision": "maybe"}, {"crop": [0, 0, 2, 1]}, {"flip": 1}, {"x": 1}, None, {"label": ""}):
        assert parse_change(change) is None
