"""gan demo: the whole way from words to a moving picture, on painted landscapes, in a few minutes."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from gancli.cli.options import JsonOption, QuietOption, VerboseOption
from gancli.cli.output import Output
from gancli.errors import GanError
from gancli.text import clean

__all__ = ["demo"]

_QUERIES = ("desert dunes", "green valleys", "high peaks", "rocky cliffs", "highland moors", "snowy mountains")
_NUM_SAMPLES = 64
# Chosen by trial on two cores: twice the usual learning rate, small batches and a narrow network show hills within
# 80 kimg, where the recipe's own numbers show haze.
_RECIPE = ("--model", "dcgan", "--batch", "32", "--width", "48", "--lr", "4e-4", "--latent-dim", "64")


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for everything it makes.")] = Path("gan-demo"),
    size: Annotated[int, typer.Option("--size", help="Pixels of the pictures: 32, 48 or 64.")] = 32,
    count: Annotated[int, typer.Option("--count", "-n", help="How many landscapes to paint.", min=12)] = 600,
    kimg: Annotated[float, typer.Option("--kimg", help="Length of the training, in thousands of images.")] = 80.0,
    minutes: Annotated[float, typer.Option("--minutes", help="The training ends after these at the latest.")] = 4.0,
    seed: Annotated[int, typer.Option("--seed", help="Decides the landscapes and the training.")] = 0,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    json_: JsonOption = False,
) -> None:
    """The whole way in about three minutes on two cores: paint landscapes, learn them, walk through them.

    Every command is printed before it runs. Nothing is downloaded. The same command again continues.
    """
    output = Output(json=json_, quiet=quiet, verbose=verbose)
    way = _Way(output)
    raw = way.run("scrape", *_QUERIES, "--from", "demo", "-n", str(count), "--seed", str(seed), "-o", str(out / "raw"))
    images = way.run("curate", raw, "--size", str(size), "-o", str(out / f"landscapes-{size}"))
    length = ("--kimg", f"{kimg:g}", "--minutes", f"{minutes:g}", "--tick-kimg", f"{kimg / 12:g}")
    run = way.run("train", images, *_RECIPE, *length, "--seed", str(seed), "-o", str(out / f"run-{size}"))
    pictures = way.run("sample", run, "-n", str(_NUM_SAMPLES))
    walk = way.run("interpolate", run, "--grid", "2x3", "--frames", "20", "--easing", "smooth")
    moving = way.run("gif", walk, "--size", "480")
    training = way.run("gif", run, "--caption", "--size", "480")
    kinds = _kinds(Path(pictures))
    seconds = way.seconds
    output.note()
    output.note(f"Of {_NUM_SAMPLES} fresh pictures: " + ", ".join(f"{name} {num}" for name, num in kinds.items()) + ".")
    output.note(f"Look at {clean(pictures)}/grid.png, {clean(moving)} and {clean(training)}; it took {seconds:.0f} s.")
    output.artefact(moving, pictures=pictures, run=run, timelapse=training, kinds=kinds, seconds=round(seconds, 1))


class _Way:
    """Runs one command after the other, each in a process of its own, as a person would."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the first command."""
        return time.monotonic() - self._began

    def run(self, *words: str) -> str:
        """Prints and runs `gan WORDS…`; returns the path that it made. Ends with the command's own exit status."""
        self._output.note(f"\n$ {shlex.join(('gan', *words))}")
        flags = ["--json"] + (["--quiet"] if self._output.quiet else []) + (["-v"] if self._output.verbose else [])
        command = [sys.executable, "-m", "gancli", *words, *flags]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        if done.returncode:
            raise typer.Exit(done.returncode)
        row: Any = json.loads(done.stdout.splitlines()[-1])
        if not isinstance(row, dict) or not isinstance(row.get("path"), str):
            raise GanError(f"gan {words[0]} gave no path")
        return str(row["path"])


def _kinds(folder: Path) -> dict[str, int]:
    """How many of the sampled pictures each kind of landscape has, by the nearest painted kind."""
    import numpy as np

    from gancli.images import list_images, read_image, to_array
    from gancli.painter import KINDS, nearest_kind

    files = [path for path in list_images(folder) if path.name.startswith("seed")]
    labels = nearest_kind(np.stack([to_array(read_image(path), 3) for path in files]))
    return {kind: int((labels == number).sum()) for number, kind in enumerate(KINDS)}
