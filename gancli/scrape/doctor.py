"""How each provider is today: one query each, and what came of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from gancli.scrape.agent import user_agent
from gancli.scrape.ask import Asker, Interrupted, missing_key, near_endpoints
from gancli.scrape.config import ScrapeConfig
from gancli.scrape.guard import Guard
from gancli.scrape.http import Web
from gancli.scrape.plan import searches
from gancli.scrape.providers import PROVIDERS, Provider, choose
from gancli.scrape.providers.base import ProviderError, State

__all__ = ["Diagnosis", "examine"]

_MAX_PAGES = 3  # a token or a table may come before the results


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """`state` is found, empty, blocked, changed, no key, quota or failed; `found` the results on the first page."""

    provider: str
    state: str
    found: int
    message: str


def examine(config: ScrapeConfig) -> Iterator[Diagnosis]:
    """Asks each provider (or those of `config.sources`) for the first query, and yields how it is, in order."""
    named = tuple(name for name in config.sources if name != "auto")
    providers = choose(named) if named else [PROVIDERS[name] for name in sorted(PROVIDERS)]
    choose(tuple(config.endpoints))
    stop = threading.Event()
    guard = Guard(allow_private=config.allow_private, trusted=near_endpoints(config.endpoints))
    web = Web(guard, user_agent=user_agent(), any_port=True)
    asker = Asker(web, config.endpoints, stop)
    pool = ThreadPoolExecutor(max_workers=len(providers))
    try:
        yield from pool.map(lambda provider: _examine(provider, config, asker), providers)
    finally:
        stop.set()
        web.interrupt()
        pool.shutdown(cancel_futures=True)
        web.close()


def _examine(provider: Provider, config: ScrapeConfig, asker: Asker) -> Diagnosis:
    problem = missing_key(provider)
    if problem is not None:
        return Diagnosis(provider=provider.name, state=problem.kind, found=0, message=str(problem))
    search = next(searches(provider, config.queries[0], (), config))
    state: State | None = {}
    try:
        for _ in range(_MAX_PAGES):
            page = asker.page(provider, search, state or {})
            if page.results:
                count = len(page.results)
                return Diagnosis(
                    provider=provider.name, state="found", found=count, message=f"{count} on the first page"
                )
            state = page.next
            if state is None:
                break
    except ProviderError as error:
        return Diagnosis(provider=provider.name, state=error.kind, found=0, message=str(error))
    except Interrupted:
        return Diagnosis(provider=provider.name, state="failed", found=0, message="interrupted")
    return Diagnosis(provider=provider.name, state="empty", found=0, message="it knows nothing of this query")
