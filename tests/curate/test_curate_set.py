"""Claims about the training set that `curate` makes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from curate_plants import noise
from PIL import Image, ImageOps

from gancli.curate import CurateOptions, Done, curate
from gancli.errors import DataError, GanError
from gancli.images import read_image
from gancli.manifest import new_row


def make(*inputs: Path, out: Path | None = None, workers: int = 0, dry_run: bool = False, **parameters: Any) -> Done:
    parameters.setdefault("size", (32, 32))
    options = CurateOptions(**parameters)
    *_, last = curate(*inputs, out=out, options=options, workers=workers, dry_run=dry_run)
    assert isinstance(last, Done)
    return last


def fingerprint(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def modes(done: Done) -> set[str]:
    found = set()
    for row in done.rows:
        if row["file"]:
            with Image.open(done.path / row["file"]) as image:
                found.add(image.mode)
    return found


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(8):
        noise(seed).save(folder / f"{seed}.png")
    return folder


def test_a_folder_becomes_a_training_set_and_originals_stay(photos: Path) -> None:
    (photos / "page.jpg").write_bytes(b"<html>not here</html>")
    shutil.copy(photos / "3.png", photos / "again.png")
    ImageOps.mirror(noise(5)).save(photos / "mirrored.png")
    before = fingerprint(photos)
    done = make(photos)
    assert fingerprint(photos) == before
    assert done.path == photos.parent / "photos-32"
    assert done.counts["kept"] == 8
    assert done.reasons == {"a mirrored copy": 1, "a web page": 1, "the same picture": 1}
    kept = [row for row in done.rows if row["status"] == "ok"]
    for row in kept:
        with Image.open(done.path / row["file"]) as image:
            assert (image.size, image.mode, image.info) == ((32, 32), "RGB", {})
    names = {path.name for path in done.path.iterdir() if not path.name.startswith(".")}
    assert names == {"images", "manifest.jsonl", "dataset.json", "curation.json", "contact-sheet.jpg", "CREDITS.md"}
    mirrored = next(row for row in done.rows if row["source"] == "mirrored.png")
    assert (mirrored["duplicate_of"], mirrored["mirrored"], mirrored["distance"]) == ("5.png", True, 0)
    assert json.loads((done.path / "dataset.json").read_text()) == {"labels": None}


def test_the_bytes_do_not_depend_on_the_number_of_workers(photos: Path, tmp_path: Path) -> None:
    for seed in range(8, 60):
        noise(seed).save(photos / f"{seed}.jpg")
    one = fingerprint(make(photos, out=tmp_path / "one", workers=1, mirror=True).path)
    three = fingerprint(make(photos, out=tmp_path / "three", workers=3, mirror=True).path)
    assert one == three


def test_the_same_command_again_changes_nothing(photos: Path) -> None:
    done = make(photos)
    before = {path: path.stat().st_mtime_ns for path in (done.path / "images").iterdir()}
    again = make(photos)
    assert again.path == done.path
    assert {path: path.stat().st_mtime_ns for path in (done.path / "images").iterdir()} == before


def test_a_top_up_adds_and_a_loss_removes_only_our_files(photos: Path) -> None:
    done = make(photos)
    before = fingerprint(done.path / "images")
    noise(99).save(photos / "new.png")
    (photos / "0.png").unlink()
    after = fingerprint(make(photos).path / "images")
    assert len(after) == 8
    assert len(set(before.items()) & set(after.items())) == 7


def test_foreign_files_and_other_parameters_stop_the_command(photos: Path, tmp_path: Path) -> None:
    done = make(photos, out=tmp_path / "set")
    with pytest.raises(GanError, match="--fit was crop, now pad"):
        make(photos, out=tmp_path / "set", fit="pad")
    (done.path / "images" / "mine.txt").write_text("x")
    with pytest.raises(DataError, match=r"images/mine\.txt"):
        make(photos, out=tmp_path / "set")
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.doc").write_text("x")
    with pytest.raises(DataError, match=r"thesis\.doc"):
        make(photos, out=other)
    assert (other / "thesis.doc").read_text() == "x"


def test_without_a_name_other_parameters_make_another_set(photos: Path) -> None:
    assert make(photos).path.name == "photos-32"
    assert make(photos, fit="pad").path.name == "photos-32-2"
    assert make(photos, fit="pad").path.name == "photos-32-2"
    assert make(photos).path.name == "photos-32"


def test_a_killed_run_leaves_a_set_that_the_next_one_completes(photos: Path) -> None:
    findings = curate(photos, options=CurateOptions(size=(32, 32)), workers=1)
    for finding in findings:
        if type(finding).__name__ == "Written":
            break
    findings.close()  # type: ignore[attr-defined]
    assert not (photos.parent / "photos-32" / "curation.json").exists()
    whole = make(photos, out=photos.parent / "fresh")
    assert fingerprint(make(photos).path) == fingerprint(whole.path)


@pytest.mark.parametrize("num_written", [1, 30])
def test_a_run_killed_outright_is_completed_to_the_same_bytes(tmp_path: Path, num_written: int) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(60):
        noise(seed).save(folder / f"{seed}.png")
    command = [sys.executable, "-m", "gancli", "curate", str(folder), "--size", "32", "-q", "--workers", "2"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while process.poll() is None and len(list((tmp_path / "photos-32" / "images").glob("*.png"))) < num_written:
        time.sleep(0.002)
    process.kill()
    process.wait()
    whole = make(folder, out=tmp_path / "fresh")
    assert fingerprint(make(folder).path) == fingerprint(whole.path)


def test_two_at_once_do_not_write_one_set_together(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    first = curate(photos, out=out, options=CurateOptions(size=(32, 32)), workers=0)
    while not (out / ".pending.json").exists():
        next(first)
    with pytest.raises(DataError, match="is writing"):
        make(photos, out=out)
    *_, done = first
    assert isinstance(done, Done)
    assert fingerprint(make(photos, out=out).path) == fingerprint(done.path)


def test_a_set_that_changed_while_the_pictures_were_read_is_not_written_over(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    late = curate(photos, out=out, options=CurateOptions(size=(32, 32)), workers=0)
    next(late)
    before = fingerprint(make(photos, out=out).path)
    with pytest.raises(DataError, match="Run the command again"):
        list(late)
    assert fingerprint(out) == before


def test_a_broken_picture_of_the_set_is_written_again_with_the_next_change(photos: Path) -> None:
    folder = make(photos).path
    before = fingerprint(folder)
    victim = sorted((folder / "images").iterdir())[0]
    victim.write_bytes(victim.read_bytes()[:100])
    noise(99).save(photos / "99.png")
    make(photos)
    assert fingerprint(folder)[f"images/{victim.name}"] == before[f"images/{victim.name}"]


def test_a_set_whose_manifest_was_torn_is_made_whole_again(photos: Path) -> None:
    folder = make(photos).path
    before = fingerprint(folder)
    manifest = folder / "manifest.jsonl"
    manifest.write_bytes(b'{"torn\n{"status": "ok", "file": 5}\n' + manifest.read_bytes()[500:])
    (folder / ".pending.json").write_text('{"inputs": 3, "add": "x", "remove": [5], "parameters": 7}')
    (folder / "images" / "0123456789abcdef.png").write_bytes(b"once ours")
    assert fingerprint(make(photos).path) == before


@pytest.mark.parametrize("name", ["curation.json", ".pending.json"])
@pytest.mark.parametrize("text", ["{torn", "[]", '{"parameters": 7, "inputs": 5, "files": {}, "add": 7}'])
def test_a_broken_mark_of_a_set_is_one_message_and_nothing_is_lost(photos: Path, name: str, text: str) -> None:
    folder = make(photos).path
    if name == ".pending.json":
        (folder / "curation.json").unlink()
    (folder / name).write_text(text)
    before = fingerprint(folder)
    with pytest.raises(GanError):
        make(photos, out=folder)
    assert fingerprint(folder) == before


@pytest.mark.skipif(sys.platform != "linux", reason="file names that are no text need a Unix file system")
def test_names_that_are_no_text_are_carried_in_valid_utf8(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/na\xffme"))
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system takes text only")
    names = [b"bad\xfe.png", b"new\nline\x1b[31m.png", b"plain.png"]
    for seed, name in enumerate(names):
        noise(seed).save(os.fsdecode(os.fsencode(folder) + b"/" + name), "PNG")
    done = make(folder, workers=1)
    assert done.counts["kept"] == 3
    for name in ("manifest.jsonl", "curation.json", "CREDITS.md", "dataset.json"):
        assert "\x1b" not in (done.path / name).read_text(encoding="utf-8")
    rows = [json.loads(line) for line in (done.path / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted(os.fsencode(row["source"]) for row in rows) == sorted(names)
    before = fingerprint(done.path)
    assert fingerprint(make(folder).path) == before


def test_mirror_writes_a_mirrored_copy_in_the_same_split(photos: Path) -> None:
    done = make(photos, mirror=True)
    kept = [row for row in done.rows if row["status"] == "ok"]
    assert [row["mirrored"] for row in kept] == [False, True] * 8
    first, second = (np.asarray(read_image(done.path / row["file"])) for row in kept[:2])
    assert np.array_equal(first[:, ::-1], second)


def test_sub_folders_are_labels_and_the_manifest_is_carried_on(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    rows = []
    for number, label in enumerate(["cat", "dog", "cat"]):
        file = f"images/{label}/{number}.png"
        (raw / file).parent.mkdir(parents=True, exist_ok=True)
        noise(number).save(raw / file)
        rows.append(new_row(status="ok", url=f"http://x/{number}", file=file, license="CC-BY-4.0", creator="A [b](c)"))
    (raw / "manifest.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\nbroken\n")
    done = make(raw)
    dataset = json.loads((done.path / "dataset.json").read_text())
    assert dataset["label_names"] == ["cat", "dog"]
    assert sorted(number for _, number in dataset["labels"]) == [0, 0, 1]
    written = [json.loads(line) for line in (done.path / "manifest.jsonl").read_text().splitlines()]
    assert {row["license"] for row in written} == {"CC-BY-4.0"}
    assert {row["url"] for row in written} == {"http://x/0", "http://x/1", "http://x/2"}
    assert "CC" in (done.path / "CREDITS.md").read_text()


@pytest.mark.parametrize("background", ["white", "keep"])
def test_transparency_is_laid_over_the_background_or_kept(tmp_path: Path, background: str) -> None:
    (tmp_path / "in").mkdir()
    for seed in range(2):
        image = noise(seed).convert("RGBA")
        image.putalpha(Image.new("L", image.size, 0))
        noise(seed + 5).save(tmp_path / "in" / f"opaque{seed}.png")
        image.save(tmp_path / "in" / f"{seed}.png")
    done = make(tmp_path / "in", background=background)
    assert modes(done) == {"RGBA" if background == "keep" else "RGB"}


def test_a_grey_set_has_one_channel_and_a_mixed_one_three(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for seed in range(3):
        noise(seed).convert("L").save(tmp_path / "in" / f"{seed}.png")
    done = make(tmp_path / "in")
    assert modes(done) == {"L"}
    noise(7).save(tmp_path / "in" / "colour.png")
    done = make(tmp_path / "in")
    assert modes(done) == {"RGB"}


def test_a_dry_run_writes_nothing(photos: Path) -> None:
    done = make(photos, dry_run=True)
    assert len(done.rows) == 8
    assert not done.path.exists()


def test_nothing_usable_is_one_clear_message(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(DataError, match="No images found"):
        make(tmp_path / "in")
    (tmp_path / "in" / "a.jpg").write_bytes(b"text")
    with pytest.raises(DataError, match="None of the 1 file can be used: 1 not an image"):
        make(tmp_path / "in")
    with pytest.raises(DataError, match="There is no folder"):
        make(tmp_path / "nothing")
    with pytest.raises(GanError, match="lie in each other"):
        make(tmp_path / "in", out=tmp_path / "in" / "set")


def test_one_image_and_all_duplicates_make_a_set_of_one(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    noise(0).save(tmp_path / "in" / "a.png")
    assert make(tmp_path / "in").counts["kept"] == 1
    for name in "bcd":
        noise(0).save(tmp_path / "in" / f"{name}.png")
    assert make(tmp_path / "in").counts == {"files": 4, "kept": 1, "written": 1, "duplicates": 3, "held_out": 0}
