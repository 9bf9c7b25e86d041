"""flickr: Flickr by its official API with a key; the licence of each photo is stated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gancli.scrape.licences import FLICKR_NO_KNOWN_RESTRICTIONS, US_GOVERNMENT, allows, from_url
from gancli.scrape.providers.base import (
    Page,
    Provider,
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

_PER_PAGE = 250
_SIZES = ("n", "z", "c", "l", "h", "k", "o")  # 320, 640, 800, 1024, 1600, 2048 pixels, the original
_ENOUGH_PX = 360
_CC = "https://creativecommons.org/"
_TABLE: dict[str, tuple[str, str | None]] = {
    "0": ("All rights reserved", None),
    "1": ("CC-BY-NC-SA-2.0", _CC + "licenses/by-nc-sa/2.0/"),
    "2": ("CC-BY-NC-2.0", _CC + "licenses/by-nc/2.0/"),
    "3": ("CC-BY-NC-ND-2.0", _CC + "licenses/by-nc-nd/2.0/"),
    "4": ("CC-BY-2.0", _CC + "licenses/by/2.0/"),
    "5": ("CC-BY-SA-2.0", _CC + "licenses/by-sa/2.0/"),
    "6": ("CC-BY-ND-2.0", _CC + "licenses/by-nd/2.0/"),
    "7": (FLICKR_NO_KNOWN_RESTRICTIONS, "https://www.flickr.com/commons/usage/"),
    "8": (US_GOVERNMENT, "https://www.usa.gov/government-copyright"),
    "9": ("CC0-1.0", _CC + "publicdomain/zero/1.0/"),
    "10": ("PDM-1.0", _CC + "publicdomain/mark/1.0/"),
}
_SAFE = {"strict": "1", "moderate": "2", "off": "3"}


@provider
class Flickr(Provider):
    """https://api.flickr.com/services/rest/, 250 results a page, at most 4,000 a query."""

    name = "flickr"
    endpoint = "https://api.flickr.com"
    key_name = "GAN_FLICKR_KEY"
    min_gap_s = 1.0
    max_results = 4000
    max_query = 500
    max_pages = 17

    def build_request(self, search: Search, state: State) -> Request:
        """First the site's own table of licences (it has grown), then the pages, which count from 1."""
        params = [("api_key", search.key or ""), ("format", "json"), ("nojsoncallback", "1")]
        page = integer(state.get("page"))
        if not page:
            params.insert(0, ("method", "flickr.photos.licenses.getInfo"))
            return Request(path="/services/rest/", params=tuple(params))
        params.insert(0, ("method", "flickr.photos.search"))
        params += [
            ("text", search.query[: self.max_query]),
            ("sort", "relevance"),
            ("content_types", "0"),
            ("media", "photos"),
            ("safe_search", _SAFE[search.safe]),
            ("per_page", str(_PER_PAGE)),
            ("page", str(page)),
            ("extras", "license,owner_name,path_alias,o_dims,media,tags," + ",".join(f"url_{s}" for s in _SIZES)),
        ]
        if search.rule != "any":
            wanted = [number for number, (name, _) in _table(state).items() if allows(name, search.rule)]
            params.append(("license", ",".join(wanted)))
        return Request(path="/services/rest/", params=tuple(params))

    def parse(self, body: bytes, search: Search, state: State) -> Page:
        """Entries without any size of their own are left out."""
        answer = json_object(body, self.name)
        if answer.get("stat") == "fail":
            raise _explain_failure(answer)
        page = integer(state.get("page"))
        if not page:
            return Page(results=(), next={"page": 1, "licenses": _read_table(answer)})
        photos = answer.get("photos")
        entries = photos.get("photo") if isinstance(photos, dict) else None
        if not isinstance(photos, dict) or not isinstance(entries, list):
            raise ProviderChanged("flickr answered without a list of photos.")
        results = [_result(entry, search, _table(state)) for entry in entries if isinstance(entry, dict)]
        pages = integer(photos.get("pages")) or 0
        total = integer(photos.get("total"))
        return Page(
            results=tuple(r for r in results if r is not None),
            next={**state, "page": page + 1} if entries and page < pages else None,
            total=None if total is None else min(total, self.max_results),
        )


def _explain_failure(answer: dict[str, Any]) -> ProviderError:
    code, said = answer.get("code"), clean(answer.get("message", ""), 200)
    if code == 100:
        return ProviderNoKey("flickr does not accept the key; see GAN_FLICKR_KEY.")
    if code in (105, 106):
        return ProviderError(f"flickr is not available now ({said}).", may_pass=True)
    if code == 9999 or "limit" in said.lower():
        return ProviderQuota(f"flickr's allowance for this key is used up ({said}).")
    return ProviderError(f"flickr could not answer the query ({said or 'no reason given'}).")


def _read_table(answer: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    """The licences that the site lists now; those it does not describe stay as we know them."""
    table = dict(_TABLE)
    outer = answer.get("licenses")
    entries = outer.get("license") if isinstance(outer, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict):
            continue
        number, url = integer(entry.get("id")), web_address(entry.get("url"))
        name = from_url(url) if url else None
        if number is not None and name is not None:
            table[str(number)] = (name, url)
    return table


def _table(state: State) -> Mapping[str, tuple[str, str | None]]:
    table = state.get("licenses")
    return table if isinstance(table, dict) else _TABLE


def _result(entry: dict[str, Any], search: Search, table: Mapping[str, tuple[str, str | None]]) -> Result | None:
    sizes = []
    for letter in _SIZES:
        url = web_address(entry.get(f"url_{letter}"))
        if url is not None:
            sizes.append((url, integer(entry.get(f"width_{letter}")), integer(entry.get(f"height_{letter}"))))
    number = text_or_none(entry.get("id"))
    if not sizes:
        return None
    licence, licence_url = table.get(str(entry.get("license")), (None, None))
    width, height = sizes[-1][1:]
    owner = (
        text_or_none(entry.get("pathalias"))
        or text_or_none(entry.get("path_alias"))
        or text_or_none(entry.get("owner"))
    )
    return Result(
        url=sizes[-1][0],
        addresses=_addresses(sizes, search),
        page_url=f"https://www.flickr.com/photos/{owner}/{number}" if owner and number else None,
        title=text_or_none(entry.get("title")),
        creator=text_or_none(entry.get("ownername")),
        license=licence,
        license_url=licence_url,
        license_source="api" if licence else "none",
        width=width,
        height=height,
        same=(f"flickr:{number}",) if number else (),
    )


def _addresses(sizes: list[tuple[str, int | None, int | None]], search: Search) -> tuple[str, ...]:
    """The smallest size that is enough first, then the larger ones; originals of many accounts cannot be fetched."""
    wanted = max(search.min_side_px, min(_ENOUGH_PX, search.near_px))
    enough = [url for url, width, height in sizes if min(width or 0, height or 0) >= wanted]
    return tuple(dict.fromkeys(enough[:3])) or (sizes[-1][0],)
