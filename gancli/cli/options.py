"""Option types that several commands share; an option of one command lives beside that command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "DATA_PANEL",
    "OUTPUT_PANEL",
    "DeviceOption",
    "JsonOption",
    "OutOption",
    "QuietOption",
    "VerboseOption",
]

OUTPUT_PANEL = "Output"
DATA_PANEL = "Data"

OutOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Where to put it. Default: a readable name.", rich_help_panel=OUTPUT_PANEL),
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Only errors on stderr.", rich_help_panel=OUTPUT_PANEL)
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say more on stderr.", rich_help_panel=OUTPUT_PANEL)
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object instead of the path.", rich_help_panel=OUTPUT_PANEL),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Replace an existing file (never a folder).", rich_help_panel=OUTPUT_PANEL)
]
DeviceOption = Annotated[
    str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps.", rich_help_panel="Machine")
]
