"""What each kind of source gives before the split: folder, zip, shards, `idx:`, `torchvision:`, `demo:`, `toy:`."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gancli.data.cache import Digests, cached_array, digests_of
from gancli.data.decoding import decode
from gancli.data.folder import Entry, folder_entries, zip_entries
from gancli.data.idx import read_idx_folder
from gancli.data.shards import find_shards, read_shards, shard_stamps
from gancli.errors import DataError, UsageError
from gancli.files import read_json_lines
from gancli.sizes import parse_train_size
from gancli.text import clean

__all__ = ["Loaded", "open_source"]

DEMO_SIZE = 2000
_DEFAULT_SIZE = (64, 64)


@dataclass(kw_only=True)
class Loaded:
    """What each kind of source gives before the split."""

    spec: str
    images: npt.NDArray[Any]
    labels: npt.NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()
    flip: bool = True
    skipped: list[tuple[str, str]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    held_out_names: frozenset[str] | None = None
    card: dict[str, Any] = field(default_factory=dict)
    scale: float = 1.0
    digests: Digests | None = None
    origins: Digests | None = None  # hashes that are the same at every size, for the split; None: the digests are


def open_source(spec: str, size: str | None, seed: int) -> Loaded:
    """All images that `spec` names. Raises `DataError` or `UsageError` saying what was looked for."""
    kind, _, rest = spec.partition(":")
    if kind in _SPECIAL:
        return _SPECIAL[kind](rest, size, seed)
    return _open_path(Path(spec).expanduser(), size)


def _open_path(path: Path, size: str | None) -> Loaded:
    if not path.exists():
        raise DataError(
            f"There is nothing at '{clean(path)}'. "
            "Name a folder or zip of images, idx:FOLDER, demo:landscapes or toy:ring."
        )
    if shards := find_shards(path):
        return _open_shards(path, shards, size)
    entries = folder_entries(path) if path.is_dir() else zip_entries(path)
    labels_of: dict[str, str] = {}
    held_out: frozenset[str] | None = None
    own_size: tuple[int, int] | None = None
    card: dict[str, Any] = {}
    flip = True
    if path.is_dir() and (path / "curation.json").is_file():
        entries, labels_of, held_out, own_size, card, flip = _curated(path)
    chosen = parse_train_size(size) if size else own_size or _DEFAULT_SIZE
    key = {"size": chosen, "files": [(e.name, *e.stamp) for e in entries], "place": str(path.resolve())}

    def build(file: Path) -> tuple[tuple[int, ...], dict[str, Any]]:
        made = decode(entries, chosen, file)
        return made.shape, {"kept": made.kept, "skipped": made.skipped, "origins": made.origins}

    images, digests, facts = cached_array(key, build)
    names = [entries[i].name for i in facts["kept"]]
    classes = [labels_of.get(n) or (n.rsplit("/", 1)[0] if "/" in n else "") for n in names]
    if len(set(classes)) > 1:  # what lies beside sub-folders is a class of the folder's name
        classes = [c or (path.stem if path.is_file() else path.resolve().name) for c in classes]
    class_names = tuple(sorted(set(classes)))
    index = {c: i for i, c in enumerate(class_names)}
    return Loaded(
        spec=str(path.resolve()),
        images=images,
        digests=digests,
        labels=np.array([index[c] for c in classes], np.int64),
        class_names=class_names,
        flip=flip,
        skipped=[(n, r) for n, r in facts["skipped"]],
        names=names,
        origins=np.array(facts["origins"], np.uint64),
        held_out_names=held_out,
        card=card,
    )


def _open_shards(path: Path, shards: list[Path], size: str | None) -> Loaded:
    made = _curation(path) if (path / "curation.json").is_file() else {}
    chosen = parse_train_size(size) if size else _own_size(made) or _DEFAULT_SIZE

    def build(file: Path) -> tuple[tuple[int, ...], dict[str, Any]]:
        samples, damaged = read_shards(shards)
        made = decode([sample.entry for sample in samples], chosen, file)
        used = [samples[index] for index in made.kept]
        return made.shape, {
            "names": [sample.entry.name for sample in used],
            "labels": [sample.label for sample in used],
            "held_out": [sample.entry.name for sample in used if sample.split == "held-out"],
            "licenses": dict(Counter(sample.license for sample in used)),
            "skipped": damaged + made.skipped,
            "origins": made.origins,
        }

    key = {"size": chosen, "shards": shard_stamps(shards), "place": str(path.resolve())}
    images, digests, facts = cached_array(key, build)
    class_names = tuple(sorted(set(facts["labels"])))
    index = {c: i for i, c in enumerate(class_names)}
    return Loaded(
        spec=str(path.resolve()),
        images=images,
        digests=digests,
        labels=np.array([index[c] for c in facts["labels"]], np.int64),
        class_names=class_names,
        flip=not made.get("mirror", False),
        skipped=[(n, r) for n, r in facts["skipped"]],
        names=facts["names"],
        origins=np.array(facts["origins"], np.uint64),
        held_out_names=frozenset(facts["held_out"]),
        card={"images": len(images), "licenses": facts["licenses"]},
    )


def _curated(
    path: Path,
) -> tuple[list[Entry], dict[str, str], frozenset[str], tuple[int, int] | None, dict[str, Any], bool]:
    """What `gan curate` wrote beside the images: only files its manifest lists, labels, splits, size, licences."""
    rows, _ = read_json_lines(path / "manifest.jsonl")
    rows = [r for r in rows if r.get("status") == "ok" and isinstance(r.get("file"), str)]
    files = {str(r["file"]) for r in rows}
    present = [path / f for f in sorted(files) if ".." not in Path(f).parts and (path / f).is_file()]
    if not present:
        raise DataError(f"The training set '{clean(path)}' lists no images that are there. Run 'gan curate' again.")
    labels = {str(r["file"]): str(r["label"]) for r in rows if r.get("label") not in (None, "")}
    held_out = frozenset(str(r["file"]) for r in rows if r.get("split") == "held-out")
    licences: dict[str, int] = {}
    for row in rows:
        name = clean(row.get("license") or "unknown", 60)
        licences[name] = licences.get(name, 0) + 1
    asked = _curation(path)
    card = {"images": len(present), "licenses": licences}
    return folder_entries(path, present), labels, held_out, _own_size(asked), card, not asked.get("mirror", False)


def _curation(path: Path) -> dict[str, Any]:
    """The parameters of a training set."""
    try:
        made = json.loads((path / "curation.json").read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"'{clean(path)}/curation.json' cannot be read. Run 'gan curate' again.") from error
    asked = made.get("parameters", made) if isinstance(made, dict) else {}
    return asked if isinstance(asked, dict) else {}


def _own_size(asked: dict[str, Any]) -> tuple[int, int] | None:
    value = asked.get("size")
    if isinstance(value, str) and re.fullmatch(r"\d+(x\d+)?", value):
        return parse_train_size(value)
    if isinstance(value, list) and len(value) == 2 and all(isinstance(v, int) for v in value):
        return parse_train_size(f"{value[0]}x{value[1]}")
    return None


def _open_idx(rest: str, size: str | None, seed: int) -> Loaded:
    folder = Path(rest).expanduser()
    pixels, labels, _ = read_idx_folder(folder)
    pixels, origins = _at_size(pixels, size)
    names: tuple[str, ...] = ()
    if labels is not None:  # only classes that are there: letters begin with 1, a part of a set leaves some out
        values, labels = np.unique(labels, return_inverse=True)
        names = tuple(map(str, values))
    return Loaded(
        spec=f"idx:{folder.resolve()}",
        images=pixels,
        labels=labels,
        class_names=names,
        flip=False,
        origins=origins,
    )


def _open_vision(rest: str, size: str | None, seed: int) -> Loaded:
    from gancli.data.vision import open_vision_set

    spec, pixels, labels, names, flip = open_vision_set(rest)
    pixels, origins = _at_size(pixels, size)
    return Loaded(spec=spec, images=pixels, labels=labels, class_names=names, flip=flip, origins=origins)


def _at_size(pixels: npt.NDArray[np.uint8], size: str | None) -> tuple[npt.NDArray[np.uint8], Digests | None]:
    """`pixels` at `size`, and the hashes of those that they came from; None: they are at that size already."""
    own = (pixels.shape[3], pixels.shape[2])
    chosen = parse_train_size(size) if size else own
    return (pixels, None) if chosen == own else (_resize(pixels, chosen), digests_of(pixels))


def _resize(pixels: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    parts = []
    for start in range(0, len(pixels), 2048):
        part = torch.from_numpy(pixels[start : start + 2048].copy()).float()
        small = torch.nn.functional.interpolate(part, (size[1], size[0]), mode="bilinear", antialias=True)
        parts.append(small.round().clamp(0, 255).to(torch.uint8).numpy())
    return np.concatenate(parts)


def _open_demo(rest: str, size: str | None, seed: int) -> Loaded:
    if rest != "landscapes":
        raise UsageError(f"'demo:{clean(rest, 40)}' is not known; there is demo:landscapes.")
    chosen = parse_train_size(size) if size else _DEFAULT_SIZE

    def build(file: Path) -> tuple[tuple[int, ...], dict[str, Any]]:
        from gancli.painter import landscapes

        images, labels = landscapes(DEMO_SIZE, chosen, seed)
        pixels = images.transpose(0, 3, 1, 2)
        file.write_bytes(pixels.tobytes())
        return pixels.shape, {"labels": labels.tolist()}

    from gancli.painter import KINDS

    images, digests, facts = cached_array(
        {"demo": "landscapes", "size": chosen, "seed": seed, "painter": _painter_mark()}, build
    )
    return Loaded(
        spec="demo:landscapes",
        images=images,
        digests=digests,
        labels=np.array(facts["labels"], np.int64),
        class_names=KINDS,
        origins=digests_of(np.arange(len(images))),  # at every size the same scenes
        card={"images": DEMO_SIZE, "licenses": {"CC0-1.0 (painted)": DEMO_SIZE}},
    )


def _painter_mark() -> str:
    """The painter's source decides its pictures, so it is part of the cache's key."""
    from gancli import painter, painting

    digest = hashlib.blake2b(digest_size=8)
    for path in [Path(painter.__file__), *sorted(Path(painting.__path__[0]).glob("*.py"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _open_toy(rest: str, size: str | None, seed: int) -> Loaded:
    from gancli.data.toys import toy_points

    if size:
        raise UsageError(f"--size has no meaning for toy:{clean(rest, 40)}, which is 2-D points.")
    points = toy_points(rest, seed)
    scale = float(np.sqrt(np.square(points).sum(1).mean()))
    return Loaded(spec=f"toy:{rest}", images=points / np.float32(scale), flip=False, scale=scale, card={"scale": scale})


_SPECIAL: dict[str, Callable[[str, str | None, int], Loaded]] = {
    "idx": _open_idx,
    "demo": _open_demo,
    "torchvision": _open_vision,
    "toy": _open_toy,
}
