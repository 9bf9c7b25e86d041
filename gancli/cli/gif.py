"""gan gif: the training of a run, a walk or any pictures as a GIF, WebP or MP4."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gancli.cli.inputs import RUN, input_path, is_run
from gancli.cli.options import ForceOption, JsonOption, OutOption, QuietOption, VerboseOption
from gancli.cli.output import Output
from gancli.cli.places import beside, output_file
from gancli.errors import DataError, UsageError
from gancli.text import clean, plural

if TYPE_CHECKING:
    from gancli.render.animation import Timing
    from gancli.render.frames import Frames

__all__ = ["gif"]

MOTION = "Motion"
LOOK = "Look"


@dataclass(frozen=True, kw_only=True)
class _Source:
    """What is animated: the frames, a text for each, a name for the result, and how long the last one is held."""

    frames: Frames
    texts: list[str]
    default: Path
    hold_s: float
    what: str


def gif(
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN|FRAMES|IMAGES]...", help="A run (its training), a folder of frames, or pictures."),
    ] = None,
    fps: Annotated[
        float | None, typer.Option("--fps", help="Frames a second. [default: 20]", rich_help_panel=MOTION)
    ] = None,
    duration: Annotated[
        float | None, typer.Option("--duration", metavar="S", help="Seconds in all.", rich_help_panel=MOTION)
    ] = None,
    frames: Annotated[
        int | None, typer.Option("--frames", metavar="N", help="Only N of the frames.", rich_help_panel=MOTION)
    ] = None,
    spacing: Annotated[
        str,
        typer.Option(
            "--spacing", metavar="even|log", help="Which N: log shows more of the start.", rich_help_panel=MOTION
        ),
    ] = "even",
    loop: Annotated[bool, typer.Option("--loop/--no-loop", help="Repeat for ever.", rich_help_panel=MOTION)] = True,
    boomerang: Annotated[
        bool, typer.Option("--boomerang", help="There and back again.", rich_help_panel=MOTION)
    ] = False,
    hold: Annotated[
        float | None,
        typer.Option(
            "--hold", metavar="S", help="Hold the last frame. [default: 1.5 for a run, 0 else]", rich_help_panel=MOTION
        ),
    ] = None,
    size: Annotated[
        str | None, typer.Option("--size", metavar="PX", help="N (the longer side) or WxH.", rich_help_panel=LOOK)
    ] = None,
    max_mb: Annotated[
        float | None,
        typer.Option("--max-mb", metavar="MB", help="Fewer colours, then a smaller picture, until it fits."),
    ] = None,
    caption: Annotated[
        bool, typer.Option("--caption", help="Write the epoch (or the file's name) below.", rich_help_panel=LOOK)
    ] = False,
    out: OutOption = None,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """A moving picture: the timelapse of a run, a walk, or pictures in a row. -o x.gif, x.webp or x.mp4."""
    output = Output(json=json, quiet=quiet, verbose=verbose)
    _check(out, fps, duration, frames, spacing, max_mb, hold)
    if out is not None:
        output_file(out, out, force=force)
    named = sources if sources and sources != ["-"] else [input_path(sources[0] if sources else None, RUN, output)]
    source = _source([Path(str(name)) for name in named], frames, spacing, fit=size is not None)
    target = output_file(out, source.default, force=force)
    moving, timing = _motion(source, fps, duration, loop, boomerang, hold, target, output)
    from gancli.render.animation import write_animation

    shown = _sized(moving[0], size)
    if caption:
        shown = shown.captioned(moving[1])
    output.note(f"{source.what}: {plural(shown.count, 'frame')} at {timing.fps:g} a second to '{clean(target)}'")
    made = write_animation(target, shown, timing, max_mb=max_mb)
    if made.means:
        output.note(f"--max-mb {max_mb:g} met by: {', '.join(made.means)}")
    output.note(f"{made.num_bytes / 1e6:.2f} MB, {made.width}x{made.height} px, {made.seconds:.2f} s")
    output.artefact(
        target,
        num_frames=made.num_frames,
        fps=timing.fps,
        seconds=made.seconds,
        width=made.width,
        height=made.height,
        bytes=made.num_bytes,
        given_up=made.means,
    )


def _check(
    out: Path | None,
    fps: float | None,
    duration: float | None,
    frames: int | None,
    spacing: str,
    max_mb: float | None,
    hold: float | None,
) -> None:
    """What can be known to be wrong before anything is read."""
    from gancli.render.animation import check_format

    if out is not None:
        check_format(out, fps if fps is not None else 20.0)
    elif fps is not None:
        check_format(Path("x.gif"), fps)
    if duration is not None and not 0 < duration <= 3600:
        raise UsageError(f"--duration {duration:g}: more than 0 and at most 3600 seconds.")
    if frames is not None and frames < 1:
        raise UsageError(f"--frames {frames}: at least 1.")
    if spacing not in ("even", "log"):
        raise UsageError(f"--spacing '{clean(spacing, 40)}': choose even or log.")
    if max_mb is not None and not 0 < max_mb <= 10_000:
        raise UsageError(f"--max-mb {max_mb:g}: more than 0 megabytes.")
    if hold is not None and not 0 <= hold <= 600:
        raise UsageError(f"--hold {hold:g}: 0 to 600 seconds.")


def _source(paths: list[Path], count: int | None, spacing: str, *, fit: bool) -> _Source:
    from gancli.render.frames import from_files, spread_over
    from gancli.render.timelapse import stages

    if len(paths) == 1 and paths[0].is_dir() and is_run(paths[0]):
        found = stages(paths[0])
        files, texts = [stage.path for stage in found], [stage.caption for stage in found]
        default, hold_s, what = beside(paths[0], "-timelapse.gif"), 1.5, "timelapse of the training"
    else:
        files = _files(paths)
        texts = [clean(file.stem, 60) for file in files]
        default = beside(paths[0], ".gif") if len(paths) == 1 else paths[0].parent / "pictures.gif"
        hold_s, what = 0.0, f"'{clean(paths[0])}'" if len(paths) == 1 else plural(len(paths), "picture")
    if count is not None:
        chosen = spread_over(len(files), min(count, len(files)), spacing)
        files, texts = [files[i] for i in chosen], [texts[i] for i in chosen]
    return _Source(frames=from_files(files, fit=fit), texts=texts, default=default, hold_s=hold_s, what=what)


def _files(paths: list[Path]) -> list[Path]:
    """The pictures named: files as they come, folders by their frames in order (a grid.png is not one)."""
    from gancli.images import list_images

    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = list_images(path)
            frames = [file for file in inside if file.name.startswith("frame")]
            files += frames or [file for file in inside if file.name != "grid.png"]
        elif path.exists():
            files.append(path)
        else:
            raise DataError(f"There is no run, folder or picture at '{clean(path)}'.")
    if not files:
        raise DataError(f"No pictures found in '{clean(paths[0])}'. Make some: gan interpolate, or gan sample")
    return files


def _motion(
    source: _Source,
    fps: float | None,
    duration: float | None,
    loop: bool,
    boomerang: bool,
    hold: float | None,
    target: Path,
    output: Output,
) -> tuple[tuple[Frames, list[str]], Timing]:
    """The frames in the order and number shown, with their texts, and their timing."""
    from gancli.render.animation import MAX_FPS, Timing
    from gancli.render.frames import spread_over

    frames, texts = source.frames, source.texts
    if boomerang:
        order = [*range(frames.count), *range(frames.count - 2, 0, -1)]
        frames, texts = frames.pick(order), [texts[i] for i in order]
    hold_s = (source.hold_s if not boomerang else 0.0) if hold is None else hold
    rate = fps if fps is not None else 20.0
    if duration is not None:
        moving_s = duration - hold_s
        if moving_s <= 0:
            hold_s, moving_s = 0.0, duration
        ceiling = fps if fps is not None else min(MAX_FPS[target.suffix.lower()], 60.0)
        rate = fps if fps is not None else frames.count / moving_s
        if rate > ceiling or fps is not None:
            wanted = max(1, round(ceiling * moving_s))
            output.note(f"{frames.count} frames shown as {wanted}, to last {duration:g} s at {ceiling:g} a second")
            chosen = spread_over(frames.count, wanted)
            frames, texts, rate = frames.pick(chosen), [texts[i] for i in chosen], wanted / moving_s
    return (frames, texts), Timing(fps=rate, hold_s=hold_s, loop=loop)


def _sized(frames: Frames, size: str | None) -> Frames:
    if size is None:
        return frames
    from gancli.sizes import parse_size

    width, height = parse_size(size)
    if "x" not in size.lower():
        scale = width / max(frames.width, frames.height)
        width, height = max(1, round(frames.width * scale)), max(1, round(frames.height * scale))
    if max(width, height) > 4096:
        raise UsageError(f"--size {clean(size, 40)}: at most 4096 px a side.")
    return frames.resized(width, height)
