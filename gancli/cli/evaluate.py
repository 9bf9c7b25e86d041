"""gan evaluate: figures on a run, each with its n, its features and an interval."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gancli.cli.compared import draw_pairs, fakes_of, reals_of
from gancli.cli.inputs import RUN, input_path
from gancli.cli.options import DeviceOption, JsonOption, OutOption, QuietOption, VerboseOption
from gancli.cli.output import Output
from gancli.cli.places import beside, output_file
from gancli.errors import DataError, UsageError
from gancli.text import clean, plural

if TYPE_CHECKING:
    from gancli.metrics.evaluation import Evaluation
    from gancli.metrics.extractors import Extractor
    from gancli.render.generator import Generator

__all__ = ["evaluate"]

WHAT = "What is measured"
METRIC_NAMES = "coverage, kid, fid, precision, recall, memorisation, modes"
DEFAULT_METRICS = ("coverage", "kid", "precision", "recall", "memorisation", "modes")
FEATURES = ("random", "inception", "discriminator")
PROTOCOLS = ("pacgan", "stacked-mnist")


def evaluate(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN|CKPT]", help="A run or a checkpoint; '-' or a pipe: stdin; none: the newest run here."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data", metavar="DATA", help="Reals to compare with. [default: the run's own data]", rich_help_panel=WHAT
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            "--metrics", metavar="LIST", help=f"Of {METRIC_NAMES}. [default: all but fid]", rich_help_panel=WHAT
        ),
    ] = None,
    features: Annotated[
        str,
        typer.Option("--features", metavar="KIND", help="random, inception or discriminator.", rich_help_panel=WHAT),
    ] = "random",
    inception: Annotated[
        Path | None,
        typer.Option(
            "--inception",
            metavar="PATH",
            help="Inception's weights, for --features inception offline.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            "-n",
            "--count",
            help="Generated pictures, seeds 0 to n-1. [default: as many as reals, 500-2000]",
            rich_help_panel=WHAT,
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol",
            metavar="NAME",
            help="A published way to count modes: pacgan or stacked-mnist.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--compare",
            metavar="RUN2",
            help="Another run, measured the same way; says which is better.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    net: Annotated[
        str,
        typer.Option(
            "--net", metavar="ema|raw", help="The average of the weights, or the last.", rich_help_panel="Machine"
        ),
    ] = "ema",
    device: DeviceOption = "auto",
    out: OutOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Figures on the pictures of a run: one JSON object, each figure with its n, its features and an interval.

    With memorisation, the pictures most like a training image are drawn beside it (-o names that picture).
    """
    output = Output(json=json, quiet=quiet, verbose=verbose)
    chosen = _check_options(metrics, features, inception, protocol, count)
    path = input_path(source, RUN, output)
    from gancli.render.generator import load

    generator = load(str(path), net=net, device=device)
    if protocol is not None or generator.config.is_points:
        own = {"--features": None if features == "random" else features, "--data": None if protocol else data}
        _check_fixed({"--metrics": metrics, "--compare": against, "--out": out, **own}, protocol)
        output.answer(_protocol(generator, protocol, data, count, output))
        return
    evaluator = _Evaluator(generator, data, chosen, features, inception, count, output)
    result = evaluator.measure(generator)
    answer: dict[str, Any] = {"path": str(generator.path), "nimg": generator.loaded.nimg, **result.figures}
    if against is not None:
        answer["compare"] = evaluator.compare(result, load(against, net=net, device=device))
    if result.pairs is not None:
        target = output_file(out, beside(generator.path, "-pairs.png"))
        draw_pairs(result.pairs, target)
        answer["pairs"] = str(target)
    for warning in result.warnings:
        output.warn(warning)
    output.answer(answer | ({"warnings": result.warnings} if result.warnings else {}))


class _Evaluator:
    """The reals, and what both sides of a comparison share."""

    def __init__(
        self,
        generator: Generator,
        data: str | None,
        metrics: tuple[str, ...],
        features: str,
        inception: Path | None,
        count: int | None,
        output: Output,
    ) -> None:
        self.output, self.metrics, self.features = output, metrics, features
        self.reals = reals_of(generator, data)
        self.count = count if count is not None else min(2000, max(500, len(self.reals)))
        self._own = features == "discriminator"
        self._inception = inception
        self._extract = None if self._own else self._extractor(generator)

    def measure(self, generator: Generator) -> Evaluation:
        from gancli.metrics.evaluation import evaluate_images

        extract = self._extract or self._extractor(generator)
        self.output.note(
            f"{plural(self.count, 'picture')} of '{clean(generator.path)}' against "
            f"{plural(len(self.reals), 'real one')}, {self.features} features"
        )
        fakes = fakes_of(generator, self.count, self.output)
        return evaluate_images(
            self.reals, fakes, metrics=self.metrics, features=self.features, extract=extract, seed=generator.config.seed
        )

    def compare(self, first: Evaluation, other: Generator) -> dict[str, Any]:
        from gancli.metrics.evaluation import compare

        if self._own:
            raise UsageError("--compare with --features discriminator compares two rulers: choose random or inception.")
        if (other.size, other.channels) != (tuple(self.reals.shape[:1:-1]), self.reals.shape[1]):
            raise DataError(
                f"'{clean(other.path)}' makes pictures of another size or kind, so the two cannot be compared."
            )
        second = self.measure(other)
        return {"path": str(other.path), **second.figures, "first_minus_second": compare(first.figures, second.figures)}

    def _extractor(self, generator: Generator) -> Extractor:
        from gancli.metrics import extractors

        device = generator.loaded.device
        if self.features == "random":
            return extractors.random_extractor(self.reals, device=device)
        if self.features == "inception":
            return extractors.inception_extractor(self._inception, device=device)
        from gancli.models.load import load_discriminator

        return extractors.discriminator_extractor(load_discriminator(generator.path, device=str(device)), device=device)


def _check_options(
    metrics: str | None, features: str, inception: Path | None, protocol: str | None, count: int | None
) -> tuple[str, ...]:
    if features not in FEATURES:
        raise UsageError(f"--features '{clean(features, 40)}': choose random, inception or discriminator.")
    if inception is not None and features != "inception":
        raise UsageError("--inception goes with --features inception.")
    if protocol is not None and protocol not in PROTOCOLS:
        raise UsageError(f"--protocol '{clean(protocol, 40)}': choose pacgan or stacked-mnist.")
    if count is not None and count < 1:
        raise UsageError(f"-n {count}: at least 1, and at least 20 for a figure.")
    if metrics is None:
        return DEFAULT_METRICS if features != "inception" else (*DEFAULT_METRICS, "fid")
    names = tuple(dict.fromkeys(name.strip() for name in metrics.split(",") if name.strip()))
    for name in names:
        if name not in (*DEFAULT_METRICS, "fid"):
            raise UsageError(f"--metrics '{clean(name, 40)}' is not known; choose of {METRIC_NAMES}.")
    if not names:
        raise UsageError(f"--metrics is empty; choose of {METRIC_NAMES}.")
    if "fid" in names and features != "inception":
        raise UsageError(
            "FID is defined on Inception's features: add --features inception (and --inception PATH where there is no "
            "network), or use kid, which has no bias at small n."
        )
    return names


def _check_fixed(given: dict[str, object], protocol: str | None) -> None:
    for flag, value in given.items():
        if value is not None:
            what = "2-D points" if protocol is None else f"--protocol {protocol}"
            raise UsageError(f"{flag} has no meaning for {what}, whose figures are fixed. Leave it out.")


def _protocol(
    generator: Generator, protocol: str | None, data: str | None, count: int | None, output: Output
) -> dict[str, Any]:
    answer: dict[str, Any] = {"path": str(generator.path), "nimg": generator.loaded.nimg}
    if generator.config.is_points:
        if protocol == "stacked-mnist":
            raise UsageError("--protocol stacked-mnist counts pictures; this model makes 2-D points: use pacgan.")
        return answer | _points(generator, protocol, count)
    if protocol == "pacgan":
        raise UsageError(
            "--protocol pacgan counts the modes of toy:ring and toy:grid; this model makes pictures. For those there "
            "is --metrics modes, or --protocol stacked-mnist."
        )
    return answer | _stacked(generator, data, count, output)


def _points(generator: Generator, protocol: str | None, count: int | None) -> dict[str, Any]:
    import torch

    from gancli.data.toys import toy_modes
    from gancli.metrics.protocols import NUM_POINTS, arc_figures, pacgan_figures

    name = generator.config.data.partition(":")[2]
    if name == "arcs" and protocol is None:
        return arc_figures(generator.points(range(count or NUM_POINTS)))
    centres, sigma = toy_modes(name)
    points = torch.from_numpy(generator.points(range(count or NUM_POINTS)))
    return pacgan_figures(points, torch.from_numpy(centres).float(), sigma)


def _stacked(generator: Generator, data: str | None, count: int | None, output: Output) -> dict[str, Any]:
    from gancli.metrics.protocols import NUM_STACKS, stacked_figures, train_digit_classifier

    if data is None or not data.startswith("idx:"):
        raise UsageError("--protocol stacked-mnist needs labelled digits for its classifier: --data idx:FOLDER.")
    if generator.channels != 3:
        raise UsageError("--protocol stacked-mnist needs a model of three-channel pictures, one digit a channel.")
    from gancli.data.dataset import open_training_set

    digits = open_training_set(data)
    if digits.labels is None:
        raise DataError(f"'{clean(data)}' has no labels; the classifier of --protocol stacked-mnist needs them.")
    output.note(f"training the digit classifier on {plural(len(digits.images), 'digit')}")
    classifier, accuracy = train_digit_classifier(digits.images, digits.labels)
    return stacked_figures(fakes_of(generator, count or NUM_STACKS, output), classifier, accuracy=accuracy)
