"""The checkpoint file: written whole or not at all, read without running anything, checked before it is used.

One dict, readable with `torch.load(weights_only=True)`; CLI.md names its fields.
"""

from __future__ import annotations

import os
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gancli.config import Engine, TrainConfig
from gancli.errors import CheckpointError, ConfigError, DiskError
from gancli.files import atomic_file
from gancli.text import clean

__all__ = ["FORMAT_VERSION", "Checkpoint", "find_checkpoint", "read_checkpoint", "write_checkpoint"]

FORMAT_VERSION = 1
_MAX_BYTES = 32 << 30
_STATES = ("generator", "generator_ema", "discriminator", "optimizer_g", "optimizer_d", "augment", "data_card")
_NEEDED = ("format_version", "recipe", "config", "engine", "nimg", "draw", *_STATES)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint in memory: the validated config, the position, the states of everything that learns."""

    path: Path
    config: TrainConfig
    engine: Engine
    nimg: int
    draw: int
    states: dict[str, Any]  # generator, generator_ema, discriminator, optimizer_g, optimizer_d, augment, data_card
    extra: dict[str, Any]  # numbers beside: seconds, target_nimg, tick, quantiles …


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Writes `content` to `path` atomically and fsynced. Raises `DiskError`; what was at `path` then stays."""
    with atomic_file(path) as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:
            # torch reports a failed write of its zip writer as a RuntimeError without errno
            if "write" in str(error) or "unexpected pos" in str(error):
                raise OSError(28, "No space left on device") from error
            raise


def find_checkpoint(path: Path | str) -> Path:
    """The checkpoint file that `path` means: itself, or a run's best.pt, else its last.pt."""
    path = Path(path)
    if path.is_dir():
        for name in ("best.pt", "last.pt"):
            if (path / name).is_file():
                return path / name
        raise CheckpointError(
            f"'{clean(path)}' holds no checkpoint (no best.pt or last.pt). Name a run that 'gan train' made."
        )
    if not path.exists():
        raise CheckpointError(f"There is no run or checkpoint at '{clean(path)}'.")
    return path


def read_checkpoint(path: Path | str) -> Checkpoint:
    """The checkpoint at `path` (a file, or a run). Raises `CheckpointError` saying what is wrong with the file."""
    path = find_checkpoint(path)
    _check_container(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise DiskError.from_os(error, path, "read") from error
    except Exception as error:
        raise CheckpointError(
            f"'{clean(path)}' cannot be read as a checkpoint: it is damaged, or it holds more than plain tensors "
            f"and numbers and is refused ({clean(str(error).splitlines()[0] if str(error) else error, 160)})."
        ) from error
    return _validate(path, content)


def _check_container(path: Path) -> None:
    """Is it a whole, uncompressed zip of sane size, every byte as its checksum says?"""
    refuse = f"'{clean(path)}' is not a checkpoint"
    try:
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise CheckpointError(f"{refuse} that this tool wrote: {size / 1e9:.0f} GB is too large.")
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > size:
                raise CheckpointError(f"{refuse} that this tool wrote: it unpacks to more than its size.")
            damaged = archive.testzip()
    except OSError as error:
        raise DiskError.from_os(error, path, "read") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{refuse}, or it is truncated ({clean(error, 100)}).") from error
    if damaged is not None:
        raise CheckpointError(f"'{clean(path)}' is damaged: the checksum of its part '{clean(damaged)}' is wrong.")


def _validate(path: Path, content: Any) -> Checkpoint:
    if not isinstance(content, dict) or any(name not in content for name in ("format_version", "recipe", "config")):
        raise CheckpointError(f"'{clean(path)}' is a torch file, but not a checkpoint of gan.")
    version = content["format_version"]
    if not isinstance(version, int) or not 1 <= version <= FORMAT_VERSION:
        raise CheckpointError(
            f"'{clean(path)}' has checkpoint format {clean(version)}; this version of gan reads up to "
            f"{FORMAT_VERSION}. Update gan: pip install --upgrade gancli"
        )
    missing = [name for name in _NEEDED if name not in content]
    if missing:
        raise CheckpointError(f"'{clean(path)}' is not a whole checkpoint: it lacks {', '.join(missing)}.")
    try:
        config = TrainConfig.from_dict(content["config"])
        engine = Engine(**content["engine"])
    except (ConfigError, TypeError) as error:
        raise CheckpointError(f"'{clean(path)}' has a config that cannot be used: {error}") from error
    for name in ("nimg", "draw"):
        if not isinstance(content[name], int) or content[name] < 0:
            raise CheckpointError(f"'{clean(path)}' has an odd {name}: {clean(content[name], 40)}.")
    for name in _STATES:
        if not isinstance(content[name], dict):
            raise CheckpointError(f"'{clean(path)}': its {name} is not a table.")
    for name in ("generator", "generator_ema", "discriminator"):
        if not all(isinstance(value, torch.Tensor) for value in content[name].values()):
            raise CheckpointError(f"'{clean(path)}': its {name} holds something else than tensors.")
    extra = content.get("extra", {})
    return Checkpoint(
        path=path,
        config=config,
        engine=engine,
        nimg=content["nimg"],
        draw=content["draw"],
        states={name: content[name] for name in _STATES} | {"scaler": content.get("scaler") or {}},
        extra=extra if isinstance(extra, dict) else {},
    )


def link_or_copy(source: Path, target: Path) -> None:
    """Makes `target` the same file as `source`, atomically; a copy where links are not to be had."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    temporary.unlink(missing_ok=True)
    try:
        try:
            os.link(source, temporary)
        except OSError:
            with atomic_file(target) as file:
                file.write(source.read_bytes())
            return
        os.replace(temporary, target)
        # between two names of one file the system replaces nothing, and the third name would keep it on the disk
        temporary.unlink(missing_ok=True)
    except OSError as error:
        raise DiskError.from_os(error, target) from error
