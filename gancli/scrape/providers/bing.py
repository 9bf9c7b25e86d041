"""bing: Bing Images by the page it loads itself, no key. States no licences; its terms forbid automated access."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from gancli.scrape.providers.base import (
    Page,
    Provider,
    ProviderBlocked,
    ProviderChanged,
    Request,
    Search,
    State,
    integer,
    is_challenge,
    provider,
    text_or_none,
    web_address,
)
from gancli.scrape.results import Result

_PAGE_SIZE = 35
_LAST_FIRST = 1000
_SHELL_BYTES = 5000
_TYPES = {
    "photo": "photo-photo",
    "clipart": "photo-clipart",
    "line": "photo-linedrawing",
    "transparent": "photo-transparent",
    "animated": "photo-animatedgif",
}
_COLOURS = {"colour": "color2-color", "grey": "color2-bw"}
_FEATURED = ("red", "orange", "yellow", "green", "teal", "blue", "purple", "pink", "white", "black", "brown")
_LICENCES = {"modify": "license-L2_L3_L5_L6", "commercial": "license-L2_L3", "public": "license-L1"}


@provider
class Bing(Provider):
    """https://www.bing.com/images/async, 35 results a page, about 1,000 a query; its last page repeats for ever."""

    name = "bing"
    endpoint = "https://www.bing.com"
    states_licence = False
    min_gap_s = 1.0
    max_results = 1000
    max_query = 1000
    terms = "states no licences, and its terms forbid automated access; what it finds counts as 'any'"

    def build_request(self, search: Search, state: State) -> Request:
        """`first` counts images from 1, not pages."""
        params = [
            ("q", search.query),
            ("async", "1"),
            ("first", str(_first(state))),
            ("count", str(_PAGE_SIZE)),
            ("adlt", search.safe),
            ("mkt", "en-US"),
        ]
        tokens = _tokens(search)
        if tokens:
            params.append(("qft", "".join(f"+filterui:{token}" for token in tokens)))
        headers = {"Accept-Language": "en-US,en;q=0.9", "Referer": "https://www.bing.com/"}
        return Request(path="/images/async", params=tuple(params), headers=headers, browser=True)

    def parse(self, body: bytes, search: Search, state: State) -> Page:
        """Each card is read by itself; one that is broken costs only itself."""
        cards = _cards(body)
        first = _first(state)
        if not cards:
            if first > 1:
                return Page(results=(), next=None)
            if len(body) > _SHELL_BYTES and not is_challenge(body):
                raise ProviderChanged(
                    "bing sent a page without results: blocked, or its layout has changed.", may_pass=True
                )
            raise ProviderBlocked("bing sent an empty page: it refuses automatic requests for now.", may_pass=True)
        found: dict[str, Result] = {}
        for card in cards:
            result = _result(card, search)
            if result is not None:
                found.setdefault(result.url, result)
        if not found and first == 1:
            raise ProviderChanged("bing sent cards that cannot be read: its layout has changed.")
        following = first + _PAGE_SIZE
        return Page(results=tuple(found.values()), next={"first": following} if following <= _LAST_FIRST else None)


def _first(state: State) -> int:
    return integer(state.get("first")) or 1


def _tokens(search: Search) -> list[str]:
    tokens = []
    if search.size:
        tokens.append(f"imagesize-{search.size}")
    if search.colour in _COLOURS:
        tokens.append(_COLOURS[search.colour])
    elif search.colour in _FEATURED:
        tokens.append(f"color2-FGcls_{search.colour.upper()}")
    if search.type:
        tokens.append(_TYPES[search.type])
    if search.rule in _LICENCES:
        tokens.append(_LICENCES[search.rule])
    return tokens


def _cards(body: bytes) -> list[Any]:
    from bs4 import BeautifulSoup

    text = body.decode("utf-8", "replace").replace("<?xml", "<!xml")  # else the parser warns, and warnings are global
    if "iusc" not in text:
        return []
    try:
        return list(BeautifulSoup(text, "html.parser").select("a.iusc"))
    except (AssertionError, ValueError, RecursionError, IndexError):
        raise ProviderChanged("bing sent a page that cannot be read.") from None


def _result(card: Any, search: Search) -> Result | None:
    try:
        about = json.loads(card.get("m") or "")
    except (ValueError, TypeError, RecursionError):
        return None
    url = web_address(about.get("murl")) if isinstance(about, dict) else None
    if url is None or about["murl"].lstrip().startswith("//"):
        return None
    page_url = web_address(about.get("purl"))
    width, height = _size(card)
    md5 = text_or_none(about.get("md5"))
    is_filtered = search.rule in _LICENCES
    return Result(
        url=url,
        addresses=(url, *_thumbnails(about.get("turl"))),
        page_url=page_url,
        title=text_or_none(about.get("t")),
        license=f"claimed by Bing's filter '{search.rule}'" if is_filtered else None,
        license_source="filter" if is_filtered else "none",
        width=width,
        height=height,
        same=(f"md5:{md5.lower()}",) if md5 and re.fullmatch(r"[0-9a-fA-F]{32}", md5) else (),
        referer=_origin(page_url),
    )


def _size(card: Any) -> tuple[int | None, int | None]:
    """From the link's expw and exph, else from the words beside the picture ('3442 x 2972 · png')."""
    try:
        values = parse_qs(urlsplit(str(card.get("href") or "")).query)
    except ValueError:
        values = {}
    width, height = (integer(values.get(name, [""])[0]) for name in ("expw", "exph"))
    if width and height:
        return width, height
    box = card.find_parent("li") or card.parent
    words = box.select_one(".nowrap") if box is not None else None
    found = re.search(r"(\d{1,6})\s*[x×]\s*(\d{1,6})", words.get_text() if words is not None else "")
    return (int(found[1]), int(found[2])) if found else (None, None)


def _thumbnails(value: object) -> tuple[str, ...]:
    """Bing's own copy, uncropped; hosts ts1..4 fail where tse1 answers."""
    url = web_address(value)
    if url is None:
        return ()
    try:
        parts = urlsplit(url)
        host, query = parts.hostname or "", parse_qs(parts.query, keep_blank_values=True)
    except ValueError:
        return ()
    kept = [(name, values[0]) for name, values in query.items() if name not in ("w", "h", "c")]
    plain = parts._replace(query=urlencode(kept), fragment="").geturl()
    if re.fullmatch(r"ts[1-4]\.mm\.bing\.net", host):
        return plain, plain.replace(parts.netloc, "tse1.mm.bing.net", 1)
    return (plain,)


def _origin(url: str | None) -> str | None:
    if url is None or not url.isascii():
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return f"{parts.scheme}://{parts.netloc}/" if parts.hostname and "@" not in parts.netloc else None
