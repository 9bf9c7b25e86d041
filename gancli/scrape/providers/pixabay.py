"""pixabay: Pixabay by its official API with a free key; authors can opt out of training, and that is kept to."""

from __future__ import annotations

from typing import Any

from gancli.scrape.licences import PIXABAY
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

_PER_PAGE = 200
_WIDE_PX = 640
_TYPES = {"photo": "photo", "clipart": "illustration", "line": "vector"}
_COLOURS = {"grey": "grayscale", "purple": "lilac", "teal": "turquoise"}
_PLAIN = ("red", "orange", "yellow", "green", "turquoise", "blue", "lilac", "pink", "white", "black", "brown")
_SIDES = {"medium": 400, "large": 1000, "wallpaper": 1900}


@provider
class Pixabay(Provider):
    """https://pixabay.com/api/, 200 results a page, at most 500 a query; answers are kept for 24 hours, as asked."""

    name = "pixabay"
    endpoint = "https://pixabay.com"
    key_name = "GAN_PIXABAY_KEY"
    min_gap_s = 0.7
    max_results = 500
    max_query = 100
    max_pages = 3
    cache_s = 24 * 3600.0

    def build_request(self, search: Search, state: State) -> Request:
        """Pages count from 1."""
        params = [
            ("key", search.key or ""),
            ("q", search.query[: self.max_query]),
            ("image_type", _TYPES.get(search.type or "", "all")),
            ("safesearch", "false" if search.safe == "off" else "true"),
            ("page", str(_page(state))),
            ("per_page", str(_PER_PAGE)),
        ]
        side = max(search.min_side_px, _SIDES.get(search.size or "", 0))
        if side:
            params += [("min_width", str(side)), ("min_height", str(search.min_side_px))]
        colour = _COLOURS.get(search.colour or "", search.colour)
        if colour in (*_PLAIN, "grayscale"):
            params.append(("colors", str(colour)))
        return Request(path="/api/", params=tuple(params), headers={"Accept": "application/json"})

    def parse(self, body: bytes, search: Search, state: State) -> Page:
        """Opt-outs and generated pictures are marked, and left out later."""
        answer = json_object(body, self.name)
        hits = answer.get("hits")
        if not isinstance(hits, list):
            raise ProviderChanged("pixabay answered without a list of hits.")
        results = [_result(hit, search) for hit in hits if isinstance(hit, dict)]
        total, page = integer(answer.get("totalHits")) or 0, _page(state)
        return Page(
            results=tuple(r for r in results if r is not None),
            next={"page": page + 1} if hits and page * _PER_PAGE < total else None,
            total=total,
        )

    def explain(self, status: int, body: bytes) -> ProviderError:
        """Its errors are plain text: '[ERROR 400] …'."""
        said = clean(body[:300].decode("utf-8", "replace"), 200)
        if status == 429:
            return ProviderQuota("pixabay's allowance for this key is used up for now (HTTP 429).")
        if "key" in said.lower() or status == 401:
            return ProviderNoKey("pixabay does not accept the key; see GAN_PIXABAY_KEY.")
        if status == 403:
            return ProviderBlocked("pixabay refuses automatic requests for now (HTTP 403).")
        return ProviderError(f"pixabay answered with HTTP {status} ({said}).")


def _page(state: State) -> int:
    return integer(state.get("page")) or 1


def _result(hit: dict[str, Any], search: Search) -> Result | None:
    small, large = web_address(hit.get("webformatURL")), web_address(hit.get("largeImageURL"))
    url = large or small
    if url is None:
        return None
    width, height = integer(hit.get("imageWidth")), integer(hit.get("imageHeight"))
    small_side = min(integer(hit.get("webformatWidth")) or _WIDE_PX, integer(hit.get("webformatHeight")) or 0)
    is_small_enough = small is not None and small_side >= search.min_side_px
    number = integer(hit.get("id"))
    tags = text_or_none(hit.get("tags"))
    user = text_or_none(hit.get("user"))
    return Result(
        url=url,
        addresses=tuple(dict.fromkeys(a for a in ((small, large) if is_small_enough else (large, small)) if a)),
        page_url=web_address(hit.get("pageURL")),
        title=tags,
        creator=user,
        license=PIXABAY,
        license_url="https://pixabay.com/service/license-summary/",
        license_source="api",
        attribution=f"Image by {user} on Pixabay" if user else "Image from Pixabay",
        width=width,
        height=height,
        same=(f"pixabay:{number}",) if number is not None else (),
        no_ai=hit.get("noAiTraining") is True,
        is_generated=hit.get("isAiGenerated") is True,
    )
