"""gan report: one page about a run that opens anywhere, and plots to paste."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gancli.cli.inputs import RUN, input_path
from gancli.cli.options import JsonOption, OutOption, QuietOption, VerboseOption
from gancli.cli.output import Output
from gancli.errors import GanError
from gancli.text import clean, plural

if TYPE_CHECKING:
    from gancli.render.report import PairPicture, RunRecord

__all__ = ["make_report", "report"]

NUM_PAIRS = 256  # pictures among which the nearest to a training image are looked for


def report(
    source: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="A run; '-' or a pipe: stdin; none: the newest run here.")
    ] = None,
    pairs: Annotated[
        bool, typer.Option("--pairs/--no-pairs", help="Draw the nearest training images (needs the data).")
    ] = True,
    out: OutOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Rebuilds report.html, one page that opens offline, and plots/*.png of a run."""
    output = Output(json=json, quiet=quiet, verbose=verbose)
    path = Path(input_path(source, RUN, output) or "")
    if path.is_file() and (path.parent / "config.json").is_file():
        path = path.parent
    if out is not None and out.exists():
        raise GanError(f"-o '{clean(out)}' exists. Choose another name; without -o the run's own report is rebuilt.")
    target, plots = make_report(path, output, num_pairs=NUM_PAIRS if pairs else 0, target=out)
    output.artefact(target, plots=[str(plot) for plot in plots], bytes=target.stat().st_size)


def make_report(run: Path, output: Output, *, num_pairs: int, target: Path | None = None) -> tuple[Path, list[Path]]:
    """Builds the page and the plots of `run`; returns their paths. The nearest training images are looked for among
    `num_pairs` new pictures; 0: they are left out."""
    from gancli.render.report import read_run, write_report
    from gancli.render.report_plots import draw_plots

    record = read_run(run)
    best = record.verdict.get("best_tick")
    plots = draw_plots(record.rows, run / "plots", best_tick=best if isinstance(best, int) else None)
    output.detail(plural(len(plots), "plot"))
    return write_report(record, _pairs(record, num_pairs, output) if num_pairs else None, target=target), plots


def _pairs(record: RunRecord, count: int, output: Output) -> PairPicture | None:
    """The pictures most like a training image beside it; None, with a note, where the data or the network is gone."""
    if record.config.get("config", {}).get("channels") == 2 and record.config["config"].get("size") == [0, 0]:
        return None
    from gancli.cli.compared import nearest_pairs
    from gancli.render.report import PairPicture

    try:
        png, share, count = nearest_pairs(record.path, count)
    except GanError as error:
        output.note(f"no nearest training images: {clean(error, 200)}")
        return None
    words = (
        f"Of {count} new pictures these are most like a training image, each with that image to its right. The number "
        "is their distance, in distances of that image to its nearest other one; below .5 it counts as a copy "
        f"({share:.0%} of all)."
    )
    return PairPicture(png=png, words=words)
