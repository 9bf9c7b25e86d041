"""Collecting pictures: a query, or a list of addresses, becomes a raw set. See `run.scrape`."""

from __future__ import annotations

from gancli.scrape.config import ScrapeConfig
from gancli.scrape.results import Finished, Forecast, Notice, Outcome, Result, Started
from gancli.scrape.run import Event, find, scrape

__all__ = [
    "Event",
    "Finished",
    "Forecast",
    "Notice",
    "Outcome",
    "Result",
    "ScrapeConfig",
    "Started",
    "find",
    "scrape",
]
