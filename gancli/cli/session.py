"""A training session as the terminal sees it: the plan, a line a tick, the report, the verdict, the path."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

import typer

from gancli.cli.output import Output
from gancli.cli.panel import watch
from gancli.errors import TrainingError
from gancli.text import clean

if TYPE_CHECKING:
    from gancli.training.session import Session
    from gancli.training.ticks import Tick

__all__ = ["follow", "plan_lines", "run_session", "show_plan"]


def follow(session: Session) -> None:
    """Another process than the first: it trains along and leaves speaking and writing to that one."""
    from gancli.cli.stopping import Stopper

    with Stopper() as stopper:
        for _ in session.ticks(stopper):
            pass


def run_session(session: Session, output: Output) -> None:
    """Plan, training with a line a tick, report, verdict, path; stops cleanly at Ctrl-C or SIGTERM, the state saved."""
    from gancli.cli.stopping import Stopper

    if session.finished:
        output.note(f"This run is finished already: {clean(session.run.path)}. Give another length to go on.")
        if not (session.run.path / "report.html").is_file():
            _draw_report(session, output)
        output.artefact(session.run.path, finished=True)
        return
    show_plan(session, output)
    last = None
    with Stopper() as stopper:
        try:
            with watch(session, output) as show:
                for tick in session.ticks(stopper):
                    last = tick
                    show(tick)
        except TrainingError:
            if last is not None:
                _draw_report(session, output)
            raise
        if last is not None:
            _draw_report(session, output, with_pairs=not stopper.stopped)
    figures: dict[str, Any] = {}
    if last is not None:
        _show_verdict(session, last, output)
        figures = {"kimg": last.row["kimg"], "verdict": last.verdict.verdict, "seconds": last.row["seconds"]}
    if stopper.stopped:
        output.note("Stopped; everything is saved. The same command again continues.")
    output.artefact(session.run.path, **figures)
    if stopper.stopped:
        raise typer.Exit(130)


def _show_verdict(session: Session, last: Tick, output: Output) -> None:
    from gancli.metrics.best import why_best

    verdict = last.verdict
    output.note(f"verdict: {verdict.verdict}. {verdict.evidence}")
    for line in verdict.advice:
        output.note(f"  try: {line}")
    best = verdict.best_tick or last.row["tick"]
    why = why_best(session.run.rows(), verdict.best_tick) if verdict.best_tick is not None else ""
    output.note(f"best.pt is tick {best} of {last.row['tick']}" + (f": {why}" if why else ""))


def _draw_report(session: Session, output: Output, *, with_pairs: bool = True) -> None:
    """report.html and plots/ of the run as it stands. They can be drawn anew at any time: a failure costs nothing."""
    from gancli.cli.report import make_report

    path = session.run.path
    if not (path / "log.jsonl").is_file():
        return
    # Sampling is several times as fast as training, so this is a second or two on any machine.
    num_pairs = max(32, min(256, round(2 * session.engine.images_per_s))) if with_pairs else 0
    try:
        make_report(path, output, num_pairs=num_pairs)
    except Exception as error:  # noqa: BLE001 — hours of training do not fail for a picture
        output.warn(
            f"The report could not be drawn ({clean(error, 200)}). Everything else is saved, and "
            f"'gan report {clean(path)}' tries again."
        )
    else:
        output.note(f"report: {clean(path)}/report.html")


def show_plan(session: Session, output: Output) -> None:
    """The plan on stderr, warnings and notes after it."""
    for line in plan_lines(session):
        output.note(line)
    if (unused := _unused_gpus(session)) is not None:
        output.note(unused)
    for note in session.notes:
        output.warn(note)
    for warning in session.plan.warnings:
        output.warn(warning)


def _unused_gpus(session: Session) -> str | None:
    """How to use all of several GPUs, where this run uses one of them."""
    import torch

    count = torch.cuda.device_count() if session.engine.device.startswith("cuda") else 0
    if session.ranks.world > 1 or count < 2:
        return None
    command = f"torchrun --nproc-per-node {count} -m gancli {shlex.join(sys.argv[1:])}"
    return f"{count} GPUs are here and this run uses one. All of them: {clean(command, 1000)}"


def plan_lines(session: Session) -> list[str]:
    """The plan, a line for each of its parts."""
    what = "plan" if session.is_new else "plan (continuing)"
    return [what, *(f"  {name:<9}{text}" for name, text in session.plan.lines)]
