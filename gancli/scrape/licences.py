"""Licences by one name each, and what each of them allows.

Names are short and stable: `CC0-1.0`, `PDM-1.0`, `Public domain`, `CC-BY-SA-4.0`, `Pixabay Content License`.
What is not known for certain to allow derivatives counts as not allowing them.
"""

from __future__ import annotations

import re

from gancli.errors import UsageError

__all__ = [
    "FLICKR_NO_KNOWN_RESTRICTIONS",
    "PIXABAY",
    "RULES",
    "US_GOVERNMENT",
    "allows",
    "check_rule",
    "from_code",
    "from_short_name",
    "from_url",
]

RULES = ("public", "commercial", "modify", "any")

PIXABAY = "Pixabay Content License"
FLICKR_NO_KNOWN_RESTRICTIONS = "No known copyright restrictions"
US_GOVERNMENT = "United States Government Work"

_PUBLIC, _FREE, _NONCOMMERCIAL, _CLOSED = "public", "free", "noncommercial", "closed"
_GRANTS: dict[str, frozenset[str]] = {
    "public": frozenset({_PUBLIC}),
    "commercial": frozenset({_PUBLIC, _FREE}),
    "modify": frozenset({_PUBLIC, _FREE, _NONCOMMERCIAL}),
    "any": frozenset({_PUBLIC, _FREE, _NONCOMMERCIAL, _CLOSED}),
}
_NAMED = {
    PIXABAY.lower(): _FREE,
    FLICKR_NO_KNOWN_RESTRICTIONS.lower(): _FREE,
    "no restrictions": _FREE,  # what Commons calls Flickr's licence 7
    US_GOVERNMENT.lower(): _FREE,
    "public domain": _PUBLIC,
}
_PARTS = {"by", "nc", "sa", "nd"}


def check_rule(rule: str) -> str:
    """`rule` if it is one; raises `UsageError` naming the four."""
    if rule not in RULES:
        raise UsageError(f"--license '{rule}' is unknown; choose one of {', '.join(RULES)}.")
    return rule


def allows(licence: str | None, rule: str) -> bool:
    """Does `licence` grant what `rule` asks: public, commercial, modify, or any (which everything grants)?"""
    return _grant(licence) in _GRANTS[rule]


def from_code(code: str, version: str | None = None) -> str:
    """The name for a code as Openverse writes it: ('by-sa', '2.0') -> 'CC-BY-SA-2.0', ('cc0', None) -> 'CC0-1.0'."""
    code = re.sub(r"[^a-z0-9+-]", "", code.lower()).removeprefix("cc-")
    number = re.sub(r"[^0-9.]", "", version or "")
    if code in ("cc0", "zero"):
        return "CC0-1.0"
    if code in ("pdm", "publicdomain", "mark"):
        return "PDM-1.0"
    return f"CC-{code.upper()}-{number}".rstrip("-")


def from_short_name(name: str) -> str:
    """The name for a short name as Commons writes it: 'CC BY-SA 3.0 de' -> 'CC-BY-SA-3.0-DE'; others are kept."""
    text = " ".join(name.split())
    folded = text.lower()
    if re.match(r"cc[ -]?(0|zero)\b", folded):
        return "CC0-1.0"
    if folded in ("public domain", "pd") or folded.startswith(("public domain", "pd-")):
        return "Public domain"
    if re.match(r"(pdm|public domain mark)\b", folded):
        return "PDM-1.0"
    if re.match(r"cc[ -](by|nc|sa|nd)\b", folded):
        return re.sub(r"[ -]+", "-", text).upper()
    return text


def from_url(url: str) -> str | None:
    """The name for an address at creativecommons.org, else None."""
    found = re.search(
        r"creativecommons\.org/(licenses|publicdomain)/([a-z+-]+)(?:/([0-9.]+))?(?:/([a-z]{2}))?(?:[/?#]|$)",
        url.lower(),
    )
    if not found:
        return None
    name = from_code(found[2], found[3])
    return f"{name}-{found[4].upper()}" if found[4] and found[1] == "licenses" else name


def _grant(licence: str | None) -> str:
    if not licence:
        return _CLOSED
    folded = " ".join(licence.lower().split())
    if folded in _NAMED:
        return _NAMED[folded]
    if re.fullmatch(r"(cc0|pdm)(-1\.0)?", folded):
        return _PUBLIC
    found = re.fullmatch(r"cc-((?:[a-z]{2}-)*[a-z]{2})(?:-[0-9][0-9.,]*(?:-[a-z-]+)?)?", folded)
    if not found:
        return _CLOSED
    parts = found[1].split("-")
    if not _PARTS.issuperset(parts) or "by" not in parts or "nd" in parts:
        return _CLOSED
    return _NONCOMMERCIAL if "nc" in parts else _FREE
