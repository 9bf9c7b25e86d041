"""What a result must be before it is fetched: its licence, its size, where it comes from, and that it is new."""

from __future__ import annotations

from urllib.parse import urlsplit

from gancli.scrape.config import ScrapeConfig
from gancli.scrape.licences import allows
from gancli.scrape.providers.base import PROVIDERS
from gancli.scrape.results import Result
from gancli.scrape.settled import LICENCE, OPT_OUT, TOO_SMALL, WATERMARKS

__all__ = ["keys_of", "objection", "rule_for"]

_WATERMARKED = frozenset(
    {
        "123rf.com",
        "agefotostock.com",
        "alamy.com",
        "alamyimages.fr",
        "bigstockphoto.com",
        "canstockphoto.com",
        "colourbox.com",
        "depositphotos.com",
        "dreamstime.com",
        "gettyimages.com",
        "istockphoto.com",
        "masterfile.com",
        "pond5.com",
        "shutterstock.com",
        "stock.adobe.com",
        "vectorstock.com",
    }
)
_WATERMARK_MEDIA = ("ftcdn.net", "bigstock.com", "dreamstimefree.com")


def rule_for(provider: str, config: ScrapeConfig) -> str:
    """The licence rule for results of `provider`: what states no licence counts as `any` where it was asked for."""
    if provider == "urls":
        return config.license or "any"
    known = PROVIDERS.get(provider)
    if known is not None and not known.states_licence and provider in config.sources:
        return "any"
    return config.rule


def objection(result: Result, config: ScrapeConfig) -> str | None:
    """Why `result` is left out without being fetched, or None."""
    rule = rule_for(result.provider, config)
    may_be_unstated = result.provider == "urls" and not result.license
    if not may_be_unstated and not allows(result.license, rule):
        return f"{LICENCE}: {result.license or 'not stated'}"
    if not config.ignore_optout and result.no_ai:
        return f"{OPT_OUT}: noAiTraining"
    if result.is_generated:
        return "generated picture"
    if not config.watermark_hosts and result.provider != "urls" and _is_watermarked(result):
        return WATERMARKS
    if result.width is not None and result.height is not None and min(result.width, result.height) < config.min_side_px:
        return f"{TOO_SMALL} (under {config.min_side_px})"
    return None


def keys_of(result: Result) -> tuple[str, ...]:
    """The keys under which this picture is known before it is fetched: its address, written one way, and hashes."""
    try:
        parts = urlsplit(result.url)
        host, port = (parts.hostname or "").removesuffix("."), parts.port
    except ValueError:
        return result.same
    if not host:
        return result.same
    place = host if port in (None, 80, 443) else f"{host}:{port}"
    query = f"?{parts.query}" if parts.query else ""
    return (f"url:{place}{parts.path or '/'}{query}", *result.same)


def _is_watermarked(result: Result) -> bool:
    for url in (result.url, result.page_url or ""):
        try:
            host = (urlsplit(url).hostname or "").lower()
        except ValueError:
            continue
        if any(host == site or host.endswith("." + site) for site in (*_WATERMARKED, *_WATERMARK_MEDIA)):
            return True
    return False
