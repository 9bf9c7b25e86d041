"""`gan info`: what a raw set, a training set, a run or a checkpoint is."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from gancli.cli.inputs import RUN, input_path, is_raw_set, is_run, is_training_set
from gancli.cli.options import ForceOption, JsonOption, OutOption, QuietOption, VerboseOption
from gancli.cli.output import Output
from gancli.errors import DataError, GanError, UsageError
from gancli.files import free_path, read_json_lines
from gancli.text import clean

_EXPORTED = (".safetensors", ".onnx")


def info(
    path: Annotated[
        str | None, typer.Argument(help="A raw set, a training set, a run, a checkpoint, or data for 'gan train'.")
    ] = None,
    augment: Annotated[
        str | None,
        typer.Option(help="Draw what the discriminator will see: light, photo, diffaugment or ada."),
    ] = None,
    size: Annotated[str | None, typer.Option(help="N or WxH in pixels, for a sheet of a plain folder.")] = None,
    out: OutOption = None,
    force: ForceOption = False,
    json_: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Describe what is at PATH."""
    output = Output(json=json_, quiet=quiet, verbose=verbose)
    if augment is None:
        for flag, is_given in (("--size", size is not None), ("--out", out is not None), ("--force", force)):
            if is_given:
                raise UsageError(f"{flag} is for the sheet of --augment. Leave it out, or add --augment.")
    spec = input_path(path, RUN, output)
    assert spec is not None
    if augment is not None:
        output.artefact(_sheet(spec, augment, size, out, force, output))
        return
    found = describe(spec)
    if json_:
        output.answer(found)
    else:
        output.answer("\n".join(_lines(found)))


def describe(spec: str) -> dict[str, Any]:
    """What is at `spec`, as plain figures. Raises `GanError` when it is nothing we know."""
    path = Path(spec)
    if path.is_dir() and is_run(path):
        return _run(path)
    if path.is_dir() and is_training_set(path):
        return _training_set(path)
    if path.is_dir() and is_raw_set(path):
        return _raw_set(path)
    if path.suffix in _EXPORTED or any((path / f"model{suffix}").is_file() for suffix in _EXPORTED):
        from gancli.models.export import describe_export

        return describe_export(path)
    if path.is_file() and path.suffix != ".zip":
        return _checkpoint(path)
    from gancli.data.dataset import open_training_set

    data = open_training_set(spec)
    facts = data.facts
    return {
        "kind": "data",
        "path": spec,
        "images": len(data.images),
        "skipped": len(data.skipped),
        "size": list(facts.size),
        "channels": facts.channels,
        "held_out": facts.num_held_out,
        "classes": list(facts.class_names),
    }


def _raw_set(path: Path) -> dict[str, Any]:
    rows, broken = read_json_lines(path / "manifest.jsonl")
    last = {str(row.get("url")): row for row in rows}
    kept = [row for row in last.values() if row.get("status") == "ok"]
    return {
        "kind": "raw set",
        "path": str(path),
        "images": len(kept),
        "addresses": len(last),
        "outcomes": dict(Counter(str(row.get("status")) for row in last.values())),
        "reasons": dict(Counter(clean(row.get("reason"), 80) for row in last.values() if row.get("reason"))),
        "licenses": dict(Counter(clean(row.get("license") or "unknown", 60) for row in kept)),
        "providers": dict(Counter(clean(row.get("provider") or "unknown", 60) for row in kept)),
        "broken_lines": broken,
    }


def _training_set(path: Path) -> dict[str, Any]:
    try:
        made = json.loads((path / "curation.json").read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"'{clean(path)}/curation.json' cannot be read ({clean(error, 80)}).") from error
    rows, _ = read_json_lines(path / "manifest.jsonl")
    kept = [row for row in rows if row.get("status") == "ok"]
    return {
        "kind": "training set",
        "path": str(path),
        "images": len(kept),
        "left_out": dict(Counter(clean(r.get("reason") or "unknown", 80) for r in rows if r.get("status") != "ok")),
        "labels": dict(Counter(clean(row.get("label"), 60) for row in kept if row.get("label"))),
        "splits": dict(Counter(str(row.get("split")) for row in kept)),
        "licenses": dict(Counter(clean(row.get("license") or "unknown", 60) for row in kept)),
        "parameters": made.get("parameters", {}),
    }


def _run(path: Path) -> dict[str, Any]:
    rows, _ = read_json_lines(path / "log.jsonl")
    found: dict[str, Any] = {"kind": "run", "path": str(path)}
    try:
        stored = json.loads((path / "config.json").read_text())
        found |= {"config": stored.get("config"), "engine": stored.get("engine"), "made": stored.get("time")}
        if (path / "verdict.json").is_file():
            found["verdict"] = json.loads((path / "verdict.json").read_text())
    except (OSError, ValueError) as error:
        raise GanError(f"'{clean(path)}' is a damaged run ({clean(error, 80)}).") from error
    if rows:
        last = rows[-1]
        names = ("tick", "kimg", "target_kimg", "epoch", "seconds", "starts", "images_per_s", "diversity", "coverage")
        found["last_tick"] = {name: last.get(name) for name in names}
    return found


def _checkpoint(path: Path) -> dict[str, Any]:
    from gancli.models.checkpoint import read_checkpoint

    checkpoint = read_checkpoint(path)
    sizes = {net: sum(t.numel() for t in checkpoint.states[net].values()) for net in ("generator_ema", "discriminator")}
    return {
        "kind": "checkpoint",
        "path": str(path),
        "recipe": checkpoint.config.recipe,
        "kimg": checkpoint.nimg / 1000,
        "parameters": sizes,
        "config": checkpoint.config.to_dict(),
        "data": checkpoint.states["data_card"],
    }


def _sheet(spec: str, policy: str, size: str | None, out: Path | None, force: bool, output: Output) -> Path:
    from gancli.data.augment import POLICIES
    from gancli.data.dataset import open_training_set
    from gancli.images import write_png
    from gancli.render.augmented import augmentation_sheet, sheet_of_run

    if policy not in POLICIES:
        raise UsageError(f"--augment '{clean(policy, 40)}': choose one of {', '.join(POLICIES)}.")
    if out is not None and out.exists() and not force:
        raise GanError(f"'{clean(out)}' is there already. Name another file with -o, or replace it with --force.")
    path = Path(spec)
    if path.suffix == ".pt" or (path.is_dir() and is_run(path)):
        if size is not None:
            raise UsageError("--size: a run has its own. Leave it out, or name the data instead of the run.")
        sheet, note = sheet_of_run(path, policy)
        output.note(note)
    else:
        sheet = augmentation_sheet(open_training_set(spec, size=size), policy)
    target = out or free_path(Path(f"augment-{policy}.png"))
    write_png(target, sheet)
    return target


def _lines(found: dict[str, Any], indent: str = "") -> list[str]:
    lines = []
    for name, value in found.items():
        label = name.replace("_", " ")
        if isinstance(value, dict) and value:
            lines.append(f"{indent}{label}:")
            lines += _lines(value, indent + "  ")
        else:
            text = ", ".join(clean(v, 200) for v in value) if isinstance(value, list) else clean(value, 500)
            lines.append(f"{indent}{label}: {text if value not in ({}, []) else '-'}")
    return lines
