"""Results that are one picture, found before any of them is fetched a second time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from gancli.scrape.judge import keys_of
from gancli.scrape.results import Result

__all__ = ["Twins"]

_T = TypeVar("_T")


class Twins(Generic[_T]):
    """The keys of every picture that is there or on its way. What waits for its twin is held here as a `_T`."""

    def __init__(self) -> None:
        self._there: dict[str, str] = {}
        self._held: dict[str, list[_T]] = {}

    @property
    def is_holding(self) -> bool:
        """Is a picture on its way whose twins would have to wait?"""
        return bool(self._held)

    def remember(self, url: str, keys: Iterable[str]) -> None:
        """A picture with these keys is there; `url` is its name."""
        for key in keys:
            self._there[key] = url

    def find(self, result: Result) -> tuple[str, str] | None:
        """The key under which `result` is there already, and the name of that picture."""
        return next(((key, self._there[key]) for key in keys_of(result) if key in self._there), None)

    def hold(self, result: Result, waiting: _T) -> bool:
        """Keeps `waiting` until the twin of `result` that is on its way has its outcome; False when there is none."""
        for key in keys_of(result):
            if key in self._held:
                self._held[key].append(waiting)
                return True
        return False

    def send(self, result: Result) -> None:
        """`result` is on its way."""
        for key in keys_of(result):
            self._held.setdefault(key, [])

    def settle(self, result: Result, *, is_there: bool) -> list[_T]:
        """`result` has its outcome; returns what waited for it."""
        waiting: list[_T] = []
        for key in keys_of(result):
            waiting += self._held.pop(key, [])
            if is_there:
                self._there[key] = result.key
        return waiting
