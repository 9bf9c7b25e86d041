"""openverse: Openverse by its official API, no key needed; every picture has a licence and a ready attribution."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from gancli.scrape.licences import from_code, from_url
from gancli.scrape.providers.base import (
    Page,
    Provider,
    ProviderBlocked,
    ProviderChanged,
    ProviderError,
    ProviderNoKey,
    ProviderQuota,
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
from gancli.text import clean

_LARGE_PX = 1300  # beyond this the site's own copy of about 600 pixels saves traffic
_THUMB_PX = 600
_FAN_OUT: tuple[dict[str, str], ...] = (
    {},
    {"source": "wikimedia"},
    {"source": "flickr"},
    {"aspect_ratio": "tall"},
)
_RULES: dict[str, tuple[str, str]] = {
    "modify": ("license_type", "modification"),
    "commercial": ("license_type", "commercial,modification"),
    "public": ("license", "cc0,pdm"),
}
_CATEGORIES = {"photo": "photograph", "clipart": "illustration", "line": "illustration"}
_SIZES = {"small": "small", "medium": "medium", "large": "large", "wallpaper": "large"}


@provider
class Openverse(Provider):
    """https://api.openverse.org/v1/images/, 20 results a page without a key, 240 for each query with its filters."""

    name = "openverse"
    endpoint = "https://api.openverse.org"
    min_gap_s = 3.1
    max_results = 240
    max_query = 200
    max_pages = 12
    requests_a_day = 190  # of 200

    def build_request(self, search: Search, state: State) -> Request:
        """Pages count from 1; `fan_out` sets the source and the shape."""
        params = [("q", search.query[: self.max_query]), ("page", str(_page(state))), ("page_size", "20")]
        if search.rule in _RULES:
            params.append(_RULES[search.rule])
        if search.type in _CATEGORIES:
            params.append(("category", _CATEGORIES[search.type]))
        if search.size:
            params.append(("size", _SIZES[search.size]))
        if search.safe == "off":
            params.append(("mature", "true"))
        params += sorted(search.extra.items())
        return Request(path="/v1/images/", params=tuple(params), headers={"Accept": "application/json"})

    def parse(self, body: bytes, search: Search, state: State) -> Page:
        """Sizes and titles may be missing; entries without an address are left out."""
        answer = json_object(body, self.name)
        entries = answer.get("results")
        if not isinstance(entries, list):
            raise ProviderChanged("openverse answered without a list of results.")
        results = [_result(entry, search) for entry in entries if isinstance(entry, dict)]
        page, pages = _page(state), integer(answer.get("page_count")) or 0
        return Page(
            results=tuple(r for r in results if r is not None),
            next={"page": page + 1} if entries and page < min(pages, self.max_pages) else None,
            total=integer(answer.get("result_count")),
        )

    def explain(self, status: int, body: bytes) -> ProviderError:
        """Its answers say in JSON what is wrong."""
        said = _detail(body)
        if status == 429:
            return ProviderQuota(f"openverse's allowance is used up for now ({said or 'HTTP 429'}).")
        if status == 401 and "page_size" not in said:
            return ProviderNoKey(f"openverse does not accept the request ({said or 'HTTP 401'}).")
        if status == 403:
            return ProviderBlocked("openverse refuses automatic requests for now (HTTP 403).")
        return ProviderError(f"openverse answered with HTTP {status}{f' ({said})' if said else ''}.")

    def fan_out(self, search: Search) -> tuple[Search, ...]:
        """The 240 are for each query with its filters: ask again for the largest sources, then for tall pictures."""
        return tuple(dataclasses.replace(search, extra=extra) for extra in _FAN_OUT)


def _page(state: State) -> int:
    return integer(state.get("page")) or 1


def _detail(body: bytes) -> str:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return clean(said.get("detail", ""), 200) if isinstance(said, dict) else ""


def _result(entry: dict[str, Any], search: Search) -> Result | None:
    url = web_address(entry.get("url"))
    if url is None:
        return None
    code, licence_url = text_or_none(entry.get("license")), web_address(entry.get("license_url"))
    licence = from_code(code, text_or_none(entry.get("license_version"))) if code else from_url(licence_url or "")
    width, height = integer(entry.get("width")), integer(entry.get("height"))
    thumbnail = web_address(entry.get("thumbnail"))
    is_small_enough = width is None or height is None or max(width, height) <= _LARGE_PX
    is_thumb_enough = not is_small_enough and _short_side(width, height) >= search.min_side_px
    return Result(
        url=url,
        addresses=(thumbnail, url) if thumbnail and is_thumb_enough else (url,),
        page_url=web_address(entry.get("foreign_landing_url")),
        title=text_or_none(entry.get("title")),
        creator=text_or_none(entry.get("creator")),
        license=licence,
        license_url=licence_url,
        license_source="api" if licence else "none",
        attribution=text_or_none(entry.get("attribution")),
        width=width,
        height=height,
    )


def _short_side(width: int | None, height: int | None) -> float:
    """The shorter side of the site's copy, which is about 600 pixels wide."""
    if not width or not height:
        return 0
    scale = min(1.0, _THUMB_PX / width)
    return min(width, height) * scale
