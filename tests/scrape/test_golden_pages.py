"""Pages as the sites send them, written from the description of the sites by someone who had not seen the parsers.

Beside each page lies NAME.expected.json: `outcome` (one, or a list of those that are right), `results` with only what
that description pins down, `has_next`, `total`, `next_request`, `may_pass`, and `why`, with the sections that decide.
`after` names the page whose `next` leads to this one; `page` the file, if another expectation shares it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import gancli.scrape  # noqa: F401  (fills the registry)
from gancli.scrape.licences import RULES, allows
from gancli.scrape.providers.base import PROVIDERS, Page, Provider, ProviderError, Search, State
from gancli.scrape.results import Result

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(GOLDEN.glob("*/*.expected.json"))
SITES = ("bing", "duckduckgo", "flickr", "openverse", "pixabay", "wikimedia")


def name_of(file: Path) -> str:
    """'bing/first' of '…/bing/first.expected.json'."""
    return f"{file.parent.name}/{file.name.removesuffix('.expected.json')}"


def load(folder: Path, name: str) -> tuple[dict[str, Any], bytes]:
    """What is expected of the page `name`, and the page."""
    expected = json.loads((folder / f"{name}.expected.json").read_text(encoding="utf-8"))
    files = [folder / expected["page"]] if "page" in expected else list(folder.glob(f"{name}.*"))
    (page,) = [file for file in files if not file.name.endswith(".expected.json")]
    return expected, page.read_bytes()


def read(folder: Path, name: str) -> Page | ProviderError:
    """The page `name` read by its provider, in the state that the pages before it lead to; or why it gives none."""
    expected, body = load(folder, name)
    provider = PROVIDERS[expected["provider"]]
    if expected["status"] >= 400:
        return provider.explain(expected["status"], body)
    state: State = {}
    if "after" in expected:
        before = read(folder, expected["after"])
        assert isinstance(before, Page), f"{expected['after']} gives no page: {before!r}"
        assert before.next is not None, f"{expected['after']} leads nowhere; it should lead to {name}"
        state = before.next
    try:
        return provider.parse(body, Search(**expected["search"]), state)
    except ProviderError as error:
        return error


def words(text: str | None) -> str | None:
    """`text` with its spaces evened out."""
    return None if text is None else " ".join(text.split())


def tightest(licence: str | None) -> str:
    """The narrowest of --license public, commercial, modify, any that lets `licence` pass."""
    return next(rule for rule in RULES if allows(licence, rule))


def look(result: Result, pin: str, wanted: Any) -> Any:
    """What `result` has where `wanted` is pinned; equal to it if all is well."""
    tried = result.addresses or (result.url,)
    if pin == "grants":
        return tightest(result.license)
    if pin == "tried_first":
        return tried[0]
    if pin == "tried":  # each of these is among the addresses that will be tried
        return wanted if set(wanted) <= set(tried) else list(tried)
    if pin == "tried_one_of":
        return wanted if set(wanted) & set(tried) else list(tried)
    if pin == "tried_only":  # and these are all that may be
        return wanted if set(wanted) >= set(tried) else list(tried)
    if pin == "tried_lacks":
        return wanted if not any(part in address for part in wanted for address in tried) else list(tried)
    if pin == "same":
        return wanted if set(wanted) <= set(result.same) else list(result.same)
    if pin.endswith(("_has", "_one_of")):
        value = getattr(result, pin.removesuffix("_has").removesuffix("_one_of"))
        right = value in wanted if pin.endswith("_one_of") else all(part in (value or "") for part in wanted)
        return wanted if right else value
    if pin == "creator":
        return words(result.creator)
    if pin == "referer":
        return (result.referer or "").rstrip("/") or None
    return getattr(result, pin)


def compare_results(results: tuple[Result, ...], wanted: list[dict[str, Any]]) -> list[str]:
    """A line for every difference between `results` and what is pinned of them."""
    found = [f"results: expected {len(wanted)}, got {len(results)}: {[r.url for r in results]}"]
    lines = found if len(results) != len(wanted) else []
    for place, (result, pins) in enumerate(zip(results, wanted, strict=False)):
        for pin, value in pins.items():
            got = look(result, pin, value)
            if got != value:
                lines.append(f"result {place} {pin}: expected {value!r}, got {got!r}")
    return lines


def compare_next(page: Page, provider: Provider, search: Search, wanted: dict[str, str | None]) -> list[str]:
    """A line for every parameter of the request for the next page that is not as `wanted` (None: not sent)."""
    if page.next is None:
        return [f"next request: expected {wanted}, got no next page"]
    sent = dict(provider.build_request(search, page.next).params)
    return [
        f"next request {key}: expected {value!r}, got {sent.get(key)!r}"
        for key, value in wanted.items()
        if sent.get(key) != value
    ]


def compare_page(page: Page, expected: dict[str, Any]) -> list[str]:
    """A line for every difference between `page` and what is pinned of it."""
    lines = compare_results(page.results, expected["results"]) if "results" in expected else []
    if "has_next" in expected and (page.next is not None) != expected["has_next"]:
        lines.append(f"has_next: expected {expected['has_next']}, got {page.next!r}")
    if "total" in expected and page.total != expected["total"]:
        lines.append(f"total: expected {expected['total']!r}, got {page.total!r}")
    if "next_request" in expected:
        provider = PROVIDERS[expected["provider"]]
        lines += compare_next(page, provider, Search(**expected["search"]), expected["next_request"])
    return lines


def compare(answer: Page | ProviderError, expected: dict[str, Any]) -> list[str]:
    """A line for every difference between `answer` and what is pinned."""
    outcome = "page" if isinstance(answer, Page) else answer.kind
    right = [expected["outcome"]] if isinstance(expected["outcome"], str) else expected["outcome"]
    if outcome not in right:
        detail = answer.results if isinstance(answer, Page) else answer
        return [f"outcome: expected {' or '.join(right)}, got {outcome} ({detail})"]
    if isinstance(answer, Page):
        return compare_page(answer, expected)
    if "may_pass" in expected and answer.may_pass != expected["may_pass"]:
        return [f"may_pass: expected {expected['may_pass']}, got {answer.may_pass}"]
    return []


@pytest.mark.parametrize("file", CASES, ids=name_of)
def test_provider_reads_this_page_as_the_site_means_it(file: Path) -> None:
    folder, name = file.parent, file.name.removesuffix(".expected.json")
    expected, _ = load(folder, name)
    differences = compare(read(folder, name), expected)
    assert not differences, "\n".join([f"{name_of(file)}: {expected['why']}", *differences])


@pytest.mark.parametrize("file", CASES, ids=name_of)
def test_nothing_from_this_page_can_hurt(file: Path) -> None:
    """No address but http(s), no size below zero, no control character in a row of the manifest."""
    answer = read(file.parent, file.name.removesuffix(".expected.json"))
    if isinstance(answer, ProviderError):
        assert str(answer).isprintable()
        return
    for result in answer.results:
        addresses = (result.url, *result.addresses, result.page_url, result.license_url, result.referer)
        assert all(a is None or a.lower().startswith(("https://", "http://")) for a in addresses), addresses
        assert all(side is None or 0 <= side <= 10**9 for side in (result.width, result.height)), result
        assert all(str(value).isprintable() for value in result.fields().values()), result.fields()
        assert json.dumps(result.fields(), ensure_ascii=False).encode()


def test_every_site_has_its_golden_pages() -> None:
    assert {file.parent.name for file in CASES} == set(SITES)
    assert all(file.stat().st_size < 30_000 for file in GOLDEN.glob("*/*"))
