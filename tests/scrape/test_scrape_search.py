"""From a query to a set, by providers that answer from a server on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gancli.errors import UsageError
from gancli.manifest import read_manifest
from gancli.scrape import Finished, Forecast, Notice, Outcome, ScrapeConfig, find, scrape
from gancli.scrape.doctor import examine
from gancli.scrape.lanes import Lane, share

Page = Callable[[dict[str, str]], Any]


class Web:
    """Providers' APIs and the pictures they name, on one server."""

    def __init__(self, site: Any, make: Any) -> None:
        self.site = site
        self.asked: dict[str, list[dict[str, str]]] = {}
        self._make = make
        self._pictures = 0

    @property
    def endpoints(self) -> dict[str, str]:
        names = ("openverse", "wikimedia", "bing", "duckduckgo", "pixabay", "flickr")
        return dict.fromkeys(names, self.site.url("").rstrip("/"))

    def api(self, path: str, answer: Page) -> None:
        def route(handler: Any) -> None:
            asked = {name: values[0] for name, values in parse_qs(urlsplit(handler.path).query).items()}
            self.asked.setdefault(path, []).append(asked)
            got = answer(asked)
            status, body = got if isinstance(got, tuple) else (200, got)
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            handler.give(data, status=status, kind="application/json")

        self.site.routes[path] = route

    def picture(self, host: str = "127.0.0.1") -> str:
        self._pictures += 1
        path = f"/picture{self._pictures}.jpg"
        self.site.serve(path, self._make(self._pictures))
        return str(self.site.url(path, host))


@pytest.fixture
def web(site: Any, make: Any) -> Web:
    return Web(site, make)


def openverse_page(urls: list[str], page: int = 1, pages: int = 1, **more: Any) -> dict[str, Any]:
    base = {"license": "by", "license_version": "4.0", "width": 200, "height": 180}
    results = [{"url": url, "title": f"T{i}", **base, **more} for i, url in enumerate(urls)]
    return {"result_count": 240, "page_count": pages, "page_size": 20, "page": page, "results": results}


def commons_page(urls: list[str], following: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    pages = [
        {
            "pageid": i,
            "title": f"File:C{i}.jpg",
            "index": i,
            "imageinfo": [
                {
                    "url": url,
                    "width": 200,
                    "height": 180,
                    "extmetadata": {"LicenseShortName": {"value": "CC0"}},
                    **more,
                }
            ],
        }
        for i, url in enumerate(urls)
    ]
    return {"query": {"pages": pages}, **({"continue": following} if following else {})}


def run(web: Web, tmp_path: Path, *queries: str, **options: Any) -> tuple[Finished, list[Any]]:
    settings: dict[str, Any] = {"endpoints": web.endpoints, "allow_private": True, "out": tmp_path / "set"}
    settings.update(options)
    events = list(scrape(ScrapeConfig(queries=queries, **settings)))
    assert isinstance(events[-1], Finished)
    return events[-1], events


def test_auto_takes_from_both_licensed_sites_and_is_exact(web: Web, tmp_path: Path) -> None:
    few = [web.picture() for _ in range(10)]
    web.api("/v1/images/", lambda a: openverse_page([web.picture() for _ in range(20)], int(a["page"]), 3))
    web.api("/w/api.php", lambda a: commons_page(few))
    finished, _ = run(web, tmp_path, "alps", count=17)
    assert (finished.kept, finished.added) == (17, 17)
    rows = [row for row in read_manifest(tmp_path / "set") if row["status"] == "ok"]
    assert len(rows) == len(list((tmp_path / "set/images").iterdir())) == 17
    assert {row["provider"] for row in rows} == {"openverse", "wikimedia"}
    assert {row["license"] for row in rows} == {"CC-BY-4.0", "CC0-1.0"}
    assert {row["query"] for row in rows} == {"alps"}
    assert "CC\\-BY\\-4.0" in (tmp_path / "set/CREDITS.md").read_text(encoding="utf-8")


def test_licence_is_judged_on_the_result_itself(web: Web, tmp_path: Path) -> None:
    closed, nc, unknown = web.picture(), web.picture(), web.picture()
    page = openverse_page([closed, nc, unknown])
    for entry, licence in zip(page["results"], ("by-nd", "by-nc-sa", None), strict=True):
        entry["license"] = licence
    web.api("/v1/images/", lambda a: page)
    finished, _ = run(web, tmp_path, "alps", sources=("openverse",), count=3)
    rows = {row["url"]: row for row in read_manifest(tmp_path / "set")}
    assert rows[closed]["reason"] == "licence: CC-BY-ND-4.0"
    assert rows[unknown]["reason"] == "licence: not stated"
    assert rows[nc]["status"] == "ok"
    assert finished.kept == 1
    stricter, _ = run(web, tmp_path, "alps", sources=("openverse",), count=3, license="any")
    assert stricter.kept == 3
    assert web.asked["/v1/images/"][0]["license_type"] == "modification"


def test_queries_share_evenly_and_what_one_lacks_goes_to_the_other(web: Web, tmp_path: Path) -> None:
    few = [web.picture() for _ in range(3)]
    many = [[web.picture() for _ in range(20)] for _ in range(2)]

    def answer(asked: dict[str, str]) -> Any:
        if asked["q"].startswith("few"):
            return openverse_page(few)
        return openverse_page(many[int(asked["page"]) - 1], int(asked["page"]), 2)

    web.api("/v1/images/", answer)
    finished, _ = run(web, tmp_path, "few", "many", sources=("openverse",), count=20, label_by_query=True)
    rows = [row for row in read_manifest(tmp_path / "set") if row["status"] == "ok"]
    assert finished.kept == 20
    assert [sum(row["query"] == q for row in rows) for q in ("few", "many")] == [3, 17]
    assert {row["label"] for row in rows} == {"few", "many"}


def test_same_picture_of_two_sites_is_fetched_once(web: Web, tmp_path: Path) -> None:
    shared = web.picture()
    copies = [web.picture(), web.picture()]
    web.api("/v1/images/", lambda a: openverse_page([shared]))
    page = commons_page([shared + "#part", *copies], sha1="ab" * 20)
    del page["query"]["pages"][0]["imageinfo"][0]["sha1"]
    web.api("/w/api.php", lambda a: page)
    finished, _ = run(web, tmp_path, "alps", count=10)
    assert finished.kept == 2
    assert finished.left_out["same picture at another address"] == 2
    assert sum(web.site.asked(urlsplit(url).path) for url in (shared, *copies)) == 2


def test_copy_is_fetched_when_the_first_one_fails(web: Web, tmp_path: Path) -> None:
    dead, alive = web.site.url("/dead.jpg"), web.picture()
    web.api("/w/api.php", lambda a: commons_page([dead, alive], sha1="cd" * 20))
    finished, _ = run(web, tmp_path, "alps", sources=("wikimedia",), count=5)
    assert finished.kept == 1
    assert finished.left_out == {"HTTP 404": 1}


def test_rendition_is_tried_first_and_the_original_when_it_fails(web: Web, tmp_path: Path) -> None:
    original = web.picture()
    thumb = web.site.url("/thumb.jpg")
    web.api("/w/api.php", lambda a: commons_page([original], width=4000, height=3000, thumburl=thumb, thumbwidth=500))
    run(web, tmp_path, "alps", sources=("wikimedia",), count=1)
    row = read_manifest(tmp_path / "set")[0]
    assert (row["url"], row["final_url"], row["status"]) == (original, original, "ok")
    assert web.site.asked("/thumb.jpg") == 1


def test_picture_that_opted_out_is_not_fetched_by_another_address(web: Web, tmp_path: Path, make: Any) -> None:
    original = web.picture()
    thumb = web.site.url("/thumb.jpg")
    web.site.serve("/thumb.jpg", make(77), headers=(("X-Robots-Tag", "noimageai"),))
    web.api("/w/api.php", lambda a: commons_page([original], width=4000, height=3000, thumburl=thumb, thumbwidth=500))
    finished, _ = run(web, tmp_path, "alps", sources=("wikimedia",), count=1)
    assert finished.left_out == {"opt-out: X-Robots-Tag noimageai": 1}
    assert web.site.asked(urlsplit(original).path) == 0


def test_variants_are_asked_when_the_plain_query_is_not_enough(web: Web, tmp_path: Path) -> None:
    plain = [web.picture() for _ in range(4)]
    more = {"alpen": [web.picture()], "alps winter": [web.picture()]}
    web.api("/w/api.php", lambda a: commons_page(more.get(a["gsrsearch"].split(" filew")[0][16:], plain)))
    finished, events = run(web, tmp_path, "alps", sources=("wikimedia",), count=50, also=("alpen",))
    assert finished.kept == 6
    rows = {row["url"]: row for row in read_manifest(tmp_path / "set")}
    assert rows[more["alpen"][0]]["variant"] == "alpen"
    assert rows[more["alpen"][0]]["query"] == "alps"
    asked = [a["gsrsearch"].split(" filew")[0][16:] for a in web.asked["/w/api.php"]]
    assert asked == ["alps", "alpen", "alps winter", "alps sunset", "alps aerial"]  # two in a row with nothing new
    forecasts = [e for e in events if isinstance(e, Forecast)]
    assert [(f.query, f.about, f.at_most, f.unsaid, f.variants) for f in forecasts] == [
        ("alps", 4, 4, (), ("alps winter", "alps sunset", "alps aerial"))
    ]


def test_last_page_that_repeats_for_ever_ends(web: Web, tmp_path: Path) -> None:
    urls = [web.picture() for _ in range(3)]
    cards = "".join(
        f"""<li><a class="iusc" m='{json.dumps({"murl": url})}'></a><span class="nowrap">200 x 180</span></li>"""
        for url in urls
    )
    web.api("/images/async", lambda a: f"<ul>{cards}</ul>".encode())
    finished, _ = run(web, tmp_path, "alps", sources=("bing",), count=100)
    assert finished.kept == 3
    plain = [a for a in web.asked["/images/async"] if a["q"] == "alps"]
    assert [a["first"] for a in plain] == ["1", "36", "71"]


def test_topping_up_asks_for_the_difference_only(web: Web, tmp_path: Path) -> None:
    urls = [web.picture() for _ in range(20)]
    web.api("/v1/images/", lambda a: openverse_page(urls))
    run(web, tmp_path, "alps", sources=("openverse",), count=6)
    finished, _ = run(web, tmp_path, "alps", sources=("openverse",), count=9)
    assert (finished.kept, finished.added) == (9, 3)
    assert sum(web.site.asked(urlsplit(url).path) for url in urls) == 9
    before = len(web.asked["/v1/images/"])
    again, _ = run(web, tmp_path, "alps", sources=("openverse",), count=9)
    assert again.added == 0
    assert len(web.asked["/v1/images/"]) == before


@pytest.mark.parametrize(
    ("provider", "path", "answer", "kind"),
    [
        ("openverse", "/v1/images/", (429, {"detail": "Request was throttled."}), "quota"),
        ("openverse", "/v1/images/", openverse_page([]), "empty"),
        ("openverse", "/v1/images/", b"<html>", "changed"),
        ("wikimedia", "/w/api.php", {"error": {"code": "maxlag"}}, "blocked"),
        ("duckduckgo", "/", b"<html>no token</html>", "blocked"),
        ("bing", "/images/async", b"<html>" + b" " * 9000, "changed"),
        ("flickr", "/services/rest/", {"stat": "fail", "code": 100, "message": "Invalid API Key"}, "no key"),
        ("pixabay", "/api/", (400, b"[ERROR 400] Invalid or missing API key"), "no key"),
    ],
)
def test_what_a_provider_says_is_told_apart(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: str, path: str, answer: Any, kind: str
) -> None:
    monkeypatch.setenv("GAN_FLICKR_KEY", "SECRET1")
    monkeypatch.setenv("GAN_PIXABAY_KEY", "SECRET1")
    monkeypatch.setenv("GAN_CACHE", str(tmp_path / "cache"))
    web.api(path, lambda a: answer)
    finished, events = run(web, tmp_path, "alps", sources=(provider,), count=2)
    assert [e.kind for e in events if isinstance(e, Notice)] == [kind]
    assert finished.kept == 0
    diagnosis = list(examine(ScrapeConfig(queries=("alps",), sources=(provider,), endpoints=web.endpoints)))
    assert [d.state for d in diagnosis] == [kind]
    assert "SECRET1" not in "".join(p.read_text(errors="replace") for p in tmp_path.rglob("*") if p.is_file())
    assert "SECRET1" not in str(events)


def test_missing_key_is_said_and_nothing_is_asked(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GAN_FLICKR_KEY", raising=False)
    finished, events = run(web, tmp_path, "alps", sources=("flickr",), count=2)
    assert [(e.kind, "GAN_FLICKR_KEY" in e.message) for e in events if isinstance(e, Notice)] == [("no key", True)]
    assert finished.kept == 0
    assert web.site.hits == []


def test_key_goes_to_no_other_host(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_FLICKR_KEY", "SECRET1")
    other = web.site.url("/stolen", "127.0.0.7")
    web.site.routes["/services/rest/"] = lambda h: h.give(b"", status=302, headers=(("Location", other),))
    _, events = run(web, tmp_path, "alps", sources=("flickr",), count=2)
    assert web.site.asked("/stolen") == 0
    assert [e.kind for e in events if isinstance(e, Notice)] == ["changed"]


def test_pixabay_opt_outs_and_generated_pictures_are_left_out_and_pages_cached(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAN_PIXABAY_KEY", "SECRET1")
    monkeypatch.setenv("GAN_CACHE", str(tmp_path / "cache"))
    hits = [
        {"id": i, "webformatURL": web.picture(), "imageWidth": 640, "imageHeight": 480, "webformatHeight": 480}
        for i in range(3)
    ]
    hits[1]["noAiTraining"] = True
    hits[2]["isAiGenerated"] = True
    web.api("/api/", lambda a: {"totalHits": 3, "hits": hits})
    finished, _ = run(web, tmp_path, "alps", sources=("pixabay",), count=2)
    assert finished.left_out == {"opt-out: noAiTraining": 1, "generated picture": 1}
    asked = len(web.asked["/api/"])
    run(web, tmp_path, "alps", sources=("pixabay",), count=2)
    assert len(web.asked["/api/"]) == asked
    assert not any("SECRET1" in p.name or b"SECRET1" in p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())


def test_named_unlicensed_site_counts_as_any_and_auto_does_not_ask_it(web: Web, tmp_path: Path) -> None:
    url = web.picture()
    card = f"""<a class="iusc" m='{json.dumps({"murl": url})}'></a>"""
    web.api("/images/async", lambda a: card.encode())
    web.api("/v1/images/", lambda a: openverse_page([]))
    web.api("/w/api.php", lambda a: commons_page([]))
    run(web, tmp_path / "a", "alps", count=1)
    assert "/images/async" not in web.asked
    named, _ = run(web, tmp_path / "b", "alps", count=1, sources=("bing",))
    assert named.kept == 1
    everything, _ = run(web, tmp_path / "c", "alps", count=1, license="any")
    assert everything.kept == 1


def test_watermarked_hosts_are_left_out(web: Web, tmp_path: Path) -> None:
    card = """<a class="iusc" m='{"murl": "https://c8.alamy.com/comp/x.jpg"}'></a>"""
    web.api("/images/async", lambda a: card.encode())
    finished, _ = run(web, tmp_path, "alps", count=1, sources=("bing",))
    assert finished.left_out == {"watermark host": 1}


def test_dry_run_fetches_nothing_and_makes_no_folder(web: Web, tmp_path: Path) -> None:
    urls = [web.picture() for _ in range(8)]
    web.api("/v1/images/", lambda a: openverse_page(urls))
    config = ScrapeConfig(
        queries=("alps",), sources=("openverse",), count=5, endpoints=web.endpoints, out=tmp_path / "set"
    )
    found = list(find(config))
    assert [r.url for r in found if not isinstance(r, Notice)] == urls[:5]
    assert sum(web.site.asked(urlsplit(url).path) for url in urls) == 0
    assert not (tmp_path / "set").exists()


def test_demo_is_the_same_for_the_same_query_and_seed(tmp_path: Path) -> None:
    def paint(name: str, **options: Any) -> set[str]:
        config = ScrapeConfig(queries=("snowy",), sources=("demo",), count=2, out=tmp_path / name, **options)
        list(scrape(config))
        return {p.name for p in (tmp_path / name / "images").iterdir()}

    first = paint("a")
    assert len(first) == 2
    assert paint("b") == first
    assert not paint("c", seed=1) & first
    rows = read_manifest(tmp_path / "a")
    assert {(row["provider"], row["license"]) for row in rows} == {("demo", "CC0-1.0")}


@pytest.mark.parametrize(
    "options",
    [
        {"queries": ("",)},
        {"queries": ("  ",)},
        {"queries": ("x" * 10_001,)},
        {"queries": ()},
        {"queries": ("x",), "count": 0},
        {"queries": ("x",), "sources": ("nowhere",)},
        {"queries": ("x",), "license": "free"},
        {"queries": ("x",), "endpoints": {"nowhere": "http://127.0.0.1"}},
        {"queries": ("x",), "endpoints": {"bing": "ftp://x"}},
        {"queries": ("x",), "endpoints": {"bing": "http://x/path"}},
        {"queries": ("x",), "endpoints": {"bing": "http://[::1"}},
        {"queries": ("x",), "gap_s": float("nan")},
        {"queries": ("x",), "timeout_s": -1.0},
        {"queries": ("x",), "timeout_s": float("inf")},
        {"queries": ("x",), "max_mb": float("inf")},
        {"queries": ("x",), "max_mb": 0.0},
        {"queries": ("x",), "gap_s": float("inf")},
        {"queries": ("x",), "per_host": 10**9},
        {"queries": ("x",), "workers": 0},
        {"queries": ("x",), "min_side_px": -1},
        {"queries": ("x",), "colour": "beautiful"},
        {"queries": ("x",), "url_lines": ("http://a",)},
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_is_made(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        list(scrape(ScrapeConfig(out=tmp_path / "set", **options)))
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("query", ["雪山", "x" * 10_000, "[/x] \x1b[31m", "../../etc", "a\nb", "\ud800", "🏔️"])
def test_any_query_makes_a_set_with_a_harmless_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    monkeypatch.chdir(tmp_path)
    finished = list(scrape(ScrapeConfig(queries=(query,), sources=("demo",), count=1)))[-1]
    assert isinstance(finished, Finished)
    assert finished.kept == 1
    assert len(list(tmp_path.iterdir())) == 1
    assert "\x1b" not in str(finished.folder)
    assert len(read_manifest(finished.folder)) == 1


def test_sharing_is_even_and_gives_what_is_left_to_those_who_can() -> None:
    class Given(Lane):
        def __init__(self, kept: int, ended: bool) -> None:
            super().__init__("q", [], kept, look_ahead=1)
            self._is_over = ended

        @property
        def ended(self) -> bool:
            return self._is_over

    def shares(count: int, *lanes: tuple[int, bool]) -> list[int]:
        return share(count, [Given(kept, ended) for kept, ended in lanes])

    assert shares(10, (0, False), (0, False), (0, False)) == [4, 3, 3]
    assert shares(10, (2, True), (0, False), (0, False)) == [2, 4, 4]
    assert shares(10, (9, False), (0, False)) == [9, 1]
    assert shares(10, (12, False), (0, False)) == [12, 0]
    assert shares(10, (1, True), (2, True)) == [1, 2]
    assert shares(1, (0, False), (0, False)) == [1, 0]


def test_outcomes_are_typed_and_frozen() -> None:
    with pytest.raises(AttributeError):
        Outcome(status="ok", reason="", result=None).status = "x"  # type: ignore[misc, arg-type]
