"""gan sample: pictures of seeds from a run or a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gancli.cli.inputs import RUN, input_path
from gancli.cli.options import DeviceOption, ForceOption, JsonOption, OutOption, QuietOption, VerboseOption
from gancli.cli.output import Output
from gancli.cli.places import beside, output_file, output_folder
from gancli.errors import UsageError
from gancli.text import clean, plural

if TYPE_CHECKING:
    from gancli.render.generator import Generator

__all__ = ["ClassOption", "NetOption", "RunArgument", "TruncationOption", "sample"]

WHICH = "Which pictures"

RunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN|CKPT]", help="A run or a checkpoint; '-' or a pipe: stdin; none: the newest run here."
    ),
]
NetOption = Annotated[
    str,
    typer.Option(
        "--net", metavar="ema|raw", help="The average of the weights, or the last.", rich_help_panel="Machine"
    ),
]
TruncationOption = Annotated[
    float,
    typer.Option(
        "--truncation", metavar="0..2", help="Below 1: more typical, less varied pictures.", rich_help_panel=WHICH
    ),
]
ClassOption = Annotated[
    str | None,
    typer.Option(
        "--class", metavar="NAME", help="A class, by number or name (conditional models).", rich_help_panel=WHICH
    ),
]


def sample(
    source: RunArgument = None,
    count: Annotated[
        int | None, typer.Option("-n", "--count", help="How many: seeds 0 to n-1. [default: 16]", rich_help_panel=WHICH)
    ] = None,
    seeds: Annotated[
        str | None, typer.Option("--seeds", metavar="LIST", help="Which seeds, e.g. 0-15,40.", rich_help_panel=WHICH)
    ] = None,
    grid: Annotated[
        bool, typer.Option("--grid/--no-grid", help="Also grid.png, the first 100 together.", rich_help_panel="Output")
    ] = True,
    captions: Annotated[
        bool,
        typer.Option("--captions", help="Write the seeds below the pictures of the grid.", rich_help_panel="Output"),
    ] = False,
    truncation: TruncationOption = 1.0,
    label: ClassOption = None,
    net: NetOption = "ema",
    best: Annotated[
        int | None,
        typer.Option(
            "--best", metavar="N", help="Only the N that the discriminator likes best.", rich_help_panel=WHICH
        ),
    ] = None,
    of: Annotated[
        int | None, typer.Option("--of", metavar="N", help="… of so many (seeds 0 to N-1).", rich_help_panel=WHICH)
    ] = None,
    picture_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="png, webp, or npy: one array. [default: png; npy for a toy's points]",
            rich_help_panel="Output",
        ),
    ] = None,
    device: DeviceOption = "auto",
    out: OutOption = None,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Pictures of seeds: one file a seed, and a grid. The same seed is the same picture, always."""
    output = Output(json=json, quiet=quiet, verbose=verbose)
    chosen = _seeds(count, seeds, best, of)
    path = input_path(source, RUN, output)
    from gancli.render.generator import load

    generator = load(str(path), net=net, device=device)
    if generator.config.is_points:
        _points(generator, chosen, picture_format, label, truncation, out, force, output)
        return
    number = class_number(generator, label)
    picked = chosen if best is None else _best(generator, chosen, best, number, truncation, output)
    _pictures(generator, picked, picture_format or "png", grid, captions, number, truncation, out, output)


def _seeds(count: int | None, seeds: str | None, best: int | None, of: int | None) -> list[int]:
    from gancli.render.seeds import parse_seeds

    if count is not None and (seeds is not None or best is not None):
        raise UsageError("-n counts seeds from 0: give either -n, or --seeds, or --best N --of M.")
    if of is not None and (best is None or seeds is not None):
        raise UsageError("--of goes with --best: --best 16 --of 256. With --seeds, the best are chosen of those.")
    if seeds is not None:
        chosen = parse_seeds(seeds)
    else:
        number = count if count is not None else 16
        if best is not None:
            number = of if of is not None else 16 * best
        if number < 1:
            raise UsageError(f"{'-n' if best is None else '--of'} {number}: at least 1.")
        chosen = list(range(number))
    if best is not None and not 1 <= best <= len(chosen):
        raise UsageError(f"--best {best} of {len(chosen)}: choose from 1 to {len(chosen)}.")
    return chosen


def class_number(generator: Generator, label: str | None) -> int | None:
    """The number of a class given by number or name. Raises `UsageError` for one that is not there."""
    if label is None:
        return None
    names = generator.class_names
    if label in names:
        return names.index(label)
    try:
        number = int(label)
    except ValueError:
        known = ", ".join(clean(name, 40) for name in names[:20]) or "none"
        raise UsageError(f"--class '{clean(label, 80)}' is not a class of this model. There are: {known}.") from None
    from gancli.render.sampling import pick_labels

    pick_labels([0], generator.config.num_classes, number)
    return number


def _best(
    generator: Generator, seeds: list[int], best: int, label: int | None, truncation: float, output: Output
) -> list[int]:
    from gancli.render.best import score_seeds

    scores: list[float] = []
    with output.progress(len(seeds), "scoring") as bar:
        for part in score_seeds(generator, seeds, label=label, truncation=truncation):
            scores.extend(part)
            bar.advance(len(part))
    order = sorted(range(len(seeds)), key=lambda i: -scores[i])[:best]
    output.note(
        f"The best {best} of {len(seeds)} by the discriminator: "
        + ", ".join(f"{seeds[i]} ({scores[i]:.3g})" for i in order[:8])
        + (" …" if best > 8 else "")
    )
    return [seeds[i] for i in order]


def _pictures(
    generator: Generator,
    seeds: list[int],
    picture_format: str,
    grid: bool,
    captions: bool,
    label: int | None,
    truncation: float,
    out: Path | None,
    output: Output,
) -> None:
    from gancli.render.samples import FORMATS, write_samples
    from gancli.render.truncation import describe_truncation, truncated

    if picture_format not in FORMATS:
        raise UsageError(f"--format '{clean(picture_format, 40)}': choose png, webp or npy.")
    truncated(generator.loaded.module, truncation, 1) if not 0 <= truncation <= 2 else None
    folder = output_folder(out, beside(generator.path, "-samples"))
    output.note(f"{plural(len(seeds), 'picture')} from '{clean(generator.path)}' to '{clean(folder)}'")
    if truncation != 1:
        output.note(f"truncation {truncation:g}: {describe_truncation(generator.loaded.module)}")
    try:
        with output.progress(len(seeds), "sampling") as bar:
            for added in write_samples(
                generator,
                seeds,
                folder,
                picture_format=picture_format,
                grid=grid,
                captions=captions,
                label=label,
                truncation=truncation,
            ):
                bar.advance(added)
    except KeyboardInterrupt:
        output.artefact(folder, interrupted=True)
        raise
    output.artefact(folder, num_images=len(seeds), seeds=_shown_seeds(seeds), checkpoint=str(generator.path))


def _points(
    generator: Generator,
    seeds: list[int],
    picture_format: str | None,
    label: str | None,
    truncation: float,
    out: Path | None,
    force: bool,
    output: Output,
) -> None:
    if picture_format not in (None, "npy"):
        raise UsageError(
            f"'{clean(generator.path)}' makes 2-D points (a toy), not pictures: use --format npy, one array [n, 2]."
        )
    import numpy as np

    from gancli.files import atomic_file
    from gancli.images import write_png
    from gancli.render.grid import plot_points

    points = generator.points(seeds, label=class_number(generator, label), truncation=truncation)
    if out is not None and out.suffix == ".npy":
        target, shown = output_file(out, out, force=force), None
    else:
        folder = output_folder(out, beside(generator.path, "-samples"))
        target, shown = folder / "points.npy", folder / "grid.png"
    with atomic_file(target) as file:
        np.save(file, points)
    if shown is not None:
        write_png(shown, plot_points(points))
    output.artefact(target.parent if shown else target, num_points=len(points), checkpoint=str(generator.path))


def _shown_seeds(seeds: list[int]) -> str:
    from gancli.render.seeds import format_seeds

    return format_seeds(seeds)
