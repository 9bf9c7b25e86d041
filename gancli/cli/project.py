"""gan project: the latent nearest to a picture, so that one can walk between photographs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gancli.cli.inputs import RUN, input_path
from gancli.cli.options import DeviceOption, JsonOption, OutOption, QuietOption, VerboseOption
from gancli.cli.output import Output
from gancli.cli.places import output_folder
from gancli.cli.sample import ClassOption, NetOption, class_number
from gancli.errors import DataError, UsageError
from gancli.text import clean

if TYPE_CHECKING:
    from gancli.render.generator import Generator
    from gancli.render.projection import Projection

__all__ = ["project"]


def project(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN|CKPT] IMAGE", help="A run or checkpoint (none: the newest run here), and a picture."
        ),
    ] = None,
    features: Annotated[
        str, typer.Option("--features", metavar="random|discriminator", help="What 'near' is measured in.")
    ] = "random",
    starts: Annotated[int, typer.Option("--starts", help="How many searches side by side.")] = 4,
    steps: Annotated[int, typer.Option("--steps", help="Steps of each search.")] = 300,
    label: ClassOption = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which random latents are looked at first.")] = 0,
    net: NetOption = "ema",
    device: DeviceOption = "auto",
    out: OutOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """The latent nearest to a picture, in a folder; then: gan interpolate --latents A --latents B."""
    output = Output(json=json, quiet=quiet, verbose=verbose)
    given = list(sources or [])
    if not 1 <= len(given) <= 2:
        raise UsageError("gan project takes a picture, with a run or checkpoint before it: gan project RUN IMAGE")
    picture = Path(given[-1])
    if not picture.is_file():
        raise DataError(f"There is no picture at '{clean(picture)}'. gan project RUN IMAGE")
    path = input_path(given[0] if len(given) == 2 else None, RUN, output)
    from gancli.images import fit_image, read_image, to_array
    from gancli.render.generator import load
    from gancli.render.projection import project as search

    generator = load(str(path), net=net, device=device)
    generator.need_images("A projection")
    number = class_number(generator, label)
    target = to_array(fit_image(read_image(picture), generator.size), generator.channels)
    place = output_folder(out, picture.parent / f"{picture.stem}-projected")
    output.note(f"searching '{clean(picture)}' in '{clean(generator.path)}': {starts} starts, {steps} steps")
    found: Projection | None = None
    try:
        with output.progress(steps, "searching") as bar:
            done = 0
            for found in search(
                generator, target, features=features, starts=starts, steps=steps, label=number, seed=seed
            ):
                bar.advance(found.step - done, f"distance {found.distance / found.typical:.1%} of a random sample's")
                done = found.step
    except KeyboardInterrupt:
        if found is not None:
            _save(generator, found, target, picture, place)
            output.artefact(place, interrupted=True)
        raise
    assert found is not None
    figures = _save(generator, found, target, picture, place)
    output.note(
        f"distance {found.distance:.4f} by {found.features} features: {found.distance / found.typical:.1%} "
        "of that to a random sample (0 %: found; near 100 %: this generator cannot make it)"
    )
    output.artefact(place, **figures)


def _save(generator: Generator, found: Projection, target: Any, picture: Path, place: Path) -> dict[str, Any]:
    import numpy as np

    from gancli.files import atomic_file, write_json
    from gancli.images import write_png
    from gancli.render.grid import make_grid

    with atomic_file(place / "latent.npy") as file:
        np.save(file, found.latent)
    both = np.stack([target, found.image])
    write_png(place / "pair.png", make_grid(both, columns=2, captions=["picture", "generator"], scale=_scale(both)))
    figures = {
        "distance": found.distance,
        "typical": found.typical,
        "ratio": found.distance / found.typical,
        "features": found.features,
        "steps": found.step,
        "label": found.label,
    }
    write_json(place / "projection.json", {"picture": str(picture), "checkpoint": str(generator.path), **figures})
    return figures


def _scale(images: Any) -> int:
    from gancli.render.grid import looking_scale

    return looking_scale(int(images.shape[1]), int(images.shape[2]), 192)
