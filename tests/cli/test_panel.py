"""A run on a terminal is a steady panel; in a pipe it is one line a tick without control codes."""

from __future__ import annotations

import os
import re
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from gancli.cli.output import Output
from gancli.cli.panel import watch


def session() -> Any:
    """What the panel reads of a session."""
    return SimpleNamespace(
        run=SimpleNamespace(path="runs/dcgan-[red]hills[/red]-64"),
        checkpoint=None,
        engine=SimpleNamespace(images_per_s=200.0, tick_kimg=2.0),
        plan=SimpleNamespace(figures={"target_kimg": 8.0}),
        config=SimpleNamespace(num_images=1000),
    )


def tick(number: int, note: str = "") -> Any:
    row = {"tick": number, "nimg": 2000 * number, "kimg": 2.0 * number, "epoch": 2.0 * number, "target_kimg": 8.0}
    row |= {"images_per_s": 200.0, "loss_d": 0.5, "loss_g": 2.25, "d_real": 0.75, "d_fake": None, "diversity": 0.875}
    return SimpleNamespace(row=row, verdict=SimpleNamespace(verdict="healthy"), seconds_left=30.0, note=note)


def show_four_ticks(quiet: bool = False) -> None:
    output = Output(quiet=quiet)
    with watch(session(), output) as show:
        for number in range(1, 5):
            show(tick(number, "back to tick 2" if number == 3 else ""))
    output.note("verdict: healthy")


def on_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> str:
    """What a terminal so wide gets."""
    termios = pytest.importorskip("termios", reason="needs a pseudo-terminal")
    import fcntl
    import pty
    import struct

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    seen = bytearray()

    def read() -> None:
        try:
            while part := os.read(master, 65536):
                seen.extend(part)
        except OSError:
            return

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(slave, "w", encoding="utf-8") as terminal, monkeypatch.context() as context:
        context.setattr(sys, "stderr", terminal)
        show_four_ticks()
    reader.join(10)
    os.close(master)
    return seen.decode()


def last_screen(shown: str) -> list[str]:
    """The panel as it was left, without control codes, line by line."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    lines = plain.replace("\r", "\n").split("\n")
    start = max(i for i, line in enumerate(lines) if line.startswith("runs/"))
    return [line.rstrip() for line in lines[start:] if line.strip()]


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_gets_a_panel(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown = on_terminal(monkeypatch, columns)
    screen = last_screen(shown)
    assert screen[0] == "runs/dcgan-[red]hills[/red]-64"  # a name is no markup
    assert screen[1] == "━" * 20 + " 100%  8.0 of 8.0 kimg  epoch 8.0  200 img/s  done"
    assert " ".join(screen[2].split()) == "tick kimg loss D loss G D(x) D(G(z)) diversity coverage verdict"
    assert screen[-2].split() == ["4", "8.0", "0.500", "2.250", "0.75", "-", "0.88", "-", "healthy"]
    assert screen[-1] == "verdict: healthy"
    assert "warning: back to tick 2" in shown
    assert shown.index("\x1b[?25l") < shown.rindex("\x1b[?25h")  # the cursor is given back
    assert re.search(r"\x1b\[[0-9;]*32m", shown)


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    shown = on_terminal(monkeypatch, 100)
    assert "loss D" in shown
    assert not re.search(r"\x1b\[(?:[0-9]+;)*(?:3[0-7]|9[0-7])(?:;[0-9]+)*m", shown)


def test_a_pipe_gets_a_line_a_tick(capfd: pytest.CaptureFixture[str]) -> None:
    show_four_ticks()
    out, err = capfd.readouterr()
    assert not out
    assert len(re.findall(r"^tick \d", err, re.MULTILINE)) == 4
    assert "tick 4   8.0/8.0 kimg  epoch 8.0  200 img/s  30 s left  loss D 0.500 G 2.250  D(x) 0.75 D(G(z)) -" in err
    assert "warning: back to tick 2" in err
    assert "\x1b" not in err


def test_quiet_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    show_four_ticks(quiet=True)
    assert capfd.readouterr() == ("", "")
