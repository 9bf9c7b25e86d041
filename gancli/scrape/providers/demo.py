"""demo: landscapes painted here and now, without a network. The same query, seed and rank give the same picture."""

from __future__ import annotations

import hashlib
import io
import re
from typing import ClassVar

from gancli.errors import ScrapeError
from gancli.scrape.providers.base import Page, Provider, ProviderError, Request, Search, State, provider
from gancli.scrape.results import Result

__all__ = ["paint_file"]

_PER_PAGE = 50
_MAX_SIDE_PX = 1024
_ADDRESS = re.compile(r"demo:([a-z]+)/(\d{1,20})/(\d{1,5})x(\d{1,5})\.(jpg|png)")
_SHAPES = ((240, 180), (180, 180), (256, 192), (180, 240))


@provider
class Demo(Provider):
    """Painted landscapes, licence CC0. Nothing is asked of anyone."""

    name = "demo"
    min_gap_s = 0.0
    max_results = 10**9
    max_pages = 10**7
    max_query: ClassVar[int] = 10_000
    is_local = True

    def build_request(self, search: Search, state: State) -> Request:
        """Nothing to ask."""
        return Request(path="/")

    def parse(self, body: bytes, search: Search, state: State) -> Page:
        """The next pictures of an endless row; `body` plays no part."""
        from gancli.painter import kinds_for

        if search.min_side_px > _MAX_SIDE_PX:
            raise ProviderError(f"demo paints nothing whose shorter side is over {_MAX_SIDE_PX:,} pixels.")
        kinds = kinds_for(search.query)
        first = int(state.get("first", 0))
        digest = hashlib.sha256(f"{search.seed}\0{search.query}".encode("utf-8", "replace")).digest()
        base = int.from_bytes(digest[:6], "big") << 12
        results = []
        for rank in range(first, first + _PER_PAGE):
            kind = kinds[rank % len(kinds)]
            width, height = _shape(rank, search.min_side_px)
            suffix = "png" if rank % 4 == 3 else "jpg"
            results.append(
                Result(
                    url=f"demo:{kind}/{base + rank}/{width}x{height}.{suffix}",
                    title=f"{kind.capitalize()} landscape {rank + 1}",
                    creator="gan, the painter",
                    license="CC0-1.0",
                    license_url="https://creativecommons.org/publicdomain/zero/1.0/",
                    license_source="api",
                    width=width,
                    height=height,
                )
            )
        return Page(results=tuple(results), next={"first": first + _PER_PAGE})


def paint_file(url: str) -> bytes:
    """The JPEG or PNG file that a `demo:` address names. Raises `ScrapeError` for another address."""
    from PIL import Image

    from gancli.painter import KINDS, paint

    found = _ADDRESS.fullmatch(url)
    if found is None or found[1] not in KINDS:
        raise ScrapeError(f"'{url}' names no painted landscape.")
    pixels = paint(found[1], int(found[2]), int(found[3]), int(found[4]))
    file = io.BytesIO()
    if found[5] == "jpg":
        Image.fromarray(pixels).save(file, "JPEG", quality=92)
    else:
        Image.fromarray(pixels).save(file, "PNG", compress_level=4)
    return file.getvalue()


def _shape(rank: int, min_side_px: int) -> tuple[int, int]:
    """A size among a few shapes, its shorter side at least `min_side_px`."""
    width, height = _SHAPES[rank % len(_SHAPES)]
    factor = max(1.0, min_side_px / min(width, height))
    return -int(-width * factor // 1), -int(-height * factor // 1)
