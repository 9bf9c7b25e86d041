"""What each site asks of programs: how often, how much in a day, and to stop when it says no."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gancli.manifest import read_manifest
from gancli.scrape import Finished, Notice, ScrapeConfig, scrape
from gancli.scrape.allowance import DAY_S, wait_for_allowance
from gancli.scrape.ask import Asker
from gancli.scrape.hosts import Hosts
from gancli.scrape.providers import PROVIDERS

Told = tuple[Finished, list[Notice]]


@pytest.fixture
def ask(site: Any, tmp_path: Path) -> Callable[..., Told]:
    """Runs a scrape whose providers all answer from `site`."""

    def run(*queries: str, source: str, **options: Any) -> Told:
        settings: dict[str, Any] = {"count": 500, "allow_private": True, "out": tmp_path / "set", **options}
        endpoints = {source: site.url("").rstrip("/")}
        events = list(scrape(ScrapeConfig(queries=queries, sources=(source,), endpoints=endpoints, **settings)))
        assert isinstance(events[-1], Finished)
        return events[-1], [event for event in events if isinstance(event, Notice)]

    return run


@pytest.fixture
def far_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As if the server on this machine were the site itself, only that no pause is long."""
    monkeypatch.setattr(Asker, "_patience", lambda self, provider: 1e-9)
    monkeypatch.setenv("GAN_CACHE", str(tmp_path / "cache"))


def asked(site: Any, path: str) -> list[dict[str, str]]:
    with site.lock:
        hits = [hit for _, hit in site.hits if hit.split("?")[0] == path]
    return [{name: values[0] for name, values in parse_qs(urlsplit(hit).query).items()} for hit in hits]


def answer(site: Any, path: str, rows: Callable[[dict[str, str]], Any], status: int = 200) -> None:
    def route(handler: Any) -> None:
        got = rows({name: values[0] for name, values in parse_qs(urlsplit(handler.path).query).items()})
        handler.give(json.dumps(got).encode(), status=status, kind="application/json")

    site.routes[path] = route


# ---- a day's allowance ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("far_away")
def test_openverse_is_asked_190_times_a_day_over_all_starts(
    site: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PROVIDERS["openverse"].requests_a_day == 190
    monkeypatch.setattr(type(PROVIDERS["openverse"]), "requests_a_day", 5)
    answer(site, "/v1/images/", lambda a: {"result_count": 40, "page_count": 2, "results": [
        {"url": site.url(f"/gone{a['page']}.jpg"), "license": "by", "license_version": "4.0"}]})  # fmt: skip
    ask("alps", source="openverse", count=1)
    assert 0 < len(asked(site, "/v1/images/")) <= 5
    _, notices = ask("alps", source="openverse", count=1)
    assert len(asked(site, "/v1/images/")) == 5
    assert [notice.kind for notice in notices] == ["quota"]
    assert "5 requests that a day allows are used up; the next is free in 2" in notices[0].message
    ask("alps", source="openverse", count=1)
    assert len(asked(site, "/v1/images/")) == 5


def test_server_on_this_machine_has_no_daily_allowance(site: Any, ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(PROVIDERS["openverse"]), "requests_a_day", 1)
    answer(site, "/v1/images/", lambda a: {"result_count": 0, "page_count": 0, "results": []})
    _, notices = ask("alps", source="openverse")
    assert len(asked(site, "/v1/images/")) > 1
    assert [notice.kind for notice in notices] == ["empty"]


def test_allowance_comes_back_after_24_hours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_CACHE", str(tmp_path / "cache"))
    now = [1_000_000.0]
    monkeypatch.setattr("gancli.scrape.allowance.time.time", lambda: now[0])
    assert [wait_for_allowance("https://a", 2), wait_for_allowance("https://b", 2)] == [0.0, 0.0]
    now[0] += 3600
    assert [wait_for_allowance("https://a", 2) for _ in range(3)] == [0.0, DAY_S - 3600, DAY_S - 3600]
    now[0] += DAY_S - 3600
    assert [wait_for_allowance("https://a", 2) for _ in range(2)] == [0.0, 3600.0]
    for file in (tmp_path / "cache/scrape").glob("*.day"):
        file.write_bytes(b"\xff not numbers")
    assert wait_for_allowance("https://a", 2) == wait_for_allowance("https://b", 2) == 0.0


def test_count_that_cannot_be_kept_holds_nothing_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setenv("GAN_CACHE", str(tmp_path / "cache"))
    assert [wait_for_allowance("https://a", 1) for _ in range(3)] == [0.0, 0.0, 0.0]


# ---- who says no is left alone ----------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["no token", "403"])
def test_provider_that_blocks_is_asked_for_no_other_query(site: Any, ask: Any, where: str) -> None:
    site.serve("/", b"<html>" if where == "no token" else b"x vqd=4-12& y", kind="text/html")
    answer(site, "/i.js", lambda a: {}, status=403)
    _, notices = ask("alps", "andes", "urals", source="duckduckgo")
    assert [notice.kind for notice in notices] == ["blocked"] * 3
    assert len(asked(site, "/i.js")) == (0 if where == "no token" else 1)
    assert len(asked(site, "/")) <= (1 if where == "no token" else 3)


def test_duckduckgo_is_asked_for_ten_pages_a_start(site: Any, ask: Any) -> None:
    site.serve("/", b"x vqd=4-12& y", kind="text/html")
    numbers = itertools.count()
    answer(site, "/i.js", lambda a: {"next": "i.js?s=1", "results": [{"image": site.url(f"/{next(numbers)}.jpg")}]})
    _, notices = ask("alps", "andes", source="duckduckgo")
    assert len(asked(site, "/i.js")) == 10
    assert {notice.kind for notice in notices} == {"quota"}
    cookies = {seen.get("Cookie") for seen in site.headers_seen if seen.get("Referer") == "https://duckduckgo.com/"}
    assert cookies == {"ad=en_US; ah=us-en; l=us-en"}
    assert not any("Accept-Language" in seen for seen in site.headers_seen)
    assert len({seen["User-Agent"] for seen in site.headers_seen if "Sec-Fetch-Mode" in seen}) == 1


def test_image_token_tells_copies_apart_before_they_are_fetched(site: Any, ask: Any, make: Any) -> None:
    site.serve("/", b"x vqd=4-12& y", kind="text/html")
    rows = [
        {"image": site.serve(f"/{i}.jpg", make(i)), "image_token": token, "width": 200, "height": 180}
        for i, token in enumerate(["ab" * 32, "ab" * 32, "cd" * 32, "<x>", None])
    ]
    answer(site, "/i.js", lambda a: {"results": rows})
    finished, _ = ask("alps", source="duckduckgo", count=10)
    assert finished.kept == 4
    assert finished.left_out["same picture at another address"] == 1


def test_busy_site_is_waited_for_as_long_as_it_says(site: Any, ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(Asker, "_patience", lambda self, provider: 1.0)
    monkeypatch.setattr(Asker, "_wait", lambda self, seconds: waited.append(seconds))
    lag = json.dumps({"error": {"code": "maxlag", "info": "Waiting"}}).encode()
    site.serve("/w/api.php", lag, headers=(("Retry-After", "17"),))
    _, notices = ask("alps", source="wikimedia")
    assert 17.0 in waited
    assert [notice.kind for notice in notices] == ["blocked"]


# ---- hosts of pictures ------------------------------------------------------------------------------------------


def test_wikimedia_serves_two_at_a_time_and_25_mbit_a_second_whatever_is_asked() -> None:
    hosts: Hosts[int] = Hosts(per_host=8)
    for number in range(4):
        hosts.add("wikimedia.org", number, gap_s=0)
        hosts.add("other.example", 10 + number, gap_s=0)
    taken = [hosts.take() for _ in range(6)]
    assert sum(job is not None and job[0] == "wikimedia.org" for job in taken) == 2
    hosts.answered("wikimedia.org", 31_250_000)  # ten seconds of it
    hosts.done("wikimedia.org")
    got: list[object] = []
    thread = threading.Thread(target=lambda: got.append(hosts.take()), daemon=True)
    thread.start()
    thread.join(timeout=0.3)
    assert got == []
    hosts.close()
    thread.join(timeout=5)


def test_smaller_copy_is_said_in_the_manifest(site: Any, ask: Any, make: Any, tmp_path: Path) -> None:
    thumb, original = site.serve("/thumb.jpg", make(1)), site.serve("/whole.jpg", make(2))
    alone = site.serve("/alone.jpg", make(3))

    def page(url: str, **more: Any) -> dict[str, Any]:
        licence = {"LicenseShortName": {"value": "CC0"}}
        return {"title": "File:A", "index": 1, "imageinfo": [{"url": url, "extmetadata": licence, **more}]}

    large = {"width": 4000, "height": 3000, "thumburl": thumb}
    answer(site, "/w/api.php", lambda a: {"query": {"pages": [page(original, **large), page(alone)]}})
    ask("alps", source="wikimedia", count=2)
    rows = {row["url"]: row for row in read_manifest(tmp_path / "set")}
    assert (rows[original]["used_thumbnail"], rows[original]["final_url"]) == (True, thumb)
    assert "used_thumbnail" not in rows[alone]
