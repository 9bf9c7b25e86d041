"""Each provider reads its golden pages, says what an answer means, and never fails on bytes it does not know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gancli.scrape.providers import PROVIDERS
from gancli.scrape.providers.base import (
    Page,
    ProviderBlocked,
    ProviderChanged,
    ProviderError,
    ProviderNoKey,
    ProviderQuota,
    Search,
    State,
)

PAGES = Path(__file__).parent / "pages"
ONLINE = sorted(name for name, provider in PROVIDERS.items() if not provider.is_local)


def page(name: str) -> bytes:
    return (PAGES / name).read_bytes()


def parse(provider: str, name: str, state: State | None = None, **options: Any) -> Page:
    return PROVIDERS[provider].parse(page(name), Search(query="alps", key="KEY", **options), state or {})


def params(provider: str, state: State | None = None, **options: Any) -> dict[str, str]:
    search = Search(**{"query": "alps", "key": "KEY", **options})
    return dict(PROVIDERS[provider].build_request(search, state or {}).params)


# ---- bing -------------------------------------------------------------------------------------------------------


def test_bing_keeps_usable_cards_once_and_in_order() -> None:
    got = parse("bing", "bing_page1.html", rule="any")
    assert [r.url for r in got.results] == [
        "https://photos.example/alps.jpg?w=1&h=2",
        "https://photos.example/no-title.png",
        "https://fity.example/glued.webp",
        "https://nosize.example/picture.jpg",
        "http://href.example/from-href.jpg",
    ]
    assert [(r.width, r.height) for r in got.results] == [
        (3442, 2972),
        (3442, 2972),
        (2400, 1600),
        (None, None),
        (1920, 1080),
    ]
    first, second, glued = got.results[:3]
    assert (first.title, first.page_url) == ("Alps & snow <b>peaks</b>", "https://photos.example/alps.html")
    assert second.title is None
    assert first.license is None
    assert first.license_source == "none"
    assert first.same == ("md5:" + "a1" * 16,)
    assert first.referer == "https://photos.example/"
    assert first.addresses == (first.url, "https://tse1.mm.bing.net/th?id=OIP.one&pid=15.1")
    assert glued.addresses[1:] == (
        "https://ts1.mm.bing.net/th?id=OIP.six&pid=15.1",
        "https://tse1.mm.bing.net/th?id=OIP.six&pid=15.1",
    )
    assert got.next is not None


def test_bing_counts_images_not_pages() -> None:
    first = params("bing")
    assert (first["first"], first["count"], first["async"]) == ("1", "35", "1")
    following = parse("bing", "bing_page1.html").next
    assert following is not None
    assert params("bing", following)["first"] == "36"
    third = parse("bing", "bing_page1.html", following).next
    assert third is not None
    assert params("bing", third)["first"] == "71"


def test_bing_page_without_cards_is_never_no_results_on_page_one() -> None:
    with pytest.raises(ProviderChanged):
        parse("bing", "bing_blocked_shell.html")
    with pytest.raises(ProviderBlocked):
        parse("bing", "bing_captcha.html")
    with pytest.raises(ProviderBlocked):
        PROVIDERS["bing"].parse(b"", Search(query="alps"), {})
    later = parse("bing", "bing_page1.html").next
    assert later is not None
    assert parse("bing", "bing_blocked_shell.html", later) == Page(results=(), next=None)


def test_bing_filters_are_joined_tokens() -> None:
    given_ = params("bing", size="large", colour="red", type="photo", rule="modify", safe="strict")
    assert given_["qft"] == (
        "+filterui:imagesize-large+filterui:color2-FGcls_RED+filterui:photo-photo+filterui:license-L2_L3_L5_L6"
    )
    assert given_["adlt"] == "strict"
    claimed = parse("bing", "bing_page1.html", rule="modify").results[0]
    assert claimed.license_source == "filter"
    assert "qft" not in params("bing", rule="any")


# ---- duckduckgo -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "token"),
    [
        ("ddg_home_quoted.html", "4-123456789012345678901234567890"),
        ("ddg_home_bare.html", "4-12"),
        ("ddg_home_single.html", "4-77123-99"),
    ],
)
def test_duckduckgo_finds_its_token_in_every_form(name: str, token: str) -> None:
    got = parse("duckduckgo", name)
    assert got.results == ()
    assert got.next is not None
    asked = params("duckduckgo", got.next, rule="any")
    assert (asked["vqd"], asked["o"], asked["q"]) == (token, "json", "alps")
    assert "s" not in asked
    assert "f" not in asked


def test_duckduckgo_without_token_is_blocked() -> None:
    with pytest.raises(ProviderBlocked):
        parse("duckduckgo", "ddg_home_none.html")
    assert isinstance(PROVIDERS["duckduckgo"].explain(403, page("ddg_403.html")), ProviderBlocked)


def test_duckduckgo_reads_results_and_the_end() -> None:
    state = parse("duckduckgo", "ddg_home_quoted.html").next
    assert state is not None
    got = parse("duckduckgo", "ddg_page1.json", state)
    assert [r.url for r in got.results] == [f"https://cdn{n}.example/full/{n}.jpg" for n in (1, 2, 3)]
    assert (got.results[1].width, got.results[1].height) == (1600, 1200)
    assert got.results[2].title is None
    assert got.results[0].page_url == "https://page1.example/p"
    assert got.next is not None
    assert params("duckduckgo", got.next)["s"] == "100"
    assert parse("duckduckgo", "ddg_last.json", got.next).next is None


def test_duckduckgo_filters_have_six_slots() -> None:
    state = parse("duckduckgo", "ddg_home_quoted.html", size="large").next
    assert params("duckduckgo", state, size="large", type="photo", colour="grey")["f"] == (
        ",size:Large,color:Monochrome,type:photo,,license:Modify"
    )


# ---- openverse --------------------------------------------------------------------------------------------------


def test_openverse_reads_licences_and_missing_sizes() -> None:
    got = parse("openverse", "openverse_page1.json")
    assert [r.license for r in got.results] == [
        "CC-BY-SA-2.0",
        "CC-BY-SA-2.0",
        "CC-BY-NC-ND-2.0",
        "CC0-1.0",
        "PDM-1.0",
    ]
    first = got.results[0]
    assert first.url == "https://live.staticflickr.com/65535/1_abc_b.jpg"
    assert first.page_url == "https://www.flickr.com/photos/someone/1"
    assert first.creator == "Someone <b>Bold</b> [/x]"
    assert first.license_url == "https://creativecommons.org/licenses/by-sa/2.0/"
    assert first.license_source == "api"
    assert first.attribution is not None
    assert first.attribution.startswith('"Mountain 1" by Someone')
    assert (got.results[1].width, got.results[1].height) == (None, None)
    assert got.results[3].title is None
    assert got.total == 240
    assert got.next is not None
    assert params("openverse", got.next)["page"] == "2"


def test_openverse_ends_and_empties() -> None:
    assert parse("openverse", "openverse_last.json", {"page": 12}).next is None
    assert parse("openverse", "openverse_empty.json") == Page(results=(), next=None, total=0)


def test_openverse_request_keeps_to_what_is_allowed_without_a_key() -> None:
    asked = params("openverse", query="x" * 500, type="photo", size="large")
    assert (asked["page"], asked["page_size"]) == ("1", "20")
    assert len(asked["q"]) <= 200
    assert (asked["category"], asked["size"]) == ("photograph", "large")
    assert set(asked["license_type"].split(",")) == {"modification"}
    assert set(params("openverse", rule="commercial")["license_type"].split(",")) == {"commercial", "modification"}
    assert set(params("openverse", rule="public")["license"].split(",")) == {"cc0", "pdm"}
    assert "license_type" not in params("openverse", rule="any")


def test_openverse_answers_are_told_apart() -> None:
    openverse = PROVIDERS["openverse"]
    assert isinstance(openverse.explain(429, page("openverse_429.json")), ProviderQuota)
    assert "page_size" in str(openverse.explain(401, page("openverse_401.json")))
    assert "license" in str(openverse.explain(400, page("openverse_400.json")))


# ---- wikimedia --------------------------------------------------------------------------------------------------


def test_commons_is_sorted_by_index_and_skips_what_has_no_file() -> None:
    got = parse("wikimedia", "commons_page1.json")
    assert [r.title for r in got.results] == ["File 1", "File 2", "File 3", "File 4"]
    first, second, third, fourth = got.results
    assert first.creator == "Jane & Joe"
    assert first.attribution == "Own work"
    assert (first.license, third.license, fourth.license) == ("CC-BY-SA-4.0", "Public domain", None)
    assert second.license == "GFDL"
    assert second.creator == "Someone"
    assert first.same == (f"sha1:{1:040x}",)
    assert (first.width, first.height) == (4000, 3000)
    assert first.addresses == (
        "https://upload.wikimedia.org/wikipedia/commons/thumb/a/ab/File_1.jpg/500px-File_1.jpg",
        first.url,
    )
    assert second.addresses == (second.url,)


def test_commons_copies_the_whole_continue_object() -> None:
    following = parse("wikimedia", "commons_page1.json").next
    assert following == {"gsroffset": 50, "continue": "gsroffset||"}
    asked = params("wikimedia", following)
    assert (asked["gsroffset"], asked["continue"], asked["gsrlimit"]) == ("50", "gsroffset||", "50")
    assert parse("wikimedia", "commons_last.json", following).next is None


def test_commons_of_the_older_format_and_none_at_all() -> None:
    assert [r.title for r in parse("wikimedia", "commons_v1.json").results] == ["File 8", "File 7"]
    assert parse("wikimedia", "commons_none.json") == Page(results=(), next=None)


def test_commons_lag_is_a_reason_to_wait() -> None:
    with pytest.raises(ProviderBlocked) as caught:
        parse("wikimedia", "commons_maxlag.json")
    assert caught.value.may_pass


def test_commons_is_asked_for_a_width_that_is_served() -> None:
    for near_px in (1, 160, 480, 700, 5000):
        assert params("wikimedia", near_px=near_px)["iiurlwidth"] in {
            "20", "40", "60", "120", "250", "330", "500", "960", "1280", "1920", "3840",
        }  # fmt: skip


# ---- pixabay ----------------------------------------------------------------------------------------------------


def test_pixabay_marks_what_opted_out_and_what_is_generated() -> None:
    got = parse("pixabay", "pixabay_page1.json")
    assert [(r.no_ai, r.is_generated) for r in got.results] == [
        (False, False),
        (True, False),
        (False, True),
        (False, False),
    ]
    first = got.results[0]
    assert first.license == "Pixabay Content License"
    assert first.license_url == "https://pixabay.com/service/license-summary/"
    assert first.addresses[0] == "https://pixabay.com/get/1_640.jpg"
    assert first.page_url == "https://pixabay.com/photos/mountain-1/"
    assert first.creator == "Painter"
    assert got.results[3].creator is None
    assert got.total == 500
    assert got.next is not None


def test_pixabay_ends_where_its_hits_end() -> None:
    assert params("pixabay")["per_page"] == "200"
    assert len(params("pixabay", query="y" * 300)["q"]) <= 100
    third = parse("pixabay", "pixabay_page1.json", {"page": 2})
    assert third.next == {"page": 3}
    assert parse("pixabay", "pixabay_page1.json", {"page": 3}).next is None


def test_pixabay_errors_are_text() -> None:
    pixabay = PROVIDERS["pixabay"]
    assert isinstance(pixabay.explain(400, page("pixabay_error_key.txt")), ProviderNoKey)
    assert "out of valid range" in str(pixabay.explain(400, page("pixabay_error.txt")))
    assert isinstance(pixabay.explain(429, b"API rate limit exceeded"), ProviderQuota)


# ---- flickr -----------------------------------------------------------------------------------------------------


def test_flickr_takes_the_size_that_is_enough_and_knows_licences() -> None:
    got = parse("flickr", "flickr_page1.json", {"page": 1})
    assert [r.title for r in got.results] == ["Peak 1", "Peak 2", "Peak 3", "Peak 4", "Peak 5", "Peak 7"]
    assert [r.license for r in got.results[:5]] == [
        "CC-BY-2.0",
        "CC0-1.0",
        "All rights reserved",
        "No known copyright restrictions",
        "CC-BY-NC-ND-2.0",
    ]
    first = got.results[0]
    assert first.addresses[0] == "https://live.staticflickr.com/65535/1_z.jpg"
    assert first.url in first.addresses
    assert first.page_url == "https://www.flickr.com/photos/ann/1"
    assert got.results[3].page_url == "https://www.flickr.com/photos/12345@N01/4"
    assert first.creator == "Ann O'Nymous"
    assert got.total == 4000
    assert got.next is not None


def test_flickr_end_and_refusals() -> None:
    assert parse("flickr", "flickr_last.json", {"page": 16}).next is None
    with pytest.raises(ProviderNoKey):
        parse("flickr", "flickr_fail100.json", {"page": 1})
    with pytest.raises(ProviderError) as caught:
        parse("flickr", "flickr_fail105.json", {"page": 1})
    assert caught.value.may_pass


def test_flickr_asks_only_for_licences_that_the_rule_grants() -> None:
    asked = params("flickr", {"page": 1})
    assert {"4", "5", "7", "8", "9", "10", "1", "2"} <= set(asked["license"].split(","))
    assert not {"0", "3", "6"} & set(asked["license"].split(","))
    assert not {"1", "2"} & set(params("flickr", {"page": 1}, rule="commercial")["license"].split(","))
    assert (asked["format"], asked["nojsoncallback"], asked["per_page"]) == ("json", "1", "250")


# ---- all --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ONLINE)
@settings(max_examples=25, deadline=None)
@given(data=st.binary(max_size=300), later=st.booleans())
def test_any_bytes_raise_nothing_but_our_errors(name: str, data: bytes, later: bool) -> None:
    check(name, data, later)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
_GOLDEN = [
    (name, path)
    for name, prefix in (
        ("openverse", "openverse"), ("wikimedia", "commons"), ("pixabay", "pixabay"), ("flickr", "flickr"),
        ("duckduckgo", "ddg"),
    )
    for path in sorted(PAGES.glob(f"{prefix}_*.json"))
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_json_in_any_place_raises_nothing_but_our_errors(data: st.DataObject) -> None:
    name, path = data.draw(st.sampled_from(_GOLDEN))
    value = json.loads(path.read_bytes())
    place = value
    for _ in range(data.draw(st.integers(0, 8))):
        if isinstance(place, dict) and place:
            key: Any = data.draw(st.sampled_from(sorted(place)))
        elif isinstance(place, list) and place:
            key = data.draw(st.integers(0, len(place) - 1))
        else:
            break
        if not isinstance(place[key], dict | list) or data.draw(st.booleans()):
            place[key] = data.draw(_JSON)
            break
        place = place[key]
    check(name, json.dumps(value).encode(), True)


def check(name: str, body: bytes, later: bool) -> None:
    provider = PROVIDERS[name]
    for state in ({}, {"page": 2, "first": 36, "vqd": "4-1", "gsroffset": 50}) if later else ({},):
        try:
            got = provider.parse(body, Search(query="alps", key="KEY"), state)
        except ProviderError:
            continue
        for result in got.results:
            assert result.url.lower().startswith(("http://", "https://"))
            json.dumps(result.fields())
        if got.next is not None:
            provider.build_request(Search(query="alps", key="KEY"), got.next)
    assert isinstance(provider.explain(400, body), ProviderError)


@pytest.mark.parametrize("name", ONLINE)
@pytest.mark.parametrize("query", ["горы зимой", "雪山", "x" * 10_000, "a&b=c#d %00", "\ud800", "'; DROP TABLE --"])
def test_any_query_makes_a_request(name: str, query: str) -> None:
    provider = PROVIDERS[name]
    request = provider.build_request(Search(query=query, key="KEY"), {})
    assert request.path.startswith("/")
    assert all(isinstance(key, str) and isinstance(value, str) for key, value in request.params)


@pytest.mark.parametrize("name", ONLINE)
def test_deeply_nested_json_is_one_of_our_errors(name: str) -> None:
    with pytest.raises(ProviderError):
        PROVIDERS[name].parse(b"[" * 100_000, Search(query="alps"), {"page": 1, "vqd": "4-1"})
