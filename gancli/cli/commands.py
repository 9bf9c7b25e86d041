"""The list of commands: name, group, function, examples. `gan --help` shows them in this order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["COMMANDS", "Command"]

COLLECT = "Collect"
TRAIN = "Train"
SHOW = "Show"
JUDGE = "Judge"


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command. `examples` stand at the end of its help; each is tested to parse."""

    name: str
    panel: str
    function: Callable[..., Any]
    examples: tuple[str, ...]


COMMANDS: tuple[Command, ...] = ()
