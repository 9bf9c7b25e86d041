"""Moving pictures as files: GIF, WebP and MP4, with the timing asked for and, on request, a limit on their size."""

from __future__ import annotations

import io
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gancli.errors import GanError, MissingExtraError, UsageError
from gancli.files import atomic_file
from gancli.render.frames import Frames
from gancli.render.gif import write_gif
from gancli.text import clean

__all__ = ["FORMATS", "Animation", "Timing", "animation_bytes", "check_format", "write_animation"]

Bytes = npt.NDArray[np.uint8]
FORMATS = (".gif", ".webp", ".mp4")
MAX_FPS = {".gif": 50.0, ".webp": 100.0, ".mp4": 120.0}


@dataclass(frozen=True, kw_only=True)
class Timing:
    """`fps` frames a second; the last one stays `hold_s` seconds longer; `loop` repeats for ever (not in MP4)."""

    fps: float
    hold_s: float = 0.0
    loop: bool = True

    def seconds(self, count: int) -> list[float]:
        """How long each of `count` frames is shown."""
        return [1 / self.fps] * (count - 1) + [1 / self.fps + self.hold_s]


@dataclass(frozen=True, kw_only=True)
class Animation:
    """What was written. `means` says in words what was given up for `max_mb`."""

    path: Path
    num_frames: int
    width: int
    height: int
    seconds: float
    num_bytes: int
    means: list[str] = field(default_factory=list)


def check_format(path: Path, fps: float) -> None:
    """Can `path` be written at `fps` on this machine? Said before any work starts.

    Raises `UsageError` for another ending or an impossible rate, `MissingExtraError` for MP4 without ffmpeg.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(f"-o '{clean(path)}': the name must end in {', '.join(FORMATS)}.")
    if not 0.01 <= fps <= MAX_FPS[suffix]:
        raise UsageError(
            f"--fps {fps:g}: a {suffix[1:]} shows 0.01 to {MAX_FPS[suffix]:g} frames a second"
            + (" (viewers slow faster GIFs down); an .mp4 can do more." if suffix == ".gif" else ".")
        )
    if suffix == ".mp4" and find_spec("imageio_ffmpeg") is None:
        raise MissingExtraError("Writing an .mp4", "video")


def write_animation(path: Path, frames: Frames, timing: Timing, *, max_mb: float | None = None) -> Animation:
    """Writes `frames` to `path` by its ending, atomically, at most `max_mb` megabytes (10^6 bytes) large.

    What is given up for `max_mb`, in this order: colours (GIF), quality (WebP, MP4); then the picture's size.
    Raises `UsageError` if even a sixteenth of the area is too large.
    """
    check_format(path, timing.fps)
    write = _WRITERS[path.suffix.lower()]
    if max_mb is None:
        data, used, means = write(frames, timing, 1.0), frames, list[str]()
    else:
        data, used, means = _fit(frames, timing, write, int(max_mb * 1e6), path.suffix.lower())
    with atomic_file(path) as file:
        file.write(data)
    return Animation(
        path=path,
        num_frames=used.count,
        width=used.width,
        height=used.height,
        seconds=sum(timing.seconds(used.count)),
        num_bytes=len(data),
        means=means,
    )


# ---- one file of one quality; quality is 1 (the best) down to 0 ----------------------------------------------------

_Write = Callable[[Frames, Timing, float], bytes]


def _gif(frames: Frames, timing: Timing, quality: float) -> bytes:
    buffer = io.BytesIO()
    shown = frames.with_channels(4 if frames.channels == 4 else 3)
    write_gif(buffer, shown, timing.seconds(frames.count), loop=timing.loop, num_colours=_gif_colours(quality))
    return buffer.getvalue()


def _gif_colours(quality: float) -> int:
    return int(255.5 * (48.5 / 255.5) ** (1 - quality))


def _webp(frames: Frames, timing: Timing, quality: float) -> bytes:
    from PIL import Image

    shown = frames.with_channels(4 if frames.channels == 4 else 3)
    ends = np.rint(np.cumsum(timing.seconds(frames.count)) * 1000).astype(int)
    delays = np.diff(ends, prepend=0).tolist()
    pictures = (Image.fromarray(frame) for frame in shown)
    buffer = io.BytesIO()
    next(pictures).save(
        buffer,
        "WEBP",
        save_all=True,
        append_images=pictures,
        duration=delays if frames.count > 1 else delays[0],
        loop=0 if timing.loop else 1,
        quality=_webp_quality(quality),
        method=3,
        minimize_size=False,
    )
    return buffer.getvalue()


def _webp_quality(quality: float) -> int:
    return round(30 + 60 * quality)


def _mp4(frames: Frames, timing: Timing, quality: float) -> bytes:
    return _run_ffmpeg(frames, timing, ["-crf", str(round(34 - 17 * quality))])


def _run_ffmpeg(frames: Frames, timing: Timing, rate: list[str]) -> bytes:
    """H.264, yuv420p, even sides (the last row or column repeated), the index in front so that browsers start early."""
    import imageio_ffmpeg

    shown = _even_sides(frames.with_channels(3))
    held = round(timing.hold_s * timing.fps)
    size = f"{shown.width}x{shown.height}"
    with tempfile.TemporaryDirectory(prefix="gan-video-") as folder:
        target = Path(folder) / "video.mp4"
        source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", f"{timing.fps:g}", "-i", "-"]
        colours = [
            "-vf",
            "scale=out_color_matrix=bt709:out_range=tv",
            "-colorspace",
            "bt709",
            "-color_primaries",
            "bt709",
        ]
        encode = ["-an", "-c:v", "libx264", "-preset", "medium", *rate, "-pix_fmt", "yuv420p", "-color_trc", "bt709"]
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error", *source, *colours, *encode]
        command += ["-color_range", "tv", "-movflags", "+faststart", str(target)]
        errors = _feed(command, shown, held)
        if errors or not target.is_file():
            raise GanError(
                f"ffmpeg could not write the video: {clean(errors, 300)}. Try an .mp4 of another --size, or .webp."
            )
        return target.read_bytes()


def _feed(command: list[str], frames: Frames, held: int) -> str:
    """Pipes the raw frames into `command`, the last one `held` times more; what it complained of, '' if nothing."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors)
        assert process.stdin is not None
        try:
            for frame in _with_hold(frames, held):
                process.stdin.write(np.ascontiguousarray(frame).tobytes())
            process.stdin.close()
        except BrokenPipeError:
            pass
        finally:
            failed = process.wait()
        errors.seek(0)
        said = errors.read().decode("utf-8", "replace")
    return said or "it stopped early" if failed else ""


def _with_hold(frames: Frames, held: int) -> Iterator[Bytes]:
    yield from frames
    for _ in range(held):
        yield frames.load(frames.count - 1)


def _even_sides(frames: Frames) -> Frames:
    height, width = frames.height + frames.height % 2, frames.width + frames.width % 2
    if (height, width) == (frames.height, frames.width):
        return frames

    def load(index: int) -> Bytes:
        pad = ((0, height - frames.height), (0, width - frames.width), (0, 0))
        return np.pad(frames.load(index), pad, mode="edge")

    return Frames(frames.count, height, width, frames.channels, load)


_WRITERS: dict[str, _Write] = {".gif": _gif, ".webp": _webp, ".mp4": _mp4}


def animation_bytes(suffix: str, frames: Frames, timing: Timing) -> bytes:
    """The file that `write_animation` would write, of the best quality; `suffix` is one of `FORMATS`."""
    return _WRITERS[suffix](frames, timing, 1.0)


# ---- a limit on the size -------------------------------------------------------------------------------------------


def _fit(frames: Frames, timing: Timing, write: _Write, limit: int, suffix: str) -> tuple[bytes, Frames, list[str]]:
    """The best that fits `limit` bytes: first the quality is halved in on, then the size."""
    data = write(frames, timing, 1.0)
    if len(data) <= limit:
        return data, frames, []
    lowest = write(frames, timing, 0.0)
    if len(lowest) <= limit:
        quality, data = _halve(lambda q: write(frames, timing, q), 0.0, lowest, limit)
        return data, frames, [_quality_in_words(suffix, quality)]

    def at(scale: float) -> Frames:
        return frames.resized(max(8, round(frames.width * scale)), max(8, round(frames.height * scale)))

    smallest = write(at(0.25), timing, 0.5)
    if len(smallest) > limit:
        raise UsageError(
            f"--max-mb {limit / 1e6:g}: {frames.count} frames of {frames.width}x{frames.height} px do not fit, "
            f"even at a quarter of the size ({len(smallest) / 1e6:.2f} MB). Take fewer frames, or an .mp4."
        )
    place, data = _halve(lambda p: write(at(0.25 + 0.75 * p), timing, 0.5), 0.0, smallest, limit)
    used = at(0.25 + 0.75 * place)
    return data, used, [_quality_in_words(suffix, 0.5), f"{used.width}x{used.height} px"]


def _halve(make: Callable[[float], bytes], low: float, found: bytes, limit: int) -> tuple[float, bytes]:
    """The largest place in [low, 1] whose file fits `limit`, to within a tenth if that can be; `found` fits."""
    high, best = 1.0, low
    for _ in range(7):
        if len(found) >= 0.93 * limit:
            break
        middle = (best + high) / 2
        data = make(middle)
        if len(data) <= limit:
            best, found = middle, data
        else:
            high = middle
    return best, found


def _quality_in_words(suffix: str, quality: float) -> str:
    if suffix == ".gif":
        return f"{_gif_colours(quality)} colours"
    return f"quality {_webp_quality(quality)}" if suffix == ".webp" else f"crf {round(34 - 17 * quality)}"
