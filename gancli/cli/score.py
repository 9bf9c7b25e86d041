"""gan score: how well a picture fits the style that a run has learned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gancli.cli.inputs import RUN, input_path
from gancli.cli.options import DeviceOption, QuietOption, VerboseOption
from gancli.cli.output import Output
from gancli.errors import DataError, UsageError
from gancli.text import clean, plural

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["score"]


def score(
    given: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN|CKPT] IMAGES...",
            help="A run or a checkpoint ('-': stdin; none: the newest run here), then images or folders of them.",
        ),
    ],
    label: Annotated[
        str | None,
        typer.Option("--class", metavar="NAME", help="A class, by number or name. [default: the one that fits best]"),
    ] = None,
    device: DeviceOption = "auto",
    json: Annotated[
        bool, typer.Option("--json", help="The answer is JSON lines with and without it.", rich_help_panel="Output")
    ] = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """How well each image fits the style that the discriminator has learned: one JSON line each.

    `score` is the discriminator's output (higher fits better), `percentile` where that stands among the training
    images: 50 is as good as half of them, 0 below all.
    """
    output = Output(json=json, quiet=quiet, verbose=verbose)
    source, places = _split(given)
    files = _image_files(places)
    path = input_path(source, RUN, output)
    from gancli.models.checkpoint import read_checkpoint
    from gancli.models.load import load_discriminator

    checkpoint = read_checkpoint(path or "")
    config = checkpoint.config
    if config.is_points:
        raise UsageError(f"'{clean(checkpoint.path)}' was trained on 2-D points; gan score takes pictures.")
    quantiles = _quantiles(checkpoint.extra.get("score_quantiles"))
    if not quantiles:
        output.warn("this checkpoint keeps no scores of its training images, so there is no percentile, only a score")
    discriminator = load_discriminator(checkpoint.path, device=device)
    classes = _classes(label, config.class_names if config.num_classes else ())
    output.detail(f"{plural(len(files), 'image')} by the discriminator of '{clean(checkpoint.path)}'")
    scored = 0
    for file in files:
        try:
            image = _read(file, config.size, config.channels)
        except DataError as error:
            output.warn(f"{clean(file)}: {error}")
            continue
        output.answer({"path": str(file), **_score(discriminator, image, classes, quantiles)})
        scored += 1
    if not scored:
        raise DataError(f"None of the {plural(len(files), 'file')} could be read as an image.")


def _split(given: list[str]) -> tuple[str | None, list[str]]:
    """The run, if the first argument is one, and the images."""
    first = Path(given[0])
    is_run = first.is_dir() and any((first / name).exists() for name in ("best.pt", "last.pt", "config.json"))
    if given[0] == "-" or is_run or first.suffix == ".pt":
        if len(given) == 1:
            raise UsageError("Name the images to score after the run: gan score RUN IMAGE...")
        return given[0], given[1:]
    return None, given


def _image_files(places: list[str]) -> list[Path]:
    from gancli.images import list_images

    files: list[Path] = []
    for place in places:
        path = Path(place)
        if path.is_dir():
            found = list_images(path)
            if not found:
                raise DataError(f"No images found in '{clean(path)}'.")
            files.extend(found)
        elif path.exists():
            files.append(path)
        else:
            raise DataError(f"There is nothing at '{clean(path)}'.")
    return files


def _read(file: Path, size: tuple[int, int], channels: int) -> Tensor:
    """The picture as training would see it: uint8 [1, C, H, W], the largest centred part of that shape."""
    import torch

    from gancli.images import fit_image, read_image, to_array

    image = fit_image(read_image(file, near_px=max(size)), size)
    return torch.from_numpy(to_array(image, channels).copy()).permute(2, 0, 1)[None]


def _score(discriminator: Any, image: Tensor, classes: dict[int, str] | None, quantiles: list[float]) -> dict[str, Any]:
    import torch

    from gancli.metrics.score import percentile, score_images

    found: dict[str, Any] = {}
    if classes is None:
        value = float(score_images(discriminator, image)[0])
    else:
        numbers = torch.tensor(list(classes))
        scores = score_images(discriminator, image.expand(len(numbers), -1, -1, -1), numbers)
        best = int(scores.argmax())
        value, found["class"] = float(scores[best]), classes[int(numbers[best])]
    place = percentile(value, quantiles)
    return {"score": value, "percentile": None if place is None else round(place, 2), **found}


def _classes(label: str | None, names: tuple[str, ...]) -> dict[int, str] | None:
    if not names:
        if label is not None:
            raise UsageError("This model knows no classes: leave --class out.")
        return None
    if label is None:
        return dict(enumerate(names))
    if label in names:
        return {names.index(label): label}
    if label.isdecimal() and int(label) < len(names):
        return {int(label): names[int(label)]}
    raise UsageError(f"--class '{clean(label, 80)}' is not a class of this model: {clean(', '.join(names), 200)}.")


def _quantiles(value: object) -> list[float]:
    """The quantiles of a checkpoint, or none where it has none that can be used."""
    if not isinstance(value, list) or not all(isinstance(q, int | float) for q in value):
        return []
    return [float(q) for q in value]
