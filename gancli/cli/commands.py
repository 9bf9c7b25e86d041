"""The list of commands: name, line of help, group, examples. `gan --help` shows them in this order.

It imports none of them, so that a list of all and the help of one cost no more than they show.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["COMMANDS", "Command"]

COLLECT = "Collect"
TRAIN = "Train"
SHOW = "Show"
JUDGE = "Judge"


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command: the function of its name in the file of its name.

    `help` repeats the first paragraph of its docstring; `examples` stand at the end of its help. Both are tested.
    """

    name: str
    help: str
    panel: str
    examples: tuple[str, ...]

    def load(self) -> Callable[..., Any]:
        """The function, imported now."""
        function: Callable[..., Any] = getattr(importlib.import_module(f"gancli.cli.{self.name}"), self.name)
        return function


COMMANDS: tuple[Command, ...] = (
    Command(
        name="demo",
        help="The whole way in about three minutes on two cores: paint landscapes, learn them, walk through them.",
        panel=COLLECT,
        examples=("gan demo", "gan demo --size 48 --kimg 100 --minutes 10 -o big-demo"),
    ),
    Command(
        name="scrape",
        help="Collect pictures for a training set: found by a query, with licence and origin of each written down.",
        panel=COLLECT,
        examples=(
            'gan scrape "snowy mountains"',
            "gan scrape desert alps --from demo -n 200 --label-by-query",
            "gan scrape --urls list.txt --min-side 64 -o photos",
            'gan scrape "snowy mountains" | gan curate | gan train --model wgan-gp --size 64',
        ),
    ),
    Command(
        name="curate",
        help="Make a clean training set: duplicates out, every picture upright, sRGB and of one size.",
        panel=COLLECT,
        examples=(
            "gan curate snowy-mountains --size 64",
            "gan curate photos more-photos --fit smart --drop blurry --drop dark -o set",
            'gan scrape "snowy mountains" | gan curate --mirror',
        ),
    ),
    Command(
        name="train",
        help="Train a generator.",
        panel=TRAIN,
        examples=(
            "gan train snowy-mountains-64 --model dcgan --minutes 15",
            "gan train idx:mnist --model vanilla --epochs 30",
            "gan train photos --size 96x64 --batch 32 --kimg 500 --dry-run",
        ),
    ),
    Command(
        name="models",
        help="List the recipes that 'gan train --model' knows, with their numbers.",
        panel=TRAIN,
        examples=("gan models", "gan models r3gan-s", "gan models --json"),
    ),
    Command(
        name="sample",
        help="Pictures of seeds: one file a seed, and a grid. The same seed is the same picture, always.",
        panel=SHOW,
        examples=(
            "gan sample runs/dcgan-mountains-64 -n 64",
            "gan sample --seeds 3,14,15-20 --captions",
            "gan sample runs/dcgan-mountains-64/last.pt --best 16 --of 256",
        ),
    ),
    Command(
        name="interpolate",
        help="A walk from seed to seed: a folder of frames, or with -o x.gif, x.webp, x.mp4 the moving picture itself.",
        panel=SHOW,
        examples=(
            "gan interpolate runs/dcgan-mountains-64 --seeds 3,14,15 --even",
            "gan interpolate -o walk.gif",
            "gan interpolate --strip 10",
        ),
    ),
    Command(
        name="gif",
        help="A moving picture: the timelapse of a run, a walk, or pictures in a row. -o x.gif, x.webp or x.mp4.",
        panel=SHOW,
        examples=(
            "gan gif runs/dcgan-mountains-64 --caption",
            "gan interpolate | gan gif --max-mb 8",
            "gan gif walk/ --boomerang -o walk.webp",
        ),
    ),
    Command(
        name="project",
        help="The latent nearest to a picture, in a folder; then: gan interpolate --latents A --latents B.",
        panel=SHOW,
        examples=(
            "gan project runs/dcgan-mountains-64 my-holiday.jpg",
            "gan interpolate --latents a-projected --latents b-projected",
        ),
    ),
    Command(
        name="explore",
        help="A local page: seeds, sliders along the main directions, truncation; save seeds or a walk.",
        panel=SHOW,
        examples=("gan explore runs/dcgan-mountains-64", "gan explore --no-browser --port 8765"),
    ),
    Command(
        name="export",
        help="A folder with the generator, a sample grid and a model card (README.md); -o x.onnx: that file alone.",
        panel=SHOW,
        examples=(
            "gan export runs/dcgan-mountains-64 --to safetensors",
            "gan export runs/dcgan-mountains-64 --to onnx -o mountains.onnx",
        ),
    ),
    Command(
        name="info",
        help="Describe what is at PATH.",
        panel=JUDGE,
        examples=("gan info runs/dcgan-snowy-mountains-64", "gan info snowy-mountains-64 --augment ada"),
    ),
    Command(
        name="evaluate",
        help="Figures on the pictures of a run: one JSON object, each figure with its n, its features and an interval.",
        panel=JUDGE,
        examples=(
            "gan evaluate runs/dcgan-mountains-64",
            "gan evaluate --metrics kid,coverage -n 2000 --compare runs/wgan-gp-mountains-64",
            "gan evaluate --features inception --inception weights-inception-2015-12-05-6726825d.pth",
            "gan evaluate runs/relativistic-ring --protocol pacgan",
        ),
    ),
    Command(
        name="report",
        help="Rebuilds report.html, one page that opens offline, and plots/*.png of a run.",
        panel=JUDGE,
        examples=("gan report runs/dcgan-mountains-64", "gan train photos --minutes 15 | gan report"),
    ),
    Command(
        name="score",
        help="How well each image fits the style that the discriminator has learned: one JSON line each.",
        panel=JUDGE,
        examples=(
            "gan score runs/dcgan-mountains-64 holiday.jpg",
            "gan score runs/dcgan-mountains-64/last.pt photos/ --quiet",
        ),
    ),
)
