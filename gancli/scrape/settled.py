"""Which outcomes of earlier starts still hold, and which are tried again."""

from __future__ import annotations

from typing import Any

from gancli.scrape.config import ScrapeConfig
from gancli.scrape.licences import allows
from gancli.scrape.results import DUP, FAIL, OK, SKIP

__all__ = ["LICENCE", "OPT_OUT", "TOO_MANY_BYTES", "TOO_SMALL", "WATERMARKS", "is_final_status", "is_settled"]

LICENCE = "licence"
OPT_OUT = "opt-out"
TOO_SMALL = "too small"
TOO_MANY_BYTES = "too many bytes"
WATERMARKS = "watermark host"

_TRANSIENT_4XX = (408, 425, 429)


def is_final_status(status: int) -> bool:
    """Does an HTTP status stay as it is (404), or may it pass (503, 429)?"""
    return 400 <= status < 500 and status not in _TRANSIENT_4XX


def is_settled(row: dict[str, Any], config: ScrapeConfig, rule: str) -> bool:
    """Does the outcome in `row` still hold under `config`, so that nothing is asked for it again?"""
    status, reason = row.get("status"), str(row.get("reason") or "")
    if status in (OK, DUP):
        return True
    if status == FAIL:
        return row.get("final") is True
    return status == SKIP and not _rule_changed(row, reason, config, rule)


def _rule_changed(row: dict[str, Any], reason: str, config: ScrapeConfig, rule: str) -> bool:
    if reason.startswith(LICENCE):
        return allows(row.get("license"), rule)
    if reason.startswith(OPT_OUT):
        return config.ignore_optout
    if reason.startswith(TOO_SMALL):
        sides = [row.get("width"), row.get("height")]
        return all(isinstance(side, int) and side >= config.min_side_px for side in sides)
    if reason.startswith(TOO_MANY_BYTES):
        size = row.get("bytes")
        return not isinstance(size, int) or size <= config.max_mb * 1e6
    if reason.startswith(WATERMARKS):
        return config.watermark_hosts
    if reason == "private address" or reason.startswith("port "):
        return config.allow_private
    return False
