"""The training set packed for other programs, beside its pictures: StyleGAN's zip, WebDataset shards, an imagefolder.

Packages are made anew from the pictures whenever the set changes; every date in them is fixed, so that the same set
gives the same bytes.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from gancli.errors import DiskError
from gancli.files import atomic_file, make_folder, write_json_lines
from gancli.text import slug

__all__ = ["write_package"]

_SHARD_SAMPLES, _SHARD_BYTES = 10_000, 256_000_000
_CARRIED = ("url", "page_url", "title", "creator", "license", "license_url", "attribution", "sha256", "phash", "flags")
_Rows = Sequence[dict[str, Any]]


def write_package(kind: str, folder: Path, rows: _Rows, classes: Sequence[str]) -> list[str]:
    """Packs the kept `rows` of the set `folder`; returns the files made, relative to it. Raises `DiskError`."""
    kept = [row for row in rows if row["status"] == "ok"]
    writers: dict[str, Callable[[Path, _Rows, Sequence[str]], list[str]]] = {
        "zip": _write_zip,
        "webdataset": _write_shards,
        "hf": _write_imagefolder,
    }
    return writers[kind](folder, kept, classes) if kind in writers else []


def _write_zip(folder: Path, rows: _Rows, classes: Sequence[str]) -> list[str]:
    """StyleGAN's layout: 00000/img00000000.png, stored, and dataset.json; what is held out is not in it."""
    name = f"{slug(folder.resolve().name, 80)}.zip"
    shown = [row for row in rows if row["split"] != "held-out"]
    names = [f"{index // 1000:05d}/img{index:08d}.png" for index in range(len(shown))]
    labels = [[name, classes.index(row["label"])] for name, row in zip(names, shown, strict=True)] if classes else None
    with atomic_file(folder / name) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for member, row in zip(names, shown, strict=True):
            archive.writestr(zipfile.ZipInfo(member), (folder / row["file"]).read_bytes())
        archive.writestr(zipfile.ZipInfo("dataset.json"), json.dumps({"labels": labels}))
    return [name]


def _write_shards(folder: Path, rows: _Rows, classes: Sequence[str]) -> list[str]:
    """shards/00000.tar …: for each picture .png, .json (where it comes from) and, with classes, .cls."""
    make_folder(folder / "shards")
    names = []
    for number, part in enumerate(_shards(folder, rows)):
        name = f"shards/{number:05d}.tar"
        with atomic_file(folder / name) as file:
            _write_shard(file, folder, part, classes)
        names.append(name)
    return names


def _shards(folder: Path, rows: _Rows) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    part: list[tuple[int, dict[str, Any]]] = []
    size = 0
    for index, row in enumerate(rows):
        part.append((index, row))
        size += (folder / row["file"]).stat().st_size
        if len(part) == _SHARD_SAMPLES or size >= _SHARD_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _write_shard(
    file: BinaryIO, folder: Path, part: Sequence[tuple[int, dict[str, Any]]], classes: Sequence[str]
) -> None:
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for index, row in part:
            about = {"file": row["file"], "label": row["label"], "split": row["split"], **_carried(row)}
            members = {"png": (folder / row["file"]).read_bytes(), "json": json.dumps(about).encode()}
            if classes:
                members["cls"] = str(classes.index(row["label"])).encode()
            for suffix, data in members.items():
                info = tarfile.TarInfo(f"{index:09d}.{suffix}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))


def _write_imagefolder(folder: Path, rows: _Rows, classes: Sequence[str]) -> list[str]:
    """hf/train and hf/test, each with metadata.jsonl; the pictures are the set's own, linked where that works."""
    names = []
    for split, place in (("train", "train"), ("held-out", "test")):
        shown = [row for row in rows if row["split"] == split]
        if not shown:
            continue
        target = make_folder(folder / "hf" / place)
        lines = []
        for row in shown:
            name = Path(row["file"]).name
            _link(folder / row["file"], target / name)
            names.append(f"hf/{place}/{name}")
            label = {"label": row["label"]} if classes else {}
            lines.append({"file_name": name, **label, **_carried(row)})
        write_json_lines(target / "metadata.jsonl", lines)
        names.append(f"hf/{place}/metadata.jsonl")
    return names


def _link(source: Path, target: Path) -> None:
    try:
        target.unlink(missing_ok=True)
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
    except OSError as error:
        raise DiskError.from_os(error, target) from error


def _carried(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row.get(name) for name in _CARRIED}
