"""wikimedia: Wikimedia Commons by its official API, no key; every file has a licence of its own."""

from __future__ import annotations

import html
import re
from typing import Any

from gancli.scrape.licences import from_short_name, from_url
from gancli.scrape.providers.base import (
    Page,
    Provider,
    ProviderBlocked,
    ProviderChanged,
    ProviderError,
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

_WIDTHS = (330, 500, 960, 1280, 1920, 3840)  # the widths that the thumbnail servers still serve
_METADATA = (
    "LicenseShortName|LicenseUrl|License|UsageTerms|Artist|Credit|AttributionRequired|Restrictions|"
    "ImageDescription|DateTimeOriginal"
)
_SIZES = {"small": "", "medium": "filew:>400", "large": "filew:>1000", "wallpaper": "filew:>1900 fileh:>1000"}


@provider
class Wikimedia(Provider):
    """https://commons.wikimedia.org/w/api.php, 50 results a page, at most 10,000 a query."""

    name = "wikimedia"
    endpoint = "https://commons.wikimedia.org"
    min_gap_s = 0.3
    max_results = 10_000
    max_query = 250

    def build_request(self, search: Search, state: State) -> Request:
        """`state` is the `continue` object of the page before, copied whole."""
        words = ["filetype:bitmap", search.query]
        if search.min_side_px:
            words.append(f"filew:>{search.min_side_px - 1} fileh:>{search.min_side_px - 1}")
        if search.size:
            words.append(_SIZES[search.size])
        if search.type == "photo":
            words.append("filemime:image/jpeg")
        params = {
            "action": "query",
            "format": "json",
            "formatversion": "2",
            "generator": "search",
            "gsrnamespace": "6",
            "gsrlimit": "50",
            "gsroffset": "0",
            "gsrsearch": " ".join(word for word in words if word),
            "prop": "imageinfo",
            "iiprop": "url|size|mime|sha1|extmetadata|mediatype",
            "iiurlwidth": str(_thumb_width(search.near_px)),
            "iiextmetadatafilter": _METADATA,
            "iiextmetadatalanguage": "en",
            "maxlag": "5",
        }
        params.update({str(key): str(value) for key, value in state.items()})
        return Request(path="/w/api.php", params=tuple(params.items()))

    def parse(self, body: bytes, search: Search, state: State) -> Page:
        """Pages come in any order; `index` is their rank."""
        answer = json_object(body, self.name)
        error = answer.get("error")
        if error is not None:
            raise _explain_error(error)
        query = answer.get("query", {})
        if not isinstance(query, dict):
            raise ProviderChanged("wikimedia answered without a list of pages.")
        pages = query.get("pages", [])
        if isinstance(pages, dict):
            pages = list(pages.values())
        if not isinstance(pages, list):
            raise ProviderChanged("wikimedia answered without a list of pages.")
        entries = sorted((p for p in pages if isinstance(p, dict)), key=lambda p: integer(p.get("index")) or 0)
        found = [_result(entry, search) for entry in entries]
        following = answer.get("continue")
        usable = (
            {str(k): v for k, v in following.items() if isinstance(v, str | int)} if isinstance(following, dict) else {}
        )
        return Page(results=tuple(r for r in found if r is not None), next=usable or None)


def _explain_error(error: object) -> ProviderError:
    code = str(error.get("code", "")) if isinstance(error, dict) else ""
    if code in ("maxlag", "ratelimited", "readonly"):
        return ProviderBlocked(f"wikimedia asks to come back later ({code}).", may_pass=True)
    return ProviderError(f"wikimedia could not answer the query ({code or 'no reason given'}).")


def _result(entry: dict[str, Any], search: Search) -> Result | None:
    infos = entry.get("imageinfo")
    info = infos[0] if isinstance(infos, list) and infos and isinstance(infos[0], dict) else None
    url = web_address(info.get("url")) if info else None
    if info is None or url is None:
        return None
    metadata = info.get("extmetadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    licence, licence_url = _licence(metadata)
    width, height = integer(info.get("width")), integer(info.get("height"))
    thumb = web_address(info.get("thumburl"))
    sha1 = text_or_none(info.get("sha1"))
    title = text_or_none(entry.get("title"))
    return Result(
        url=url,
        addresses=(thumb, url) if thumb and thumb != url and _is_smaller(info, search) else (url,),
        page_url=web_address(info.get("descriptionurl")),
        title=re.sub(r"\.\w{2,5}$", "", title.removeprefix("File:")) if title else None,
        creator=_plain(_value(metadata, "Artist")),
        license=licence,
        license_url=licence_url,
        license_source="api" if licence else "none",
        attribution=_plain(_value(metadata, "Credit")),
        width=width,
        height=height,
        same=(f"sha1:{sha1.lower()}",) if sha1 else (),
    )


def _licence(metadata: dict[str, Any]) -> tuple[str | None, str | None]:
    url = web_address(_value(metadata, "LicenseUrl"))
    short = _plain(_value(metadata, "LicenseShortName")) or _plain(_value(metadata, "UsageTerms"))
    if short:
        return from_short_name(short), url
    return (from_url(url) if url else None), url


def _value(metadata: dict[str, Any], name: str) -> str | None:
    entry = metadata.get(name)
    return text_or_none(entry.get("value")) if isinstance(entry, dict) else None


def _plain(markup: str | None) -> str | None:
    """The words of a piece of HTML."""
    if markup is None:
        return None
    words = re.sub(r"(?is)<(style|script)\b.*?(</\1\s*>|\Z)", " ", markup[:20_000])
    words = html.unescape(re.sub(r"(?s)<[^<>]*>", " ", words))
    return " ".join(words.split()) or None


def _thumb_width(near_px: int) -> int:
    return next((width for width in _WIDTHS if width >= near_px), _WIDTHS[-1])


def _is_smaller(info: dict[str, Any], search: Search) -> bool:
    """Is the thumbnail a real saving, and still large enough?"""
    width, height = integer(info.get("width")), integer(info.get("height"))
    thumb_width = _thumb_width(search.near_px)
    if not width or not height:
        return True  # as large as anything; the original is tried when this is too small
    if width <= thumb_width:
        return False
    return min(thumb_width, thumb_width * height / width) >= search.min_side_px
