"""gan interpolate: a walk through the latent space, as frames, as one picture of stages, or as a moving picture."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gancli.cli.inputs import RUN, input_path
from gancli.cli.options import DeviceOption, ForceOption, JsonOption, OutOption, QuietOption, VerboseOption
from gancli.cli.output import Output
from gancli.cli.places import beside, output_file, output_folder
from gancli.cli.sample import NetOption, RunArgument, TruncationOption, class_number
from gancli.errors import UsageError
from gancli.text import clean, plural

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.render.generator import Generator
    from gancli.render.walk import Walk

__all__ = ["interpolate"]

PATH = "The walk"
_MOVING = (".gif", ".webp", ".mp4")


def interpolate(
    source: RunArgument = None,
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", metavar="LIST", help="Key seeds, e.g. 3,14,15. [default: three of the run's]"),
    ] = None,
    latents: Annotated[
        list[Path] | None,
        typer.Option(
            "--latents", metavar="PATH", help="Instead of seeds: what 'gan project' found; give it twice or more."
        ),
    ] = None,
    frames: Annotated[int, typer.Option("--frames", help="Frames per leg.", rich_help_panel=PATH)] = 60,
    loop: Annotated[
        bool | None,
        typer.Option(
            "--loop/--no-loop", help="The last frame flows into the first. [default: loop]", rich_help_panel=PATH
        ),
    ] = None,
    mode: Annotated[
        str, typer.Option("--mode", metavar="slerp|lerp", help="On the shell, or straight.", rich_help_panel=PATH)
    ] = "slerp",
    easing: Annotated[
        str, typer.Option("--easing", metavar="linear|smooth", help="smooth: rest at each key.", rich_help_panel=PATH)
    ] = "linear",
    even: Annotated[
        bool, typer.Option("--even", help="Equal change of the picture per frame.", rich_help_panel=PATH)
    ] = False,
    grid: Annotated[
        str | None,
        typer.Option("--grid", metavar="RxC", help="Walks side by side, e.g. 3x3; the seeds are shared out."),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            "--class", metavar="LIST", help="A class, or one per key seed to blend: 3,7 (conditional models)."
        ),
    ] = None,
    truncation: TruncationOption = 1.0,
    strip: Annotated[
        int | None,
        typer.Option("--strip", metavar="N", help="One picture of N stages instead.", rich_help_panel="Output"),
    ] = None,
    fps: Annotated[
        float, typer.Option("--fps", help="Frames a second of a .gif, .webp or .mp4.", rich_help_panel="Output")
    ] = 20.0,
    max_mb: Annotated[
        float | None, typer.Option("--max-mb", help="Limit for a .gif, .webp or .mp4.", rich_help_panel="Output")
    ] = None,
    net: NetOption = "ema",
    device: DeviceOption = "auto",
    out: OutOption = None,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """A walk from seed to seed: a folder of frames, or with -o x.gif, x.webp, x.mp4 the moving picture itself."""
    output = Output(json=json, quiet=quiet, verbose=verbose)
    rows, columns = _grid(grid)
    keys = _check(seeds, frames, mode, easing, even, strip, rows * columns, truncation)
    moving = out is not None and strip is None and out.suffix.lower() in _MOVING
    if moving and out is not None:
        from gancli.render.animation import check_format

        check_format(out, fps)
        output_file(out, out, force=force)
    path = input_path(source, RUN, output)
    from gancli.render.generator import load
    from gancli.render.walk import Walk

    generator = load(str(path), net=net, device=device)
    given = None if not latents else _latents(generator, latents, keys, rows * columns)
    walks = _walks(generator, keys, rows * columns, output) if given is None else [list(range(len(given)))]
    labels = None if label is None else [class_number(generator, part) or 0 for part in label.split(",")]
    looped = strip is None if loop is None else loop
    walk = Walk(
        generator,
        walks,
        frames,
        loop=looped,
        mode="lerp" if mode == "lerp" else "slerp",
        easing="smooth" if easing == "smooth" else "linear",
        labels=labels,
        truncation=truncation,
        columns=columns,
        latents=given,
    )
    if strip is not None:
        _strip(walk, strip, even, out, force, output)
        return
    if even:
        _even_out(walk, output)
    if moving and out is not None:
        _moving(walk, out, fps, max_mb, output)
    else:
        _frames(walk, out, output)


def _check(
    seeds: str | None, frames: int, mode: str, easing: str, even: bool, strip: int | None, cells: int, truncation: float
) -> list[int] | None:
    """What can be known to be wrong before a model is read; the key seeds, None for the run's own."""
    from gancli.render.seeds import parse_seeds

    if mode not in ("slerp", "lerp"):
        raise UsageError(f"--mode '{clean(mode, 40)}': choose slerp or lerp.")
    if easing not in ("linear", "smooth"):
        raise UsageError(f"--easing '{clean(easing, 40)}': choose linear or smooth.")
    if even and easing == "smooth":
        raise UsageError("--even and --easing smooth contradict each other: the one keeps the pace, the other rests.")
    if frames < 1:
        raise UsageError(f"--frames {frames}: a leg has at least 1 frame.")
    if strip is not None and strip < 2:
        raise UsageError(f"--strip {strip}: a strip has at least 2 stages.")
    if not 0 <= truncation <= 2:
        raise UsageError(f"--truncation {truncation:g} is out of range: 0 to 2.")
    if seeds is None:
        return None
    keys = parse_seeds(seeds)
    if len(keys) % cells:
        raise UsageError(f"--grid of {cells} walks: {len(keys)} seeds cannot be shared out evenly.")
    if len(keys) // cells < 2:
        raise UsageError(
            f"--seeds '{clean(seeds, 40)}': a walk needs at least two seeds, e.g. 3,14,15. For one picture: gan sample"
        )
    return keys


def _grid(text: str | None) -> tuple[int, int]:
    if text is None:
        return 1, 1
    match = re.fullmatch(r"([1-9]\d?)[xX]([1-9]\d?)", text)
    if not match:
        raise UsageError(f"--grid '{clean(text, 40)}': give rows x columns, e.g. 3x3.")
    return int(match[1]), int(match[2])


def _walks(generator: Generator, keys: list[int] | None, cells: int, output: Output) -> list[list[int]]:
    if keys is None:
        keys = generator.key_seeds(3 * cells)
        output.note(f"seeds {','.join(map(str, keys))} (derived from the run's seed; --seeds names others)")
    each = len(keys) // cells
    return [keys[i * each : (i + 1) * each] for i in range(cells)]


def _latents(generator: Generator, paths: list[Path], keys: list[int] | None, cells: int) -> Tensor:
    """The latents in files, or in folders that `gan project` made: [K, latent_dim]. Raises `UsageError`."""
    import numpy as np
    import torch

    if keys is not None or cells > 1:
        raise UsageError("--latents stands alone: without --seeds and --grid.")
    if len(paths) < 2:
        raise UsageError("A walk needs at least two latents: give --latents twice or more.")
    found = []
    for path in paths:
        file = path / "latent.npy" if path.is_dir() else path
        try:
            latent = np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise UsageError(f"--latents '{clean(path)}' cannot be read as a latent ({clean(error, 100)}).") from error
        if latent.shape != (generator.config.latent_dim,) or latent.dtype.kind != "f" or not np.isfinite(latent).all():
            raise UsageError(
                f"--latents '{clean(path)}' does not fit: here a latent is {generator.config.latent_dim} numbers."
            )
        found.append(torch.from_numpy(latent).float())
    return torch.stack(found)


def _even_out(walk: Walk, output: Output) -> None:
    before = walk.steps()
    with output.progress(None, "spacing the frames evenly") as bar:
        walk.make_even(bar.advance)
    after = walk.steps()
    output.note(
        f"variation of the change per frame: {_variation(before):.3f} before --even, {_variation(after):.3f} now"
    )


def _variation(steps: object) -> float:
    import numpy as np

    values = np.asarray(steps, float)
    return float(values.std() / values.mean()) if values.mean() > 0 else 0.0


def _report(walk: Walk, output: Output) -> list[dict[str, float]]:
    """The smoothness of each leg, as a table and as figures."""
    legs = walk.legs(walk.steps())
    rows = [
        [f"{leg.first} -> {leg.second}", f"{leg.mean:.2f}", f"{leg.variation:.3f}", f"{leg.largest:.2f}"]
        for leg in legs
    ]
    output.table("Smoothness of each leg", ["leg", "change/frame", "variation", "largest/mean"], rows)
    return [
        {"from": leg.first, "to": leg.second, "mean": leg.mean, "variation": leg.variation, "largest": leg.largest}
        for leg in legs
    ]


def _frames(walk: Walk, out: Path | None, output: Output) -> None:
    from gancli.files import write_json
    from gancli.images import write_png

    folder = output_folder(out, beside(walk.generator.path, "-walk"))
    output.note(f"{plural(walk.num_frames, 'frame')} to '{clean(folder)}'")
    try:
        with output.progress(walk.num_frames, "walking") as bar:
            for index, frame in enumerate(walk.frames()):
                write_png(folder / f"frame{index:06d}.png", frame)
                bar.advance()
    except KeyboardInterrupt:
        output.artefact(folder, interrupted=True)
        raise
    figures = _report(walk, output)
    write_json(folder / "walk.json", {"seeds": walk.walks, "loop": walk.loop, "mode": walk.mode, "legs": figures})
    output.artefact(folder, num_frames=walk.num_frames, seeds=walk.walks, loop=walk.loop, legs=figures)


def _moving(walk: Walk, out: Path, fps: float, max_mb: float | None, output: Output) -> None:
    from gancli.render.animation import Timing, write_animation
    from gancli.render.frames import spool

    output.note(f"{plural(walk.num_frames, 'frame')} to '{clean(out)}'")
    with output.progress(walk.num_frames, "walking") as bar:
        frames = spool(_counted(walk, bar.advance), walk.num_frames)
    made = write_animation(out, frames, Timing(fps=fps, loop=walk.loop), max_mb=max_mb)
    figures = _report(walk, output)
    if made.means:
        output.note(f"--max-mb {max_mb:g} met by: {', '.join(made.means)}")
    output.artefact(
        out, num_frames=made.num_frames, seconds=made.seconds, bytes=made.num_bytes, seeds=walk.walks, legs=figures
    )


def _counted(walk: Walk, advance: Any) -> Any:
    for frame in walk.frames():
        advance(1)
        yield frame[None]


def _strip(walk: Walk, count: int, even: bool, out: Path | None, force: bool, output: Output) -> None:
    from gancli.images import write_png

    target = output_file(out, beside(walk.generator.path, "-strip.png"), force=force)
    write_png(target, walk.stages(count, even=even))
    output.artefact(target, stages=count, seeds=walk.walks)
