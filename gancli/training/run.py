"""The run folder: one writer at a time, nothing recorded is ever lost, the same command finds it again."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import sys
import time
from pathlib import Path
from typing import Any

import filelock
import torch

from gancli.config import FREE_TO_CHANGE, Engine, TrainConfig
from gancli.errors import CheckpointError, ConfigError, DiskError, TrainingError
from gancli.files import append_json_line, make_folder, read_json_lines, write_json, write_json_lines
from gancli.models.checkpoint import Checkpoint, link_or_copy, read_checkpoint, write_checkpoint
from gancli.models.registry import network_spec
from gancli.text import clean, slug

__all__ = ["RunFolder", "find_equal_run", "is_unborn", "run_name"]


def run_name(config: TrainConfig) -> str:
    """A readable name: recipe, data, size."""
    kind, _, rest = config.data.partition(":")
    plain = kind in ("idx", "demo", "toy", "torchvision") and rest
    name = slug(Path(rest if plain else config.data).stem)
    if config.is_points:
        return f"{config.recipe}-{kind}-{name}"
    width, height = config.size
    return f"{config.recipe}-{name}-{width}" + ("" if width == height else f"x{height}")


def find_equal_run(config: TrainConfig, folder: Path) -> RunFolder | None:
    """The newest run in `folder` whose resolved config equals `config`."""
    with contextlib.suppress(OSError):
        runs = [RunFolder(p) for p in folder.iterdir() if (p / "config.json").is_file()]
        runs.sort(key=lambda run: (run.path / "config.json").stat().st_mtime, reverse=True)
        for run in runs:
            with contextlib.suppress(ConfigError, CheckpointError):
                if run.config() == config:
                    return run
    return None


def is_unborn(folder: Path) -> bool:
    """Is `folder` empty, or what a run leaves that ended before its config.json was whole?"""
    if not folder.is_dir():
        return False
    for path in folder.iterdir():
        is_empty_room = path.name in ("samples", "checkpoints") and path.is_dir() and not any(path.iterdir())
        if not (is_empty_room or path.name == ".lock" or re.fullmatch(r"\.config\.json\..*\.part", path.name)):
            return False
    return True


class RunFolder:
    """A run on the disk. config.json, samples and recorded ticks are never overwritten or deleted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = filelock.FileLock(path / ".lock", timeout=0)

    # ---- config -------------------------------------------------------------------------------------------------

    def create(self, config: TrainConfig, engine: Engine, card: dict[str, Any]) -> None:
        """Writes config.json, last of all, so that a run is one or is not; the lock must be held.

        Raises `TrainingError` when another process has made the run since it was looked for.
        """
        if (self.path / "config.json").exists():
            raise TrainingError(
                f"Another process has begun the run '{clean(self.path)}' meanwhile. The same command again continues "
                "it when that one has ended; name another folder with -o for a run of your own."
            )
        for name in ("", "samples", "checkpoints"):
            make_folder(self.path / name)
        write_json(
            self.path / "config.json",
            {"config": config.to_dict(), "engine": engine.to_dict(), "data": card, **_provenance()},
        )

    def config(self) -> TrainConfig:
        """The config that the run was made with. Raises `ConfigError`."""
        return TrainConfig.from_dict(self._stored().get("config"))

    def engine(self) -> Engine:
        """What `auto` chose at the first start."""
        try:
            return Engine(**self._stored().get("engine", {}))
        except TypeError as error:
            raise ConfigError(f"'{clean(self.path)}/config.json' was made by another version of gan.") from error

    def check_continues(self, config: TrainConfig) -> None:
        """Raises `ConfigError` naming the difference when `config` is not this run's but for its length and keeping."""
        stored = self.config()
        if stored.fingerprint != config.fingerprint:
            raise ConfigError(
                f"The data of the run '{clean(self.path)}' has changed: {stored.num_images} training images then, "
                f"{config.num_images} now, or other pixels. Give the old data, add --force-data to go on with the new, "
                "or start another run with --init-from."
            )
        changes = stored.difference(config, (*FREE_TO_CHANGE, "data"))
        if changes:
            raise ConfigError(
                f"The run '{clean(self.path)}' was made with other settings ({clean('; '.join(changes), 300)}). "
                f"Leave -o out for a new run, or begin one from its weights with --init-from '{clean(self.path)}'."
            )

    def _stored(self) -> dict[str, Any]:
        path = self.path / "config.json"
        try:
            stored = json.loads(path.read_text())
        except OSError as error:
            raise DiskError.from_os(error, path, "read") from error
        except ValueError as error:
            raise ConfigError(f"'{clean(path)}' is damaged: {clean(error, 80)}.") from error
        if not isinstance(stored, dict):
            raise ConfigError(f"'{clean(path)}' is not a run's config.")
        return stored

    # ---- one writer ---------------------------------------------------------------------------------------------

    def lock(self) -> None:
        """Takes the run for this process; the system gives it back when the process ends, however it ends."""
        make_folder(self.path)
        try:
            self._lock.acquire()
        except filelock.Timeout as error:
            raise TrainingError(
                f"Another process is training the run '{clean(self.path)}'. "
                "Wait for it, or name another folder with -o."
            ) from error
        except OSError as error:
            raise DiskError.from_os(error, self.path) from error

    def unlock(self) -> None:
        """Gives the run back."""
        self._lock.release()

    def note_start(self, config: TrainConfig, nimg: int) -> int:
        """Records this start in starts.jsonl; returns its number: 1, 2, …"""
        path = self.path / "starts.jsonl"
        number = len(read_json_lines(path)[0]) + 1
        length = {"epochs": config.epochs, "kimg": config.kimg, "minutes": config.minutes}
        append_json_line(path, {"start": number, "nimg": nimg, **length, **_provenance()})
        return number

    # ---- log ----------------------------------------------------------------------------------------------------

    def rows(self) -> list[dict[str, Any]]:
        """The ticks recorded so far."""
        return read_json_lines(self.path / "log.jsonl")[0]

    def append(self, row: dict[str, Any]) -> None:
        """Records a tick."""
        append_json_line(self.path / "log.jsonl", row)

    def drop_rows_beyond(self, nimg: int) -> list[dict[str, Any]]:
        """Takes ticks that the checkpoint does not know out of the log, before they are done again."""
        rows, broken = read_json_lines(self.path / "log.jsonl")
        kept = [row for row in rows if row.get("nimg", 0) <= nimg]
        if broken or len(kept) != len(rows):
            write_json_lines(self.path / "log.jsonl", kept)
        return kept

    # ---- checkpoints --------------------------------------------------------------------------------------------

    def save(self, content: dict[str, Any], keep: int, spare: set[int] | None = None) -> Path:
        """Writes a checkpoint and makes it last.pt; of older ones the `keep` newest stay, and those in `spare`."""
        path = self.checkpoint_at(content["nimg"])
        write_checkpoint(path, content)
        link_or_copy(path, self.path / "last.pt")
        for old in self.checkpoints()[:-keep]:
            if not spare or _position(old) not in spare:
                old.unlink(missing_ok=True)
        return path

    def make_best(self, nimg: int) -> bool:
        """Makes the checkpoint at `nimg` best.pt, if it is still kept."""
        path = self.checkpoint_at(nimg)
        if not path.is_file():
            return False
        link_or_copy(path, self.path / "best.pt")
        return True

    def checkpoints(self) -> list[Path]:
        """The kept checkpoints, oldest first."""
        return sorted((self.path / "checkpoints").glob("checkpoint-*.pt"))

    def forget_beyond(self, nimg: int, aside: str | None = None) -> None:
        """Removes checkpoints beyond `nimg`, which will be made again; with `aside` grids move to samples/<aside>."""
        for path in self.checkpoints():
            if _position(path) > nimg:
                path.unlink(missing_ok=True)
        if aside is not None:
            folder = make_folder(self.path / "samples" / aside)
            for path in (self.path / "samples").glob("*.png"):
                if _position(path) > nimg:
                    path.replace(folder / path.name)

    def newest_good(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest checkpoint that can be read and is of this run, and what was wrong with newer ones."""
        complaints: list[str] = []
        config = self.config()
        for path in (self.path / "last.pt", *reversed(self.checkpoints()), self.path / "best.pt"):
            if not path.exists():
                continue
            try:
                checkpoint = read_checkpoint(path)
            except (CheckpointError, DiskError) as error:
                complaints.append(str(error))
                continue
            if (checkpoint.config.networks, network_spec(checkpoint.config)) == (config.networks, network_spec(config)):
                return checkpoint, complaints
            complaints.append(f"'{clean(path)}' is of another run: its networks are not this run's.")
        return None, complaints

    def checkpoint_at(self, nimg: int) -> Path:
        """Where the checkpoint at `nimg` lies, or lay."""
        return self.path / "checkpoints" / f"checkpoint-{nimg:012d}.pt"


def _position(path: Path) -> int:
    digits = path.stem.rsplit("-", 1)[-1]
    return int(digits) if digits.isdigit() else -1


def _provenance() -> dict[str, Any]:
    """Versions, machine, command line and time of this process."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        own = version("gancli")
    except PackageNotFoundError:
        own = "unknown"
    return {
        "versions": {"gancli": own, "torch": torch.__version__, "python": platform.python_version()},
        "machine": {"system": platform.platform(), "cores": os.cpu_count(), "threads": torch.get_num_threads()},
        "command": [clean(a, 1000) for a in sys.argv],
        "commit": _commit(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _commit() -> str | None:
    """The commit of a source checkout, read from its .git without running git; None for an installed package."""
    git = Path(__file__).resolve().parents[2] / ".git"
    try:
        head = (git / "HEAD").read_text().strip()
        return (git / head[5:]).read_text().strip() if head.startswith("ref: ") else head
    except OSError:
        return None
