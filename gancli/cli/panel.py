"""Watching a run: a steady panel on a terminal, one line a tick elsewhere."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from gancli.cli.output import Output
from gancli.text import clean

if TYPE_CHECKING:
    from rich.console import Group
    from rich.text import Text

    from gancli.training.session import Session
    from gancli.training.ticks import Tick

__all__ = ["watch"]

_SHOWN_TICKS = 6
_BAR = 20
_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("tick", "tick", "d"),
    ("kimg", "kimg", ".1f"),
    ("loss D", "loss_d", ".3f"),
    ("loss G", "loss_g", ".3f"),
    ("D(x)", "d_real", ".2f"),
    ("D(G(z))", "d_fake", ".2f"),
    ("diversity", "diversity", ".2f"),
    ("coverage", "coverage", ".2f"),
)


@contextlib.contextmanager
def watch(session: Session, output: Output) -> Iterator[Callable[[Tick], None]]:
    """Gives what shows a tick: the panel while the context lasts, or plain lines where there is no terminal."""
    if output.quiet or not output.is_terminal:

        def line(tick: Tick) -> None:
            output.note(_tick_line(tick.row, tick.verdict.verdict, tick.seconds_left))
            if tick.note:
                output.warn(tick.note)

        yield line
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, no_color="NO_COLOR" in os.environ, highlight=False)
    panel = _Panel(session, "━─" if console.encoding.lower().startswith("utf") else "#-")
    with Live(console=console, get_renderable=panel.render, refresh_per_second=2, vertical_overflow="crop"):

        def show(tick: Tick) -> None:
            panel.take(tick)
            if tick.note:
                output.warn(tick.note)

        yield show
        panel.is_over = True


class _Panel:
    """What the screen shows. Between two ticks the bar moves at the rate last measured."""

    def __init__(self, session: Session, bar: str) -> None:
        self._session = session
        self._bar = bar
        self._ticks: list[Tick] = []
        self._since = time.monotonic()
        self._nimg = float(session.checkpoint.nimg) if session.checkpoint else 0.0
        self._rate = session.engine.images_per_s
        self._target = float(session.plan.figures["target_kimg"]) * 1000
        self.is_over = False

    def take(self, tick: Tick) -> None:
        self._ticks.append(tick)
        del self._ticks[:-_SHOWN_TICKS]
        self._since = time.monotonic()
        self._nimg, self._rate = float(tick.row["nimg"]), float(tick.row["images_per_s"])
        self._target = float(tick.row["target_kimg"]) * 1000

    def render(self) -> Group:
        from rich.console import Group
        from rich.text import Text

        lines = [Text(clean(self._session.run.path, 200), style="bold"), self._progress(), *self._table()]
        if not self.is_over:
            lines.append(Text("Ctrl-C stops here and saves; the same command continues.", style="dim"))
        for text in lines:
            text.no_wrap, text.overflow = True, "ellipsis"
        return Group(*lines)

    def _progress(self) -> Text:
        from rich.text import Text

        waited = 0.0 if self.is_over else time.monotonic() - self._since
        tick_nimg = self._session.engine.tick_kimg * 1000
        # never further than the tick that has not come yet
        nimg = min(self._nimg + self._rate * waited, self._nimg + tick_nimg, self._target)
        share = min(1.0, nimg / max(self._target, 1.0))
        full = round(_BAR * share)
        left = max(0.0, self._target - nimg) / max(self._rate, 1e-9)
        config = self._session.config
        text = Text()
        text.append(self._bar[0] * full, style="green")
        text.append(self._bar[1] * (_BAR - full), style="dim")
        text.append(
            f" {share:4.0%}  {nimg / 1000:.1f} of {self._target / 1000:.1f} kimg  "
            f"epoch {nimg / config.num_images:.1f}  "
            f"{self._rate:,.0f} img/s  " + ("done" if self.is_over and share >= 1 else f"{_left(left)} left")
        )
        return text

    def _table(self) -> list[Text]:
        from rich.text import Text

        if not self._ticks:
            return [Text("The first grid and checkpoint are saved; the first tick comes soon.", style="dim")]
        heads = [head for head, _, _ in _COLUMNS]
        lines = [Text("  ".join(f"{head:>{max(6, len(head))}}" for head in heads) + "  verdict", style="dim")]
        for tick in self._ticks:
            cells = [_number(tick.row, name, form).rjust(max(6, len(head))) for head, name, form in _COLUMNS]
            lines.append(Text("  ".join(cells) + "  "))
            verdict = tick.verdict.verdict
            lines[-1].append(
                verdict, style="green" if verdict == "healthy" else "" if verdict == "starved" else "yellow"
            )
        return lines


def _tick_line(row: dict[str, Any], verdict: str, left: float) -> str:
    return (
        f"tick {row['tick']:<3} {row['kimg']:.1f}/{row['target_kimg']:.1f} kimg  epoch {row['epoch']:.1f}  "
        f"{row['images_per_s']:,.0f} img/s  {_left(left)} left  "
        f"loss D {_number(row, 'loss_d', '.3f')} G {_number(row, 'loss_g', '.3f')}  "
        f"D(x) {_number(row, 'd_real', '.2f')} D(G(z)) {_number(row, 'd_fake', '.2f')}  "
        f"diversity {_number(row, 'diversity', '.2f')}  coverage {_number(row, 'coverage', '.2f')}  {verdict}"
    )


def _number(row: dict[str, Any], name: str, form: str) -> str:
    value = row.get(name)
    return "-" if value is None else format(value, form)


def _left(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
