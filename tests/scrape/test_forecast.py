"""The forecast against what a query then gave: sites of which it is known what they have."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gancli.cli.output import Output
from gancli.cli.scrape_show import show_forecast
from gancli.scrape import Finished, Forecast, ScrapeConfig, scrape

Planted = Callable[..., tuple[Finished, list[Forecast]]]


@pytest.fixture
def planted(site: Any, make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Planted:
    """Openverse and Pixabay with pictures by number; each number is one picture, wherever it stands."""
    monkeypatch.setenv("GAN_PIXABAY_KEY", "KEY")
    monkeypatch.setenv("GAN_CACHE", str(tmp_path / "cache"))
    site.default = lambda h: (
        h.give(make(int(h.path[1:-4]), (40, 36))) if h.path.endswith(".jpg") else h.give(b"", status=404)
    )

    def run(openverse: list[int], pixabay: list[int], closed: tuple[int, ...] = (), **options: Any) -> Any:
        def catalogue(asked: dict[str, str]) -> Any:
            page = int(asked["page"])
            results = [
                {"url": site.url(f"/{n}.jpg"), "license": "by-nd" if n in closed else "by", "license_version": "4.0"}
                for n in openverse[20 * page - 20 : 20 * page]
            ]
            is_plain = asked["q"] == "alps" and not {"source", "aspect_ratio"} & set(asked)
            pages = -(-len(openverse) // 20) if is_plain else 1
            return {"result_count": len(openverse), "page_count": pages, "results": results if is_plain else []}

        def hits(asked: dict[str, str]) -> Any:
            rows = [{"id": n, "largeImageURL": site.url(f"/{n}.jpg")} for n in pixabay if asked["q"] == "alps"]
            return {"totalHits": len(rows), "hits": rows}

        for path, rows in (("/v1/images/", catalogue), ("/api/", hits)):
            site.routes[path] = lambda h, rows=rows: h.give(
                json.dumps(rows({k: v[0] for k, v in parse_qs(urlsplit(h.path).query).items()})).encode()
            )
        settings: dict[str, Any] = {"count": 500, "sources": ("openverse", "pixabay"), **options}
        config = ScrapeConfig(
            queries=("alps",), out=tmp_path / "set", allow_private=True, min_side_px=0,
            endpoints=dict.fromkeys(("openverse", "pixabay"), site.url("").rstrip("/")), **settings,
        )  # fmt: skip
        events = list(scrape(config))
        assert isinstance(events[-1], Finished)
        return events[-1], [event for event in events if isinstance(event, Forecast)]

    return run


@pytest.mark.parametrize(
    ("openverse", "pixabay", "closed"),
    [
        (range(100), range(200, 230), ()),
        (range(100), range(0, 100, 2), ()),
        (range(100), range(100), ()),
        (range(160), range(500, 520), range(0, 160, 2)),
        (range(120), range(0, 120, 3), range(0, 120, 4)),
    ],
    ids=["nothing shared", "half shared", "all shared", "half closed", "shared and closed"],
)
def test_forecast_is_near_what_the_query_then_gives_and_never_under_it_at_most(
    planted: Planted, openverse: range, pixabay: range, closed: range
) -> None:
    finished, forecasts = planted(list(openverse), list(pixabay), tuple(closed))
    assert len(forecasts) == 1
    assert abs(forecasts[0].about - finished.kept) <= 0.15 * finished.kept + 2
    assert finished.kept <= forecasts[0].at_most <= len(openverse) + len(pixabay)
    assert forecasts[0].about <= forecasts[0].at_most


def test_site_that_does_not_say_how_many_it_has_is_not_counted(site: Any, tmp_path: Path) -> None:
    def page(handler: Any) -> None:
        offset = int(parse_qs(urlsplit(handler.path).query)["gsroffset"][0])
        pages = [
            {"title": "File:A", "index": i, "imageinfo": [{"url": site.url(f"/{offset + i}.jpg")}]} for i in range(50)
        ]
        handler.give(json.dumps({"query": {"pages": pages}, "continue": {"gsroffset": offset + 50}}).encode())

    site.routes["/w/api.php"] = page
    site.default = lambda h: h.give(b"", status=404)
    config = ScrapeConfig(
        queries=("alps",), sources=("wikimedia",), count=120, out=tmp_path / "set", allow_private=True, license="any",
        endpoints={"wikimedia": site.url("").rstrip("/")},
    )  # fmt: skip
    stream = scrape(config)
    found = next(event for event in stream if isinstance(event, Forecast))
    stream.close()  # type: ignore[attr-defined]
    assert (found.about, found.at_most, found.unsaid, found.variants) == (0, 0, ("wikimedia",), ())


@pytest.mark.parametrize(
    ("forecast", "words"),
    [
        ({"about": 120, "at_most": 230}, '"alps" may give about 120, at most 230 pictures\n'),
        ({"about": 4, "at_most": 4, "variants": ("a",)}, '"alps" may give at most 4 pictures; more with "a"\n'),
        ({"about": 0, "at_most": 0, "unsaid": ("wikimedia",)}, ""),
        (
            {"about": 12, "at_most": 20, "unsaid": ("bing", "wikimedia")},
            '"alps" may give about 12, at most 20 pictures; bing and wikimedia do not say how many they have\n',
        ),
    ],
)
def test_forecast_in_words(capfd: pytest.CaptureFixture[str], forecast: dict[str, Any], words: str) -> None:
    show_forecast(Forecast(query="alps", **forecast), Output(json=False, quiet=False, verbose=False))
    assert capfd.readouterr().err == words
