"""The house costs a person no waiting: `gan --help` against a Typer app of the same commands with empty bodies.

The bare app is written as source from the real one, option for option, and both run in turns in fresh processes.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer

from gancli.cli.app import app

REAL = "from gancli.cli.app import main; main()"
KNOWN = (int, float, bool, str, Path)


def bare_app() -> str:
    """The source of a Typer app with the same commands, options, help texts and panels, and empty bodies."""
    root: Any = typer.main.get_command(app)
    lines = [
        "from pathlib import Path",
        "from typing import Annotated",
        "import typer",
        f"app = typer.Typer(name='gan', help={root.help!r}, no_args_is_help=True, pretty_exceptions_enable=False)",
        "@app.callback()",
        "def gan(version: Annotated[bool, typer.Option('--version', help='Show the version and exit.', is_eager=True,"
        " callback=lambda on: on and (print('gan 0'), exit()))] = False) -> None: pass",
    ]
    for name in root.list_commands(None):
        command = root.get_command(None, name)
        lines.append(f"@app.command({name!r}, rich_help_panel={command.rich_help_panel!r}, epilog={command.epilog!r})")
        parameters = ", ".join(parameter(p) for p in command.params if p.name != "help")
        lines.append(f"def {name.replace('-', '_')}({parameters}) -> None:\n    {command.help!r}")
    return "\n".join([*lines, "app()"])


def parameter(given: Any) -> str:
    annotation = given.type_descriptor.annotation
    kind = annotation.__name__ if isinstance(annotation, type) and annotation in KNOWN else "str"
    kind = f"list[{kind}]" if given.multiple or given.nargs == -1 else kind
    texts = f"help={given.help!r}, metavar={given.metavar!r}, rich_help_panel={given.rich_help_panel!r}"
    if given.param_type_name == "argument":
        return f"{given.name}: Annotated[{kind} | None, typer.Argument({texts})] = None"
    names = ["/".join([given.opts[0], *given.secondary_opts]), *given.opts[1:]]
    optional, default = (kind, "False") if kind == "bool" else (f"{kind} | None", "None")
    return f"{given.name}: Annotated[{optional}, typer.Option({', '.join(map(repr, names))}, {texts})] = {default}"


def seconds(code: list[str], arguments: list[str]) -> float:
    began = time.perf_counter()
    done = subprocess.run([sys.executable, *code, *arguments], capture_output=True, check=False, timeout=60)
    took = time.perf_counter() - began
    assert done.returncode == 0, done.stderr.decode()
    return took


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["--version"]], ids=" ".join)
def test_starting_costs_at_most_a_quarter_more_than_a_bare_typer_app(arguments: list[str], tmp_path: Path) -> None:
    bare = tmp_path / "bare.py"
    bare.write_text(bare_app(), encoding="utf-8")
    ours, theirs = [], []
    for _ in range(12):
        ours.append(seconds(["-c", REAL], arguments))
        theirs.append(seconds([str(bare)], arguments))
    best, median = min(ours) / min(theirs), statistics.median(ours) / statistics.median(theirs)
    print(
        f"gan {' '.join(arguments)}: {min(ours):.3f} s, bare {min(theirs):.3f} s, best {best:.2f}, median {median:.2f}"
    )
    assert min(best, median) <= 1.25
