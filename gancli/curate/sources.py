"""The files to choose from: raw sets and plain folders, with what their manifests know of each picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gancli.errors import DataError, DiskError
from gancli.images import IMAGE_SUFFIXES, list_images
from gancli.manifest import MANIFEST, read_manifest
from gancli.text import clean, plural

__all__ = ["REVIEW", "UNLABELLED", "Source", "collect_sources", "is_raw_set"]

REVIEW = "review.jsonl"
UNLABELLED = "unlabelled"  # the class of what has none where others have one


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One input file: `name` is relative to its input folder (with several inputs, that folder's name first)."""

    path: Path
    name: str
    root: Path
    label: str | None = None
    row: dict[str, Any] = field(default_factory=dict)


def is_raw_set(folder: Path) -> bool:
    """A folder that `gan scrape` made."""
    return (folder / MANIFEST).is_file() and not (folder / "curation.json").exists()


def collect_sources(inputs: Sequence[Path]) -> tuple[list[Source], list[str]]:
    """The candidates of all inputs in a fixed order, and notes worth telling. Raises `DataError` if there are none."""
    sources: list[Source] = []
    notes: list[str] = []
    names = _input_names(inputs)
    for folder, name in zip(inputs, names, strict=True):
        _check_folder(folder)
        rows, is_training_set = _rows_by_file(folder, notes), (folder / "curation.json").exists()
        for path in list_images(folder):
            relative = _relative(path, folder)
            if is_training_set and not relative.startswith("images/"):
                continue
            row = rows.get(relative, {})
            label = row.get("label") if isinstance(row.get("label"), str) else _label(relative, bool(rows))
            full = f"{name}/{relative}" if len(inputs) > 1 else relative
            sources.append(Source(path=path, name=full, root=folder, label=label, row=row))
    if not sources:
        where = ", ".join(f"'{clean(str(folder), 200)}'" for folder in inputs)
        looked = " ".join(sorted(IMAGE_SUFFIXES))
        raise DataError(
            f"No images found in {where} (looked for {looked}). Run 'gan scrape \"…\"' or point at another folder."
        )
    if any(source.label for source in sources):
        sources = [source if source.label else replace(source, label=UNLABELLED) for source in sources]
    return sources, notes


def _input_names(inputs: Sequence[Path]) -> list[str]:
    names: list[str] = []
    for folder in inputs:
        base = folder.resolve().name or "root"
        name, number = base, 2
        while name in names:
            name, number = f"{base}-{number}", number + 1
        names.append(name)
    return names


def _check_folder(folder: Path) -> None:
    shown = clean(str(folder), 200)
    try:
        if not folder.exists():
            raise DataError(f"There is no folder '{shown}'. Run 'gan scrape \"…\"' first, or name a folder of images.")
        if not folder.is_dir():
            raise DataError(f"'{shown}' is a file, not a folder of images. Name the folder it lies in.")
        os.listdir(folder)
    except OSError as error:
        raise DiskError.from_os(error, folder, "read the folder") from error


def _rows_by_file(folder: Path, notes: list[str]) -> dict[str, dict[str, Any]]:
    rows = read_manifest(folder)
    if rows.broken:
        notes.append(f"skipped {plural(rows.broken, 'broken line')} in {clean(str(folder / MANIFEST), 200)}")
    return {row["file"]: row for row in rows if isinstance(row.get("file"), str) and row.get("status") == "ok"}


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _label(relative: str, from_raw_set: bool) -> str | None:
    parts = relative.split("/")[:-1]
    if from_raw_set and parts[:1] == ["images"]:
        parts = parts[1:]
    return clean(parts[0], 100) if parts else None
