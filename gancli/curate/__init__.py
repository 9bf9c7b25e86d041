"""Image files to a clean training set: duplicates, quality, resize, mirror, review.

Each name brings what it needs when it is first used: the worker processes that read the files need little of it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gancli.curate.findings import Done, Finding, Note, Planned, Read, Searched, Written
    from gancli.curate.options import CurateOptions
    from gancli.curate.process import curate

__all__ = ["CurateOptions", "Done", "Finding", "Note", "Planned", "Read", "Searched", "Written", "curate"]

_HOMES = {"CurateOptions": "options", "curate": "process"}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module(f"gancli.curate.{_HOMES.get(name, 'findings')}"), name)
    raise AttributeError(f"module 'gancli.curate' has no attribute '{name}'")
