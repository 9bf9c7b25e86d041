"""The list of commands: name, group, function, examples. `gan --help` shows them in this order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gancli.cli.curate import curate
from gancli.cli.demo import demo
from gancli.cli.evaluate import evaluate
from gancli.cli.export import export
from gancli.cli.gif import gif
from gancli.cli.info import info
from gancli.cli.interpolate import interpolate
from gancli.cli.report import report
from gancli.cli.sample import sample
from gancli.cli.score import score
from gancli.cli.scrape import scrape
from gancli.cli.train import train

__all__ = ["COMMANDS", "Command"]

COLLECT = "Collect"
TRAIN = "Train"
SHOW = "Show"
JUDGE = "Judge"


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command. `examples` stand at the end of its help; each is tested to parse."""

    name: str
    panel: str
    function: Callable[..., Any]
    examples: tuple[str, ...]


COMMANDS: tuple[Command, ...] = (
    Command(
        name="demo",
        panel=COLLECT,
        function=demo,
        examples=("gan demo", "gan demo --size 48 --kimg 100 --minutes 10 -o big-demo"),
    ),
    Command(
        name="scrape",
        panel=COLLECT,
        function=scrape,
        examples=(
            'gan scrape "snowy mountains"',
            "gan scrape desert alps --from demo -n 200 --label-by-query",
            "gan scrape --urls list.txt --min-side 64 -o photos",
            'gan scrape "snowy mountains" | gan curate | gan train --model wgan-gp --size 64',
        ),
    ),
    Command(
        name="curate",
        panel=COLLECT,
        function=curate,
        examples=(
            "gan curate snowy-mountains --size 64",
            "gan curate photos more-photos --fit smart --drop blurry --drop dark -o set",
            'gan scrape "snowy mountains" | gan curate --mirror',
        ),
    ),
    Command(
        name="train",
        panel=TRAIN,
        function=train,
        examples=(
            "gan train snowy-mountains-64 --model dcgan --minutes 15",
            "gan train idx:mnist --model vanilla --epochs 30",
            "gan train photos --size 96x64 --batch 32 --kimg 500 --dry-run",
        ),
    ),
    Command(
        name="sample",
        panel=SHOW,
        function=sample,
        examples=(
            "gan sample runs/dcgan-mountains-64 -n 64",
            "gan sample --seeds 3,14,15-20 --captions",
            "gan sample runs/dcgan-mountains-64/last.pt --best 16 --of 256",
        ),
    ),
    Command(
        name="interpolate",
        panel=SHOW,
        function=interpolate,
        examples=(
            "gan interpolate runs/dcgan-mountains-64 --seeds 3,14,15 --even",
            "gan interpolate -o walk.gif",
            "gan interpolate --strip 10",
        ),
    ),
    Command(
        name="gif",
        panel=SHOW,
        function=gif,
        examples=(
            "gan gif runs/dcgan-mountains-64 --caption",
            "gan interpolate | gan gif --max-mb 8",
            "gan gif walk/ --boomerang -o walk.webp",
        ),
    ),
    Command(
        name="export",
        panel=SHOW,
        function=export,
        examples=(
            "gan export runs/dcgan-mountains-64 --to safetensors",
            "gan export runs/dcgan-mountains-64 --to onnx -o mountains.onnx",
        ),
    ),
    Command(
        name="info",
        panel=JUDGE,
        function=info,
        examples=("gan info runs/dcgan-snowy-mountains-64", "gan info snowy-mountains-64 --augment ada"),
    ),
    Command(
        name="evaluate",
        panel=JUDGE,
        function=evaluate,
        examples=(
            "gan evaluate runs/dcgan-mountains-64",
            "gan evaluate --metrics kid,coverage -n 2000 --compare runs/wgan-gp-mountains-64",
            "gan evaluate --features inception --inception weights-inception-2015-12-05-6726825d.pth",
            "gan evaluate runs/relativistic-ring --protocol pacgan",
        ),
    ),
    Command(
        name="report",
        panel=JUDGE,
        function=report,
        examples=("gan report runs/dcgan-mountains-64", "gan train photos --minutes 15 | gan report"),
    ),
    Command(
        name="score",
        panel=JUDGE,
        function=score,
        examples=(
            "gan score runs/dcgan-mountains-64 holiday.jpg",
            "gan score runs/dcgan-mountains-64/last.pt photos/ --quiet",
        ),
    ),
)
