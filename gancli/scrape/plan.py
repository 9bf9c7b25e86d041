"""What a start will do before it does anything: which providers, which folder, which searches in which order."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from gancli.files import free_path
from gancli.scrape.ask import key_of
from gancli.scrape.config import ScrapeConfig
from gancli.scrape.judge import rule_for
from gancli.scrape.providers import Provider, choose
from gancli.scrape.providers.base import Search
from gancli.scrape.rawset import is_raw_set
from gancli.text import slug

__all__ = ["MODIFIERS", "providers_of", "searches", "set_folder", "set_name", "variants_of"]

MODIFIERS = ("winter", "sunset", "aerial", "foggy", "close up", "summer", "night", "autumn", "panorama", "morning")
"""One word for each axis in turn: season, time of day, viewpoint, weather, distance."""

_AUTO = ("openverse", "wikimedia")
_UNLICENSED = ("bing", "duckduckgo")
_RENDITION_PX = 480


def providers_of(config: ScrapeConfig) -> list[Provider]:
    """The providers that `--from` names. `auto` is the licensed ones, and with `any` the others as well.

    Raises `UsageError` for a name that is not known.
    """
    choose(tuple(config.endpoints))
    if config.has_list:
        return []
    names: list[str] = []
    for source in config.sources:
        names += (*_AUTO, *(_UNLICENSED if config.rule == "any" else ())) if source == "auto" else (source,)
    return choose(tuple(names))


def set_folder(config: ScrapeConfig) -> Path:
    """Where the raw set lies: `out`, or a name made of the queries or the list, in the current folder."""
    if config.out is not None:
        return config.out
    folder = Path(set_name(config))
    if folder.is_dir() and (is_raw_set(folder) or not any(folder.iterdir())):
        return folder
    if not folder.exists():
        return folder
    second = folder.with_name(f"{folder.name}-2")  # where the start before went, as the name itself is taken
    return second if is_raw_set(second) else free_path(folder)


def set_name(config: ScrapeConfig) -> str:
    """The readable name of what is collected."""
    if config.urls is not None:
        return slug(config.urls.name.split(".")[0] or config.urls.name)
    return slug(" ".join(config.queries)) if config.queries else "urls"


def searches(provider: Provider, query: str, also: tuple[str, ...], config: ScrapeConfig) -> Iterator[Search]:
    """The searches of one provider for one query in order: plain, with the site's own filters, then variants."""
    plain = Search(
        query=query[: provider.max_query],
        label=query,
        size=config.size,
        colour=config.colour,
        type=config.type,
        safe=config.safe,
        rule=config.license or ("modify" if provider.states_licence else "any"),
        min_side_px=config.min_side_px,
        near_px=max(_RENDITION_PX, config.min_side_px * 3 // 2),
        seed=config.seed,
        key=key_of(provider),
    )
    if rule_for(provider.name, config) == "any" and provider.states_licence:
        plain = dataclasses.replace(plain, rule="any")
    yield from provider.fan_out(plain)
    if provider.is_local:
        return
    for variant in (*also, *variants_of(query)):
        yield dataclasses.replace(plain, query=variant[: provider.max_query], variant=variant)


def variants_of(query: str) -> tuple[str, ...]:
    """`query` with one word more, for each modifier that it does not hold already."""
    words = query.casefold()
    return tuple(f"{query} {modifier}" for modifier in MODIFIERS if modifier.split()[0] not in words)
