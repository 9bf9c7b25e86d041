"""Text from outside (titles, authors, file names, addresses) is data: here it is made harmless to show."""

from __future__ import annotations

import html
import re
import unicodedata

__all__ = ["clean", "escape_html", "escape_markdown", "one_line", "plural", "slug"]

_BREAKS = "\n\r\t\v\f\u2028\u2029"
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-!|~])")


def clean(text: object, limit: int = 500) -> str:
    """`text` on one line, without control, bidirectional or surrogate characters, at most `limit` characters."""
    kept = re.sub(r" {2,}", " ", one_line(text)).strip()
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"


def one_line(text: object) -> str:
    """`text` as `clean` leaves it, but with its spaces: for lines that we aligned ourselves."""
    text = str(text)
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        " " if c in _BREAKS else c
        for c in text
        if c in _BREAKS or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co")
    )


def escape_markdown(text: object) -> str:
    """`text` cleaned, then with every Markdown and HTML special character escaped."""
    return _MARKDOWN.sub(r"\\\1", clean(text)).replace("\\<", "&lt;").replace("\\>", "&gt;")


def escape_html(text: object) -> str:
    """`text` cleaned, then escaped for HTML text and attribute values."""
    return html.escape(clean(text), quote=True)


def slug(text: str, limit: int = 60) -> str:
    """A readable file name for `text`, letters of any script kept: 'Snowy mountains!' -> 'snowy-mountains'."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = re.findall(r"[^\W_]+", folded)
    name = ""
    for word in words:
        if name and len(name) + 1 + len(word) > limit:
            break
        name = f"{name}-{word}" if name else word[:limit]
    while len(name.encode()) > 180:
        name = name[:-1]
    return name or "untitled"


def plural(count: int, noun: str, many: str | None = None) -> str:
    """'1 image', '2 images', '1,000 images'."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"
