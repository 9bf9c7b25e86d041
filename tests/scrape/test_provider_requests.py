"""What each provider is asked, and that no answer and no query makes one fail. Its pages: test_golden_pages.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gancli.scrape.providers import PROVIDERS
from gancli.scrape.providers.base import ProviderError, Search, State

GOLDEN = Path(__file__).parent / "golden"
ONLINE = sorted(name for name, provider in PROVIDERS.items() if not provider.is_local)


def params(provider: str, state: State | None = None, **options: Any) -> dict[str, str]:
    search = Search(**{"query": "alps", "key": "KEY", **options})
    return dict(PROVIDERS[provider].build_request(search, state or {}).params)


# ---- requests ---------------------------------------------------------------------------------------------------


def test_bing_is_asked_with_joined_filters() -> None:
    asked = params("bing", size="large", colour="red", type="photo", rule="modify", safe="strict")
    assert asked["qft"] == (
        "+filterui:imagesize-large+filterui:color2-FGcls_RED+filterui:photo-photo+filterui:license-L2_L3_L5_L6"
    )
    assert (asked["adlt"], asked["async"], asked["first"], asked["count"]) == ("strict", "1", "1", "35")
    assert "qft" not in params("bing", rule="any")


@pytest.mark.parametrize(
    ("provider", "wish", "sent"),
    [
        ("wikimedia", {"size": "large"}, ("gsrsearch", "filew:>1000")),
        ("wikimedia", {"type": "photo"}, ("gsrsearch", "filemime:image/jpeg")),
        ("wikimedia", {"min_side_px": 160}, ("gsrsearch", "filew:>159 fileh:>159")),
        ("openverse", {"size": "medium"}, ("size", "medium")),
        ("openverse", {"type": "clipart"}, ("category", "illustration")),
        ("openverse", {"safe": "off"}, ("mature", "true")),
        ("pixabay", {"colour": "teal"}, ("colors", "turquoise")),
        ("pixabay", {"colour": "grey"}, ("colors", "grayscale")),
        ("pixabay", {"type": "line"}, ("image_type", "vector")),
        ("pixabay", {"size": "large"}, ("min_width", "1000")),
        ("pixabay", {"safe": "off"}, ("safesearch", "false")),
        ("bing", {"colour": "grey"}, ("qft", "+filterui:color2-bw")),
        ("bing", {"rule": "public"}, ("qft", "+filterui:license-L1")),
        ("bing", {"rule": "commercial"}, ("qft", "+filterui:license-L2_L3")),
        ("flickr", {"safe": "strict"}, ("safe_search", "1")),
    ],
)
def test_filters_reach_the_site_in_its_own_words(provider: str, wish: dict[str, Any], sent: tuple[str, str]) -> None:
    state = {"page": 1} if provider == "flickr" else None
    assert sent[1] in params(provider, state, **wish)[sent[0]]


def test_licence_that_a_site_filtered_by_is_only_claimed() -> None:
    page = (GOLDEN / "bing/first.html").read_bytes()
    claimed = PROVIDERS["bing"].parse(page, Search(query="alps", rule="modify"), {}).results[0]
    assert (claimed.license, claimed.license_source) == ("claimed by Bing's filter 'modify'", "filter")


def test_duckduckgo_filters_have_six_slots() -> None:
    state = {"vqd": "4-1", "s": 0}
    assert params("duckduckgo", state, size="large", type="photo", colour="grey")["f"] == (
        ",size:Large,color:Monochrome,type:photo,,license:Modify"
    )
    assert not {"f", "s"} & set(params("duckduckgo", state, rule="any"))


def test_openverse_request_keeps_to_what_is_allowed_without_a_key() -> None:
    asked = params("openverse", query="x" * 500, type="photo", size="large")
    assert (asked["page"], asked["page_size"]) == ("1", "20")
    assert len(asked["q"]) <= 200
    assert (asked["category"], asked["size"]) == ("photograph", "large")
    assert set(asked["license_type"].split(",")) == {"modification"}
    assert set(params("openverse", rule="commercial")["license_type"].split(",")) == {"commercial", "modification"}
    assert set(params("openverse", rule="public")["license"].split(",")) == {"cc0", "pdm"}
    assert "license_type" not in params("openverse", rule="any")


def test_commons_is_asked_for_a_width_that_is_served() -> None:
    for near_px in (1, 160, 480, 700, 5000):
        assert params("wikimedia", near_px=near_px)["iiurlwidth"] in {
            "20", "40", "60", "120", "250", "330", "500", "960", "1280", "1920", "3840",
        }  # fmt: skip
    assert params("wikimedia")["gsrlimit"] == "50"


def test_pixabay_and_flickr_are_asked_for_full_pages_of_what_the_rule_grants() -> None:
    assert params("pixabay")["per_page"] == "200"
    assert len(params("pixabay", query="y" * 300)["q"]) <= 100
    asked = params("flickr", {"page": 1})
    assert {"4", "5", "7", "8", "9", "10", "1", "2"} <= set(asked["license"].split(","))
    assert not {"0", "3", "6"} & set(asked["license"].split(","))
    assert not {"1", "2"} & set(params("flickr", {"page": 1}, rule="commercial")["license"].split(","))
    assert (asked["format"], asked["nojsoncallback"], asked["per_page"]) == ("json", "1", "250")


# ---- whatever comes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ONLINE)
@settings(max_examples=25)
@given(data=st.binary(max_size=300), later=st.booleans())
def test_any_bytes_raise_nothing_but_our_errors(name: str, data: bytes, later: bool) -> None:
    check(name, data, later)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
_PAGES = sorted(path for path in GOLDEN.glob("*/*.json") if not path.name.endswith(".expected.json"))


@settings(max_examples=150)
@given(data=st.data())
def test_any_json_in_any_place_raises_nothing_but_our_errors(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(_PAGES))
    name = path.parent.name
    try:
        value = json.loads(path.read_bytes())
    except ValueError:  # a golden page may be cut off
        value = {}
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
