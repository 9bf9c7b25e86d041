"""Where a result goes: -o, or a readable free name beside the input."""

from __future__ import annotations

from pathlib import Path

from gancli.errors import GanError
from gancli.files import free_path, make_folder
from gancli.text import clean

__all__ = ["beside", "output_file", "output_folder"]


def beside(source: Path | str, ending: str) -> Path:
    """The name `<source><ending>` next to `source`; for a checkpoint inside a run, next to the run."""
    path = Path(source)
    if path.is_file() and (path.parent / "config.json").is_file():
        path = path.parent
    whole = path if path.name and path.name != ".." else path.resolve()
    stem = whole.stem if whole.is_file() else whole.name
    return whole.parent / f"{stem}{ending}"


def output_file(out: Path | None, default: Path, *, force: bool = False) -> Path:
    """`out`, or the first free name like `default`. Raises `GanError` for what exists, unless a file and `force`."""
    if out is None:
        return free_path(default)
    if out.is_dir():
        raise GanError(f"-o '{clean(out)}' is a folder, and a file is to be written. Name a file in it.")
    if out.exists() and not force:
        raise GanError(f"-o '{clean(out)}' exists. Choose another name, or replace it with --force.")
    if out.parent != Path():
        make_folder(out.parent)
    return out


def output_folder(out: Path | None, default: Path) -> Path:
    """`out` (new, or empty), or the first free name like `default`, made. Raises `GanError` for a folder in use."""
    place = free_path(default) if out is None else out
    if place.is_dir() and any(place.iterdir()):
        raise GanError(f"-o '{clean(place)}' exists and is not empty; a folder is never replaced. Choose another name.")
    return make_folder(place)
