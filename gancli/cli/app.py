"""The commands in the order a person meets them, and the one boundary that turns errors into messages."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from gancli.cli.commands import COMMANDS, Command
from gancli.cli.output import Output
from gancli.errors import GanError

__all__ = ["app", "main"]


class _Commands(TyperGroup):
    """Builds a command when it is asked for; a list of all shows stand-ins and imports none of them."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._entries = {entry.name: entry for entry in COMMANDS}
        self._listing = False
        for entry in COMMANDS:
            self.commands[entry.name] = TyperCommand(entry.name, help=entry.help, rich_help_panel=entry.panel)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The whole command, or its stand-in while the list is being written."""
        if not self._listing and cmd_name in self._entries:
            self.commands[cmd_name] = _build(self._entries.pop(cmd_name))
        return super().get_command(ctx, cmd_name)

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order a person meets them."""
        return [entry.name for entry in COMMANDS]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The list of all."""
        self._listing = True
        super().format_help(ctx, formatter)
        self._listing = False


app = typer.Typer(
    name="gan",
    cls=_Commands,
    help="From an idea to a trained image generator and a moving picture, on the computer you have.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """The console script: runs the command, and exits with the status of CLI.md."""
    try:
        app(sys.argv[1:] or ["--help"], prog_name="gan")
    except GanError as error:
        Output().error(str(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _show_version(value: bool) -> None:
    if value:
        from importlib.metadata import PackageNotFoundError, version

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


def _build(entry: Command) -> Any:
    epilog = "Examples:\n\n" + "\n\n".join(f"$ {line}" for line in entry.examples)
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command(entry.name, rich_help_panel=entry.panel, epilog=epilog)(_interruptible(entry.load()))
    return typer.main.get_command(alone)
