"""The commands in the order a person meets them, and the one boundary that turns errors into messages."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer

from gancli.cli.output import Output
from gancli.errors import GanError

__all__ = ["app", "main"]

app = typer.Typer(
    name="gan",
    help="From an idea to a trained image generator and a moving picture, on the computer you have.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """The console script: runs the command, and exits with the status of CLI.md."""
    try:
        app(prog_name="gan")
    except GanError as error:
        Output().error(str(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _show_version(value: bool) -> None:
    if value:
        try:
            number = version("gancli")
        except PackageNotFoundError:
            number = "unknown (not installed)"
        Output().answer(f"gan {number}")
        raise typer.Exit


@app.callback()
def _gan(
    show_version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    pass


def _interruptible(function: Callable[..., Any]) -> Callable[..., Any]:
    """Ctrl-C ends a command with 130; what it had saved is on the disk already."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except KeyboardInterrupt:
            Output().error("interrupted; what was saved so far is kept")
            raise typer.Exit(130) from None

    return run


def _add(name: str, panel: str, function: Callable[..., Any], *examples: str) -> None:
    epilog = "Examples:\n\n" + "\n\n".join(f"$ {line}" for line in examples)
    app.command(name, rich_help_panel=panel, epilog=epilog, no_args_is_help=False)(_interruptible(function))


def _register() -> None:
    from gancli.cli import commands

    for entry in commands.COMMANDS:
        _add(entry.name, entry.panel, entry.function, *entry.examples)


_register()
