"""What a site says about being collected: X-Robots-Tag, tdm-reservation, robots.txt (RFC 9309)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from protego import Protego

__all__ = ["AGENT", "MAX_ROBOTS_BYTES", "Robots", "header_opt_out"]

AGENT = "gan"
MAX_ROBOTS_BYTES = 500 * 1024

_NO = ("noai", "noimageai", "noindex", "noimageindex", "noml", "none")
_VALUED = ("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview")


def header_opt_out(headers: Mapping[str, Sequence[str]]) -> str | None:
    """The opt-out in an answer's headers (names in lower case) in words, or None.

    X-Robots-Tag may come several times, each with directives for all or for one named agent.
    """
    for value in headers.get("x-robots-tag", ()):
        found = _directives(value) & set(_NO)
        if found:
            return f"opt-out: X-Robots-Tag {sorted(found)[0]}"
    for value in headers.get("tdm-reservation", ()):
        if value.split(",")[0].strip() == "1":
            return "opt-out: tdm-reservation"
    return None


def _directives(value: str) -> set[str]:
    """The directives of one X-Robots-Tag header that are for all or for us."""
    found: set[str] = set()
    is_for_us = True
    for part in value.lower().split(","):
        name, colon, rest = part.strip().partition(":")
        if colon and name.strip() not in _VALUED:
            is_for_us = name.strip() in (AGENT, "*")
            name = rest
        if is_for_us and name.strip():
            found.add(name.strip().split()[0])
    return found


class Robots:
    """The robots.txt of one origin: may an address there be fetched by `gan`?"""

    def __init__(self, text: str = "", *, refusal: str | None = None) -> None:
        self._refusal = refusal
        self._rules = Protego.parse(text) if text.strip() else None

    @classmethod
    def from_answer(cls, status: int, body: bytes) -> Robots:
        """RFC 9309, 2.3.1: 2xx counts, 4xx allows everything, 5xx forbids everything (for now)."""
        if status >= 500:
            return cls(refusal=f"robots.txt: HTTP {status}")
        if not 200 <= status < 300:
            return cls()
        text = body[:MAX_ROBOTS_BYTES].decode("utf-8", "replace").removeprefix("\ufeff")
        return cls(re.sub(r"\r\n?|\x00", "\n", text))

    @property
    def refusal(self) -> str | None:
        """Why nothing may be fetched for now, when the rules could not be read."""
        return self._refusal

    def allows(self, url: str) -> bool:
        """May `url` be fetched?"""
        return self._rules is None or bool(self._rules.can_fetch(url, AGENT))
