"""Streams of results: a provider's pages one after another, then variants of the query, read only as far as needed."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from gancli.scrape.ask import Asker, Interrupted
from gancli.scrape.judge import keys_of
from gancli.scrape.providers.base import Page, Provider, ProviderError, Search
from gancli.scrape.results import Notice, Result

__all__ = ["ListStream", "SearchStream", "Stream"]

_READ_AHEAD = 100
_LOW_YIELD = 0.10
_MAX_LOW_VARIANTS = 2
_STALE_PAGES = 2


class Stream:
    """Results one by one: `poll` gives the next or None; `ended` once there will be no more."""

    name = ""
    in_flight = 0

    @property
    def ended(self) -> bool:
        """Will `poll` give nothing any more?"""
        raise NotImplementedError

    def poll(self) -> Result | None:
        """The next result, or None when there is none at the moment."""
        raise NotImplementedError


class ListStream(Stream):
    """The results of a list that is given."""

    def __init__(self, results: Iterable[Result]) -> None:
        self.name = "urls"
        self._results = iter(results)
        self._ended = False

    @property
    def ended(self) -> bool:
        """Is the list at its end?"""
        return self._ended

    def poll(self) -> Result | None:
        """The next of the list."""
        result = next(self._results, None)
        self._ended = result is None
        return result

    def rest(self) -> Iterator[Result]:
        """What has not been polled; nothing can be polled after that."""
        self._ended = True
        return self._results


@dataclass
class _Yield:
    """What the pages of one search gave."""

    seen: int = 0
    new: int = 0
    total: int | None = None
    stale: int = field(default=0)


class SearchStream(Stream):
    """What one provider finds for one query and, when that is not enough, for its variants.

    Pages are asked for by a thread of its own, only while few results wait. `wake` is called when there is news;
    `seen` holds the keys of what the streams of this query have given and which of them did, and is shared by them.
    Of the query itself, without variants, it counts what it gave (`plain`) and how much of that another stream gave
    too (`shared`); `total` is what the site says it has.
    """

    def __init__(
        self,
        provider: Provider,
        searches: Iterable[Search],
        asker: Asker,
        *,
        seen: dict[str, str],
        stop: threading.Event,
        wake: Callable[[], None],
        notify: Callable[[Notice], None],
    ) -> None:
        self.name = provider.name
        self.provider = provider
        self.found = 0
        self.plain = 0
        self.shared: Counter[str] = Counter()
        self.plain_ended = False
        self.total: int | None = None
        self.pages = 0
        self._searches = iter(searches)
        self._asker = asker
        self._keys = seen
        self._stop = stop
        self._wake = wake
        self._notify = notify
        self._waiting: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self._hungry = threading.Semaphore(0)
        self._asked_for_more = False
        self._finished = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def ended(self) -> bool:
        """Has the last page been read and everything been given?"""
        return self._finished.is_set() and self._waiting.empty()

    def poll(self) -> Result | None:
        """The next result, or None while the next page is on its way."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._read, name=f"search-{self.name}", daemon=True)
            self._thread.start()
        if self._waiting.qsize() < _READ_AHEAD // 2 and not self._asked_for_more:
            self._asked_for_more = True
            self._hungry.release()
        try:
            return self._waiting.get_nowait()
        except queue.Empty:
            return None

    def close(self) -> None:
        """Waits for the thread to end (after `stop` was set)."""
        self._hungry.release()
        if self._thread is not None:
            self._thread.join(timeout=5)

    # ---- the thread -----------------------------------------------------------------------------------------------

    def _read(self) -> None:
        low = 0
        first: Search | None = None
        try:
            for number, search in enumerate(self._searches):
                first = first or search
                got = self._read_search(search, is_first=number == 0)
                is_low = got.new < _LOW_YIELD * max(1, got.seen)
                low = low + 1 if number and is_low else 0
                if low >= _MAX_LOW_VARIANTS:
                    break
            if first is not None:
                kind = "end" if self.found else "empty"
                words = f"{self.name} has no more" if self.found else f"{self.name} found nothing"
                self._notify(Notice(provider=self.name, query=first.label, kind=kind, message=words, found=self.found))
        except ProviderError as error:
            label = first.label if first else ""
            self.plain_ended = True
            self._notify(Notice(provider=self.name, query=label, kind=error.kind, message=str(error), found=self.found))
        except Interrupted:
            pass
        finally:
            self._finished.set()
            self._wake()

    def _read_search(self, search: Search, *, is_first: bool) -> _Yield:
        got = _Yield()
        for page in self._pages(search):
            self.pages += 1
            new = self._hand_on(page, search, is_first=is_first)
            got.seen += len(page.results)
            got.new += new
            if is_first and page.total is not None:
                self.total = page.total
            got.stale = 0 if new or not page.results else got.stale + 1
            self._wake()
            if got.stale >= _STALE_PAGES or got.seen >= self.provider.max_results:
                break
        self.plain_ended = True
        return got

    def _pages(self, search: Search) -> Iterator[Page]:
        state: object = {}
        for _ in range(self.provider.max_pages):
            self._hungry.acquire()
            self._asked_for_more = False
            if self._stop.is_set():
                raise Interrupted
            page = self._asker.page(self.provider, search, state)  # type: ignore[arg-type]
            yield page
            if page.next is None or page.next == state:
                return
            state = page.next
            if self._waiting.empty():
                self._hungry.release()  # a page without results (a token, all known): nobody will ask for the next

    def _hand_on(self, page: Page, search: Search, *, is_first: bool) -> int:
        new = 0
        for result in page.results:
            keys = (result.key, *keys_of(result))
            givers = [self._keys[key] for key in keys if key in self._keys]
            if is_first and self.name not in givers:
                self.plain += 1
                self.shared.update(set(givers))
            is_new = result.key not in self._keys
            for key in keys:
                self._keys.setdefault(key, self.name)
            if not is_new:
                continue
            new += 1
            self.found += 1
            self._waiting.put(
                result.replaced(
                    provider=self.name, query=search.label, rank=self.found, variant=search.variant or result.variant
                )
            )
        return new
