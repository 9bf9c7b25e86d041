"""The sites that can be searched, one file each. Importing this package registers all of them."""

from __future__ import annotations

from gancli.scrape.providers import bing, demo, duckduckgo, flickr, openverse, pixabay, wikimedia
from gancli.scrape.providers.base import PROVIDERS, Provider, choose

__all__ = [
    "PROVIDERS",
    "Provider",
    "bing",
    "choose",
    "demo",
    "duckduckgo",
    "flickr",
    "openverse",
    "pixabay",
    "wikimedia",
]
