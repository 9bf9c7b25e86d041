"""WebDataset shards as training data: tar files whose members 000000001.jpg, .cls, .json of one key are one sample.

Nothing is unpacked: a shard is walked through once for where its images lie, and each is read from there. Written so by
`gan curate --format webdataset` and by img2dataset.
"""

from __future__ import annotations

import functools
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gancli.data.folder import Entry
from gancli.errors import DataError
from gancli.images import IMAGE_SUFFIXES, ImageError, list_images
from gancli.text import clean

__all__ = ["Sample", "find_shards", "read_shards", "shard_stamps"]

_MAX_IMAGE_BYTES = 256 << 20
_MAX_TEXT_BYTES = 1 << 20


@dataclass(frozen=True)
class Sample:
    """One image of a shard: how to read it, and what the members beside it say."""

    entry: Entry
    label: str
    split: str
    license: str


def find_shards(path: Path) -> list[Path]:
    """The tar files that `path` means: itself, or those of a folder that holds no images of its own; else none."""
    if path.is_file():
        return [path] if path.suffix.lower() == ".tar" else []
    shards = sorted(path.glob("*.tar")) or sorted(path.glob("*/*.tar"))
    if shards and not (path / "curation.json").is_file() and list_images(path):
        return []
    return [shard for shard in shards if shard.is_file() and not shard.name.startswith(".")]


def shard_stamps(shards: list[Path]) -> list[tuple[str, int, int, int]]:
    """What tells that a shard changed: name, size, times."""
    stats = [(shard.name, shard.stat()) for shard in shards]
    return [(name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for name, stat in stats]


def read_shards(shards: list[Path]) -> tuple[list[Sample], list[tuple[str, str]]]:
    """The samples of all shards in order, and (name, reason) of what cannot be used. Raises `DataError` at none."""
    samples: list[Sample] = []
    skipped: list[tuple[str, str]] = []
    for shard in shards:
        try:
            samples.extend(_samples(shard))
        except (OSError, tarfile.TarError, ValueError, EOFError) as error:
            skipped.append((shard.name, f"is no whole tar file ({clean(error, 80)})"))
    if not samples:
        why = f" ({skipped[0][0]}: {skipped[0][1]})" if skipped else ""
        raise DataError(
            f"No images found in {len(shards)} tar file(s) at '{clean(shards[0].parent)}'{why}. "
            "WebDataset shards are plain tar files; unpack compressed ones first."
        )
    return samples, skipped


def _samples(shard: Path) -> Iterator[Sample]:
    image: tuple[str, int, int] | None = None
    key, beside = "", dict[str, str]()
    with tarfile.open(shard, "r:") as archive, shard.open("rb") as file:
        while True:
            try:
                member = archive.next()
            except tarfile.TarError:
                if image is None:
                    raise
                member = None  # a shard cut off in the middle: what is whole is used
            archive.members = []  # type: ignore[attr-defined]  # the index of a large shard would fill the memory
            stem, suffix = _key(member.name) if member is not None else ("", "")
            if member is None or stem != key:
                if image is not None:
                    yield _sample(shard, image, beside)
                image, key, beside = None, stem, {}
            if member is None:
                return
            if not member.isreg() or member.sparse:
                continue
            if suffix in IMAGE_SUFFIXES and image is None:
                image = (member.name, member.offset_data, member.size)
            elif suffix in (".cls", ".json") and member.size <= _MAX_TEXT_BYTES:
                file.seek(member.offset_data)
                beside[suffix] = file.read(member.size).decode("utf-8", "replace")


def _key(name: str) -> tuple[str, str]:
    """'a/0001.Seg.JPG' -> ('a/0001', '.jpg'): up to the first dot of the file's own name, and the last suffix."""
    folder, slash, own = name.rpartition("/")
    stem, _, rest = own.partition(".")
    return f"{folder}{slash}{stem}", f".{rest.rpartition('.')[2].lower()}" if rest else ""


def _sample(shard: Path, image: tuple[str, int, int], beside: dict[str, str]) -> Sample:
    name, offset, size = image
    facts: dict[str, Any] = {}
    try:
        found = json.loads(beside.get(".json", "{}"))
        facts = found if isinstance(found, dict) else {}
    except ValueError:
        pass
    named = facts.get("label")
    # a name says more than the number of a class
    is_name = isinstance(named, str) and not named.strip().isdigit()
    label = named if is_name else beside.get(".cls") or named
    return Sample(
        entry=Entry(f"{shard.name}/{name}", (offset, size), functools.partial(_read, shard, offset, size)),
        label="" if label is None else clean(label, 80).strip(),
        split=str(facts.get("split") or ""),
        license=clean(facts.get("license") or "unknown", 60),
    )


def _read(shard: Path, offset: int, size: int) -> bytes:
    if size > _MAX_IMAGE_BYTES:
        raise ImageError("too large")
    with shard.open("rb") as file:
        file.seek(offset)
        data = file.read(size)
    if len(data) < size:
        raise ImageError("cut off at the end of the shard")
    return data
