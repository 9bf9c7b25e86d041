"""What a run will take, said before the first step: data, numbers, parameters, memory, time, disk."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gancli.config import Engine, TrainConfig
from gancli.data.dataset import TrainingSet
from gancli.models.registry import build_networks, network_spec
from gancli.recipes import TUNABLE, find_recipe
from gancli.text import clean, plural
from gancli.training.memory import available_mb

__all__ = ["Plan", "duration", "make_plan", "memory_mb", "planned_nimg"]

_MANY_BATCHES = 17  # fewer a epoch made a reference project collapse sooner


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The plan as figures, as lines to read, and as warnings."""

    figures: dict[str, Any]
    lines: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]


def planned_nimg(config: TrainConfig, rate: float, nimg: int = 0, seconds: float = 0.0) -> int:
    """Where the run ends, in real images: the first of its lengths, minutes taken at `rate` images/s from here on."""
    ends = []
    if config.kimg is not None:
        ends.append(config.kimg * 1000)
    if config.epochs is not None:
        ends.append(config.epochs * config.num_images)
    if config.minutes is not None:
        ends.append(nimg + max(0.0, config.minutes * 60 - seconds) * rate)
    return max(1, round(min(ends)))


def make_plan(config: TrainConfig, engine: Engine, data: TrainingSet, out: Path, nimg: int, seconds: float) -> Plan:
    """The plan of a run that stands at `nimg` after `seconds`."""
    recipe = find_recipe(config.recipe)
    networks = build_networks(config.networks, network_spec(config))
    sizes = [sum(p.numel() for p in net.parameters()) for net in networks]
    target = planned_nimg(config, engine.images_per_s, nimg, seconds)
    left_s = max(0, target - nimg) / max(engine.images_per_s, 1e-9)
    checkpoint_mb = (4 * (4 * sizes[0] + 3 * sizes[1])) / 1e6
    disk_mb = checkpoint_mb * (config.keep + 2) + 1.0 * max(1.0, target / 1000 / engine.tick_kimg)
    free_mb = shutil.disk_usage(next(p for p in (out.absolute(), *out.absolute().parents) if p.exists())).free / 1e6
    free_memory_mb = available_mb(engine.device)
    figures = {
        "recipe": config.recipe,
        "images": len(data.images),
        "skipped": len(data.skipped),
        "training": config.num_images,
        "held_out": config.num_held_out,
        "size": list(config.size),
        "channels": config.channels,
        "parameters_g": sizes[0],
        "parameters_d": sizes[1],
        "images_per_s": engine.images_per_s,
        "target_kimg": target / 1000,
        "seconds": round(left_s, 1),
        "memory_mb": engine.peak_mb or round(memory_mb(engine.device), 1),
        "memory_free_mb": round(free_memory_mb, 1),
        "memory_is_estimate": not engine.device.startswith("cuda"),
        "disk_mb": round(disk_mb, 1),
        "numbers": {name: getattr(config, name) for name in TUNABLE} | {"loss": config.objective},
        "engine": engine.to_dict(),
        "out": str(out),
    }
    lines = (
        ("data", _data_line(config, data)),
        *((("begins", f"from the weights of {clean(config.begun_from)}"),) if config.begun_from else ()),
        ("recipe", f"{config.recipe}: {recipe.summary}"),
        ("numbers", _numbers_line(config)),
        ("networks", f"generator {sizes[0] / 1e6:.2f} M parameters, discriminator {sizes[1] / 1e6:.2f} M"),
        ("engine", _engine_line(engine)),
        ("memory", _memory_line(engine, free_memory_mb)),
        ("length", _length_line(config, target, left_s, nimg)),
        ("disk", f"about {disk_mb:,.0f} MB of {free_mb:,.0f} MB free"),
        ("run", clean(out)),
    )
    return Plan(
        figures=figures, lines=lines, warnings=_warnings(config, target, engine, disk_mb, free_mb, free_memory_mb)
    )


def _data_line(config: TrainConfig, data: TrainingSet) -> str:
    what = "points" if config.is_points else "images"
    parts = [f"{len(data.images):,} {what} from {clean(config.data)}"]
    if not config.is_points:
        kind = {1: "grey", 3: "RGB", 4: "RGBA"}[config.channels]
        parts.append(f"{config.size[0]}x{config.size[1]} {kind}")
    if config.num_held_out:
        parts.append(f"{config.num_held_out:,} held out")
    if data.skipped:
        name, reason = data.skipped[0]
        parts.append(f"{len(data.skipped):,} skipped (e.g. {clean(name, 60)}: {reason})")
    if config.num_classes:
        parts.append(plural(config.num_classes, "class", "classes"))
    return ", ".join(parts)


def _numbers_line(config: TrainConfig) -> str:
    shown = {"loss": config.objective, **{name: getattr(config, name) for name in TUNABLE}}
    return ", ".join(f"{name} {_short(value)}" for name, value in shown.items() if value is not None)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "/".join(f"{v:g}" for v in value) if isinstance(value, tuple) else str(value)


def _engine_line(engine: Engine) -> str:
    parts = [engine.device, engine.precision, "compiled" if engine.compile else "eager"]
    if engine.cuda_graph:
        parts.append("whole steps as CUDA graphs")
    if engine.channels_last:
        parts.append("channels last")
    if engine.micro_batch:
        parts.append(f"micro-batches of {engine.micro_batch}")
    return f"{', '.join(parts)}: {engine.images_per_s:,.0f} images/s measured"


def _memory_line(engine: Engine, free_mb: float) -> str:
    if not engine.peak_mb:
        return f"{memory_mb():,.0f} MB in use, {free_mb:,.0f} MB free"
    how = "at the peak of the trial steps" if engine.device.startswith("cuda") else "for a step (an estimate)"
    return f"about {engine.peak_mb:,.0f} MB {how}, {free_mb:,.0f} MB free"


def _length_line(config: TrainConfig, target: int, left_s: float, nimg: int) -> str:
    epochs = target / config.num_images
    done = f", {nimg / 1000:.1f} done" if nimg else ""
    return f"{_kimg(target)} kimg ({epochs:,.1f} epochs){done}, about {duration(left_s)}"


def _warnings(
    config: TrainConfig, target: int, engine: Engine, disk_mb: float, free_mb: float, free_memory_mb: float
) -> tuple[str, ...]:
    recipe = find_recipe(config.recipe)
    found = []
    if target < 0.5 * recipe.kimg * 1000:
        whole_s = recipe.kimg * 1000 / max(engine.images_per_s, 1e-9)
        found.append(
            f"{config.recipe} is planned for {recipe.kimg:,.0f} kimg, about {duration(whole_s)} on this machine; "
            f"this run allows {_kimg(target)}. Expect a broad layout rather than detail, "
            "or give it more --minutes, a smaller --size or --width."
        )
    if config.batch_size == config.num_images < recipe.batch_size:
        found.append(
            f"a batch is all {plural(config.num_images, 'training image')} instead of {config.recipe}'s "
            f"{recipe.batch_size}: the set has no more."
        )
    batches = config.num_images / config.batch_size
    if batches < _MANY_BATCHES and not config.is_points:
        found.append(
            f"only {batches:.0f} batches an epoch; fewer than about {_MANY_BATCHES} make collapse likelier. "
            f"A smaller --batch (e.g. {max(2, config.num_images // 20)}) or more images help."
        )
    if 0 < free_memory_mb < engine.peak_mb:
        found.append(
            f"a step takes about {engine.peak_mb:,.0f} MB and {free_memory_mb:,.0f} MB are free; "
            f"--batch {max(2, config.batch_size // 2)}, a smaller --size or --width take less."
        )
    if disk_mb > 0.9 * free_mb:
        found.append(f"the run may take {disk_mb:,.0f} MB and only {free_mb:,.0f} MB are free; --keep 1 takes less.")
    return tuple(found)


def _kimg(nimg: int) -> str:
    return f"{nimg / 1000:,.1f}" if nimg >= 1000 else f"{nimg / 1000:.2g}"


def duration(seconds: float) -> str:
    """'45 s', '12 min', '3 h 20 min', '2 d 4 h'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def memory_mb(device: str = "cpu") -> float:
    """Memory this process holds now, in MB: the allocator's peak on a GPU, the resident set elsewhere."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.max_memory_allocated(device) / 1e6
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except (OSError, ValueError, AttributeError):
        pass
    if sys.platform == "win32":
        return 0.0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3
