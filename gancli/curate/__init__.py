"""Image files to a clean training set: duplicates, quality, resize, mirror, review."""

from gancli.curate.findings import Done, Finding, Note, Planned, Read, Searched, Written
from gancli.curate.options import CurateOptions
from gancli.curate.process import curate

__all__ = ["CurateOptions", "Done", "Finding", "Note", "Planned", "Read", "Searched", "Written", "curate"]
