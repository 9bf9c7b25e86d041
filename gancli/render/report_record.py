"""What a run folder tells without its networks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gancli.errors import CheckpointError
from gancli.files import read_json_lines
from gancli.text import clean

__all__ = ["RunRecord", "read_run", "table_of"]


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What a run folder tells without its networks."""

    path: Path
    rows: list[dict[str, Any]]
    verdict: dict[str, Any]
    config: dict[str, Any]
    samples: dict[int, dict[str, Path]]  # nimg -> {"fixed": …, "fresh": …}
    sources: list[dict[str, Any]] = field(default_factory=list)


def read_run(run: Path | str) -> RunRecord:
    """Everything of the run folder `run` that the report shows. Raises `CheckpointError` for what is no run."""
    path = Path(run)
    if not path.is_dir():
        raise CheckpointError(f"'{clean(path)}' is no run folder. Name a folder that 'gan train' made.")
    if not (path / "config.json").is_file():
        raise CheckpointError(f"'{clean(path)}' is no run: it has no config.json. Name a folder that 'gan train' made.")
    rows, _ = read_json_lines(path / "log.jsonl")
    config = _read_json(path / "config.json")
    samples: dict[int, dict[str, Path]] = {}
    for file in sorted((path / "samples").glob("*.png")) if (path / "samples").is_dir() else []:
        if found := re.fullmatch(r"(fixed|fresh)-(\d+)", file.stem):
            samples.setdefault(int(found[2]), {})[found[1]] = file
    return RunRecord(
        path=path,
        rows=[row for row in rows if isinstance(row.get("kimg"), int | float)],
        verdict=_read_json(path / "verdict.json") if (path / "verdict.json").is_file() else {},
        config=config,
        samples=dict(sorted(samples.items())),
        sources=_sources(config),
    )


def _sources(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The manifest lines of the training set, if it is still there."""
    data = table_of(config, "config").get("data")
    if not isinstance(data, str) or ":" in data[:12]:
        return []
    rows, _ = read_json_lines(Path(data) / "manifest.jsonl")
    return [row for row in rows if row.get("status") == "ok" and not row.get("mirrored")]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"'{clean(path)}' cannot be read: {clean(error, 120)}.") from error
    return value if isinstance(value, dict) else {}


def table_of(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The table under `name`, or an empty one."""
    found = value.get(name)
    return found if isinstance(found, dict) else {}
