"""The folder of a training set: whose files are whose, what has to be written, and the files that others read.

`.pending.json` lists what is about to be added and removed, so that after a crash the set still knows its own files.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import filelock

from gancli.curate.options import CurateOptions
from gancli.curate.sources import REVIEW
from gancli.errors import DataError, DiskError, GanError
from gancli.files import json_bytes, make_folder, read_json_lines, write_json, write_json_lines
from gancli.manifest import CREDITS, MANIFEST
from gancli.text import clean

__all__ = ["CURATION", "RENDER_VERSION", "TrainingSet", "choose_folder"]

CURATION = "curation.json"
PENDING = ".pending.json"
DATASET = "dataset.json"
SHEET = "contact-sheet.jpg"
LOCK = ".curate.lock"
RENDER_VERSION = 2
_PICTURE = re.compile(r"images/[0-9a-f]{16}(-\d+)?(-m)?\.png")
_OURS = {CURATION, DATASET, SHEET, MANIFEST, CREDITS, REVIEW, PENDING}


class TrainingSet:
    """An existing or future training set at `folder`. Raises `DataError` where the folder is something else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.curation = _read_object(folder / CURATION)
        self.pending = _read_object(folder / PENDING)
        self.rows, self._broken = read_json_lines(folder / MANIFEST) if self.curation is not None else ([], 0)
        self.exists = self.curation is not None or self.pending is not None

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps other processes from writing the set meanwhile; the system gives it back however this one ends.

        Raises `DataError` when another is at it, or has changed the set since it was looked at.
        """
        name = clean(str(self.folder), 200)
        lock = filelock.FileLock(make_folder(self.folder) / LOCK, timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise DataError(
                f"Another 'gan curate' is writing '{name}' now. Wait for it, or name another folder with -o."
            ) from error
        except OSError as error:
            raise DiskError.from_os(error, self.folder) from error
        with lock:
            now = TrainingSet(self.folder)
            if (now.curation, now.pending) != (self.curation, self.pending):
                raise DataError(f"Another 'gan curate' has just changed '{name}'. Run the command again.")
            yield

    def identity(self) -> dict[str, Any]:
        """What the set was made from and how."""
        known = self.curation or self.pending or {}
        parameters = known.get("parameters")
        return {"inputs": known.get("inputs"), "parameters": parameters if isinstance(parameters, dict) else {}}

    def difference(self, inputs: Sequence[str], options: CurateOptions) -> str | None:
        """In words, how the set was made otherwise than asked now; None when it is the same."""
        was = self.identity()
        parameters = was["parameters"]
        for name, value in options.as_json().items():
            if name in parameters and parameters[name] != value:
                return f"--{name.replace('_', '-')} was {_plain(parameters[name])}, now {_plain(value)}"
        if was["inputs"] != list(inputs):
            return f"it was made from {_plain(was['inputs'])}, now {_plain(list(inputs))}"
        return None

    def owned(self) -> set[str]:
        """The files, relative to the folder, that this set put there itself; by their names where lines of its
        manifest are broken."""
        files = {row["file"] for row in self.rows if isinstance(row.get("file"), str) and row.get("status") == "ok"}
        for name in ("add", "remove"):
            files.update(_names(self.pending, name))
        if self._broken:
            files.update(name for name in _walk(self.folder) if _PICTURE.fullmatch(name))
        return files | set(self.files()) | _OURS

    def files(self) -> list[str]:
        """The sheets and packages of the set as it is."""
        return _names(self.curation, "files")

    def check_foreign(self) -> None:
        """Raises `DataError` when the folder holds a file that is not ours; hidden files of the system do not count."""
        if not self.folder.exists():
            return
        if not self.folder.is_dir():
            raise DataError(f"'{clean(str(self.folder), 200)}' is a file, not a folder. Name another place with -o.")
        owned = self.owned() if self.exists else set()
        for name in _walk(self.folder):
            if name not in owned and not (self.exists and self._is_package(name)):
                raise DataError(
                    f"'{clean(str(self.folder), 200)}' holds files that gan curate did not put there, e.g. "
                    f"'{clean(name, 120)}'. Move them away, or name another folder with -o."
                )

    def differs(self, rows: list[dict[str, Any]]) -> bool:
        """Was the set left half done, or with another manifest?"""
        return self.pending is not None or self.rows != rows

    def has(self, files: Iterable[str]) -> bool:
        """Are these files of the set there?"""
        return all((self.folder / name).is_file() for name in files)

    def _is_package(self, name: str) -> bool:
        """A sheet or a package that this set makes, and may have left half done."""
        made = str(self.identity()["parameters"].get("format"))
        packages = {"webdataset": r"shards/\d{5,}\.tar", "hf": r"hf/(train|test)/[\w.-]+", "zip": r"[^/]+\.zip"}
        return re.fullmatch(rf"contact-sheet-\d+\.jpg|{packages.get(made, '(?!)')}", name) is not None

    def begin(self, inputs: Sequence[str], options: CurateOptions, add: Iterable[str], remove: Iterable[str]) -> None:
        """Makes the folder and notes what is going to happen, before it does."""
        make_folder(self.folder / "images")
        add, remove = sorted(add), sorted(remove)
        self._remove_leftovers()
        write_json(
            self.folder / PENDING,
            {
                "inputs": list(inputs),
                "parameters": options.as_json(),
                "add": sorted({*add, *_names(self.pending, "add")}),
                "remove": sorted({*remove, *_names(self.pending, "remove")}),
            },
        )

    def remove(self, files: Iterable[str]) -> None:
        """Deletes files of this set."""
        for name in files:
            path = self.folder / name
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise DiskError.from_os(error, path, "remove") from error

    def finish(self, rows: list[dict[str, Any]], dataset: dict[str, Any], curation: dict[str, Any]) -> None:
        """Writes the manifest, the labels and the mark of a finished set, in this order, once the pictures are safe."""
        if hasattr(os, "sync"):
            os.sync()
        write_json_lines(self.folder / MANIFEST, rows)
        _write_if_changed(self.folder / DATASET, dataset)
        _write_if_changed(self.folder / CURATION, curation)
        with contextlib.suppress(OSError):
            (self.folder / PENDING).unlink(missing_ok=True)

    def _remove_leftovers(self) -> None:
        for folder in (self.folder, self.folder / "images"):
            for path in folder.glob(".*.part"):
                with contextlib.suppress(OSError):
                    path.unlink()


def choose_folder(wanted: Path | None, default: Path, inputs: Sequence[Path], options: CurateOptions) -> TrainingSet:
    """The set to make or to bring up to date. Another set at `wanted` is an error; else a free name is found."""
    number = 2
    folder = wanted if wanted is not None else default
    while True:
        _check_apart(folder, inputs)
        found = TrainingSet(folder)
        difference = found.difference(relative_inputs(inputs, folder), options) if found.exists else None
        if wanted is not None:
            if difference is not None:
                raise GanError(
                    f"'{clean(str(folder), 200)}' is a training set made otherwise: {clean(difference, 300)}. "
                    "Give the same parameters, or name another folder with -o."
                )
            found.check_foreign()
            return found
        taken = folder.exists() and not found.exists and (not folder.is_dir() or any(_walk(folder)))
        if difference is None and not taken:
            found.check_foreign()
            return found
        folder = default.with_name(f"{default.name}-{number}")
        number += 1


def relative_inputs(inputs: Sequence[Path], folder: Path) -> list[str]:
    """The inputs as curation.json names them: relative to the set, so that both can be moved together."""
    names = []
    for path in inputs:
        try:
            names.append(Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix())
        except ValueError:
            names.append(path.resolve().as_posix())
    return names


def _check_apart(folder: Path, inputs: Sequence[Path]) -> None:
    place = folder.resolve()
    for path in inputs:
        source = path.resolve()
        if place == source or source in place.parents or place in source.parents:
            raise GanError(
                f"The output '{clean(str(folder), 200)}' and the input '{clean(str(path), 200)}' lie in each other. "
                "Name a folder outside with -o."
            )


def _walk(folder: Path) -> Iterable[str]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and name not in ("Thumbs.db", "desktop.ini"):
                yield Path(place, name).relative_to(folder).as_posix()


def _names(known: dict[str, Any] | None, key: str) -> list[str]:
    names = (known or {}).get(key)
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _read_object(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        return None
    except OSError as error:
        raise DiskError.from_os(error, path, "read") from error
    except ValueError as error:
        raise DataError(
            f"'{clean(str(path), 200)}' cannot be read as JSON. Remove the training set, but for its review.jsonl, "
            "and curate again, or name another folder with -o."
        ) from error
    return value if isinstance(value, dict) else {}


def _write_if_changed(path: Path, value: dict[str, Any]) -> None:
    if _unchanged(path, value):
        return
    write_json(path, value)


def _unchanged(path: Path, value: dict[str, Any]) -> bool:
    try:
        return path.read_bytes() == json_bytes(value, indent=2)
    except OSError:
        return False


def _plain(value: object) -> str:
    return ", ".join(str(part) for part in value) if isinstance(value, list) else str(value)
