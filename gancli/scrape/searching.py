"""The side of a scrape that asks: for each query a lane, in it a stream for each provider, and the one who asks."""

from __future__ import annotations

import threading
from collections.abc import Callable

from gancli.scrape.agent import user_agent
from gancli.scrape.ask import Asker, missing_key, near_endpoints
from gancli.scrape.config import ScrapeConfig
from gancli.scrape.guard import Guard
from gancli.scrape.http import Web
from gancli.scrape.lanes import Lane
from gancli.scrape.plan import searches, set_name
from gancli.scrape.providers import Provider
from gancli.scrape.results import Notice
from gancli.scrape.search import ListStream, SearchStream, Stream
from gancli.scrape.urllist import read_list

__all__ = ["Searching"]

_LIST_AHEAD = 1024


class Searching:
    """Makes the lanes of a start. `tell` is called with notices, and with None when a lane has something new."""

    def __init__(self, config: ScrapeConfig, providers: list[Provider], tell: Callable[[Notice | None], None]) -> None:
        self._config = config
        self._providers = providers
        self._tell = tell
        self._stop = threading.Event()
        guard = Guard(allow_private=config.allow_private, trusted=near_endpoints(config.endpoints))
        self._web = Web(guard, user_agent=user_agent(), any_port=True)
        self._asker = Asker(self._web, config.endpoints, self._stop)
        self._streams: list[SearchStream] = []

    def lanes(self) -> list[Lane]:
        """One for each query, or one for the list."""
        config = self._config
        if config.has_list:
            name = set_name(config)
            return [Lane(name, [ListStream(read_list(config.list_source, name))], 0, look_ahead=_LIST_AHEAD)]
        lanes = []
        for number, query in enumerate(dict.fromkeys(config.queries)):
            streams = self._make_streams(query, config.also if number == 0 else ())
            lanes.append(Lane(query, streams, 0, look_ahead=max(32, 2 * config.workers)))
        return lanes

    def _make_streams(self, query: str, also: tuple[str, ...]) -> list[Stream]:
        seen: dict[str, str] = {}
        streams: list[SearchStream] = []
        for provider in self._providers:
            problem = missing_key(provider)
            if problem is not None:
                self._tell(Notice(provider=provider.name, query=query, kind=problem.kind, message=str(problem)))
                continue
            stream = SearchStream(
                provider,
                searches(provider, query, also, self._config),
                self._asker,
                seen=seen,
                stop=self._stop,
                wake=lambda: self._tell(None),
                notify=self._tell,
            )
            streams.append(stream)
        self._streams += streams
        return list(streams)

    def stop(self) -> None:
        """Ends every wait and every request."""
        self._stop.set()
        self._web.interrupt()

    def close(self) -> None:
        """Waits for the threads (after `stop`) and closes every connection."""
        for stream in self._streams:
            stream.close()
        self._web.close()
