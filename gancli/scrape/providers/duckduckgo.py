"""duckduckgo: DuckDuckGo Images (Bing's index), no key, best effort. States no licences; its terms forbid scraping."""

from __future__ import annotations

import re
from typing import Any

from gancli.scrape.providers.base import (
    Page,
    Provider,
    ProviderBlocked,
    ProviderChanged,
    Request,
    Search,
    State,
    integer,
    json_object,
    provider,
    text_or_none,
    web_address,
)
from gancli.scrape.results import Result

_TOKENS = (rb'vqd="([0-9-]{1,200})"', rb"vqd=([0-9-]{1,200})&", rb"vqd='([0-9-]{1,200})'")
_PER_PAGE = 100
_REGION = "us-en"
_SAFE = {"strict": "1", "moderate": "", "off": "-1"}
_SIZES = {"small": "Small", "medium": "Medium", "large": "Large", "wallpaper": "Wallpaper"}
_TYPES = {"photo": "photo", "clipart": "clipart", "animated": "gif", "transparent": "transparent", "line": "line"}
_COLOURS = {"colour": "color", "grey": "Monochrome"}
_PAINTS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "teal", "white")
_LICENCES = {"modify": "Modify", "commercial": "ModifyCommercially", "public": "Public"}


@provider
class DuckDuckGo(Provider):
    """https://duckduckgo.com: a page with a token, then i.js with about 100 results a page, at most ten pages a run."""

    name = "duckduckgo"
    endpoint = "https://duckduckgo.com"
    states_licence = False
    min_gap_s = 2.0
    max_results = 1000
    max_query = 499
    pages_a_start = 10
    terms = "states no licences, and its terms forbid automated access; what it finds counts as 'any'"

    def build_request(self, search: Search, state: State) -> Request:
        """First the page that carries the token, then the results."""
        token = state.get("vqd")
        if not token:
            params = [("q", search.query), ("iar", "images"), ("t", "h_")]
            return Request(path="/", params=tuple(params), headers={"Accept": "text/html,*/*"}, browser=True)
        params = [("o", "json"), ("q", search.query), ("l", _REGION), ("vqd", str(token))]
        params += [("u", "bing"), ("bpia", "1"), ("a", "h_"), ("ct", "EN")]
        if _SAFE[search.safe]:
            params.append(("p", _SAFE[search.safe]))
        slots = _slots(search)
        if any(slots):
            params.append(("f", ",".join(slots)))
        start = integer(state.get("s")) or 0
        if start:
            params.append(("s", str(start)))
        cookies = {"ad": "en_US", "ah": _REGION, "l": _REGION}
        if _SAFE[search.safe]:
            cookies["p"] = _SAFE[search.safe]
        headers = {
            "Accept": "*/*",
            "Referer": "https://duckduckgo.com/",
            "Sec-Fetch-Dest": "empty",
            "Sec-Fetch-Mode": "cors",
            "Sec-Fetch-Site": "same-origin",
        }
        return Request(path="/i.js", params=tuple(params), headers=headers, cookies=cookies, browser=True)

    def parse(self, body: bytes, search: Search, state: State) -> Page:
        """A page of results, or the token."""
        if not state.get("vqd"):
            for pattern in _TOKENS:
                found = re.search(pattern, body)
                if found:
                    return Page(results=(), next={"vqd": found[1].decode("ascii"), "s": 0})
            raise ProviderBlocked("duckduckgo gave no token: it refuses automatic requests for now.")
        answer = json_object(body, self.name)
        entries = answer.get("results")
        if not isinstance(entries, list):
            raise ProviderChanged("duckduckgo answered without a list of results.")
        results = [_result(entry, search) for entry in entries if isinstance(entry, dict)]
        more = entries and text_or_none(answer.get("next"))
        start = (integer(state.get("s")) or 0) + _PER_PAGE
        return Page(
            results=tuple(r for r in results if r is not None),
            next={"vqd": state["vqd"], "s": start} if more else None,
        )


def _slots(search: Search) -> list[str]:
    """time, size, colour, type, layout, licence; empty where unused."""
    colour = ""
    if search.colour in _COLOURS:
        colour = _COLOURS[search.colour]
    elif search.colour in _PAINTS:
        colour = search.colour.capitalize()
    return [
        "",
        f"size:{_SIZES[search.size]}" if search.size else "",
        f"color:{colour}" if colour else "",
        f"type:{_TYPES[search.type]}" if search.type else "",
        "",
        f"license:{_LICENCES[search.rule]}" if search.rule in _LICENCES else "",
    ]


def _result(entry: dict[str, Any], search: Search) -> Result | None:
    url = web_address(entry.get("image"))
    if url is None:
        return None
    thumbnail = web_address(entry.get("thumbnail"))
    token = text_or_none(entry.get("image_token"))
    is_filtered = search.rule in _LICENCES
    return Result(
        url=url,
        addresses=(url, thumbnail) if thumbnail else (url,),
        page_url=web_address(entry.get("url")),
        title=text_or_none(entry.get("title")),
        license=f"claimed by DuckDuckGo's filter '{search.rule}'" if is_filtered else None,
        license_source="filter" if is_filtered else "none",
        width=integer(entry.get("width")),
        height=integer(entry.get("height")),
        same=(f"image_token:{token}",) if token and re.fullmatch(r"[0-9A-Za-z_-]{8,200}", token) else (),
    )
