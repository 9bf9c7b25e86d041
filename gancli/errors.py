"""Everything that can go wrong and is not our bug.

    GanError                the base: one message, exit status 1
    ├── UsageError          a flag or argument that cannot be meant, exit status 2
    ├── DataError           images, sets or folders that cannot be used
    ├── CheckpointError     a checkpoint or run that cannot be read or does not fit
    ├── ConfigError         settings that contradict each other or a recipe
    ├── ScrapeError         a provider or the network said no
    ├── TrainingError       a run that cannot go on
    ├── DiskError           no space, no permission
    └── MissingExtraError   an optional dependency that is not installed

A message says what is wrong with the value quoted, what is allowed, and what to do next.
"""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DataError",
    "DiskError",
    "GanError",
    "MissingExtraError",
    "ScrapeError",
    "TrainingError",
    "UsageError",
]


class GanError(Exception):
    """A problem a person can solve. The command line shows the message and exits with `exit_code`."""

    exit_code = 1


class UsageError(GanError):
    """Wrong usage: a flag or argument that cannot be meant."""

    exit_code = 2


class DataError(GanError):
    """Images, sets or folders that cannot be used."""


class CheckpointError(GanError):
    """A checkpoint or run folder that cannot be read, or does not fit what was asked."""


class ConfigError(GanError):
    """Settings that contradict each other, the recipe or an existing run."""


class ScrapeError(GanError):
    """A provider or the network said no."""


class TrainingError(GanError):
    """A run that cannot go on."""


class DiskError(GanError):
    """The disk is full, read-only or not ours to write."""

    @classmethod
    def from_os(cls, error: OSError, path: Path | str, doing: str = "write") -> DiskError:
        """The message for `error` while trying to `doing` `path`, with the free space when the disk is full."""
        path = Path(path)
        if error.errno == errno.ENOSPC:
            place = next((p for p in (path, *path.parents) if p.exists()), Path("."))
            free_mb = shutil.disk_usage(place).free / 1e6
            return cls(
                f"Cannot {doing} '{path}': the disk is full ({free_mb:.1f} MB free). "
                "What was saved before is untouched; free some space and run the same command again."
            )
        reason = error.strerror or str(error)
        return cls(f"Cannot {doing} '{path}': {reason.lower()}. Choose another place with -o, or fix the permissions.")


class MissingExtraError(GanError):
    """An optional dependency that is not installed; said before any work starts."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional part that is not installed. Run: pip install 'gancli[{extra}]'")
