"""A list of addresses becomes a raw set that accounts for each of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gancli.errors import DataError
from gancli.manifest import FIELDS, read_manifest
from gancli.scrape import ScrapeConfig, scrape

Fetch = Callable[..., Any]


def test_each_address_has_its_outcome_and_files_are_named_by_content(site: Any, fetch: Fetch, make: Any) -> None:
    good = [site.serve(f"/{i}.jpg", make(i)) for i in range(4)]
    same = site.serve("/same.jpg", make(0))
    page = site.serve("/page.jpg", b"<!DOCTYPE html><html>" + b"x" * 2000, kind="text/html")
    broken = site.serve("/broken.jpg", make(9)[:1500])
    small = site.serve("/small.png", make(5, (20, 20), "PNG"), kind="image/png")
    gone = site.url("/gone.jpg")
    junk = "not an address"
    ran = fetch(*good, same, page, broken, small, gone, junk)

    rows = {row["url"]: row for row in read_manifest(ran.folder)}
    assert len(rows) == 10
    assert all(set(FIELDS) <= set(row) for row in rows.values())
    kept = [rows[url] for url in good]
    assert sorted([row["status"] for row in kept] + [rows[same]["status"]]) == ["dup", "ok", "ok", "ok", "ok"]
    for row in rows.values():
        if row["status"] == "ok":
            data = (ran.folder / row["file"]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == row["sha256"]
            assert row["file"] == f"images/{row['sha256'][:16]}.jpg"
            assert (row["width"], row["height"], row["bytes"]) == (200, 180, len(data))
    assert rows[page]["reason"] == "not an image (a web page)"
    assert rows[broken]["reason"] == "not an image (truncated)"
    assert rows[small]["reason"] == "too small (under 32)"
    assert (rows[gone]["status"], rows[gone]["reason"], rows[gone]["http_status"]) == ("fail", "HTTP 404", 404)
    assert rows["not%20an%20address"]["reason"] == "not an http address"
    assert ran.finished.kept == 4
    assert sorted(p.name for p in ran.folder.iterdir()) == ["CREDITS.md", "images", "manifest.jsonl"]
    assert len(list((ran.folder / "images").iterdir())) == 4


def test_second_start_asks_for_nothing_that_is_settled(site: Any, fetch: Fetch, make: Any) -> None:
    urls = [site.serve(f"/{i}.jpg", make(i % 3)) for i in range(6)]
    urls += [site.url("/gone.jpg"), site.serve("/page.jpg", b"<html>" + b"x" * 600, kind="text/html")]
    fetch(*urls)
    before = len(site.hits)
    again = fetch(*urls)
    assert len(site.hits) == before
    assert (again.finished.kept, again.finished.added) == (3, 0)
    assert again.finished.left_out["HTTP 404"] == 1


def test_count_is_exact_and_a_larger_one_tops_up(site: Any, fetch: Fetch, make: Any) -> None:
    urls = [site.url("/gone.jpg"), *(site.serve(f"/{i}.jpg", make(i)) for i in range(12))]
    first = fetch(*urls, count=5)
    assert len(list((first.folder / "images").iterdir())) == 5
    second = fetch(*urls, count=9)
    assert (second.finished.kept, second.finished.added) == (9, 4)
    assert len(list((first.folder / "images").iterdir())) == 9


def test_skip_is_tried_again_when_its_rule_has_changed(site: Any, fetch: Fetch, make: Any) -> None:
    url = site.serve("/a.jpg", make(1))
    assert fetch(url, min_side_px=500).why(url) == ("skip", "too small (under 500)")
    assert fetch(url, min_side_px=100).why(url) == ("ok", "")


def test_lost_file_is_fetched_again(site: Any, fetch: Fetch, make: Any) -> None:
    url = site.serve("/a.jpg", make(1))
    folder = fetch(url).folder
    file = next((folder / "images").iterdir())
    file.write_bytes(file.read_bytes()[:100])
    assert fetch(url).why(url) == ("ok", "")
    assert site.asked("/a.jpg") == 2


def test_list_file_of_every_form_is_read(site: Any, tmp_path: Path, make: Any) -> None:
    a, b = site.serve("/a.jpg", make(1)), site.serve("/b.jpg", make(2))
    lists = {
        "plain.txt": f"\ufeff# a comment\n\n{a}\r\n  {b}  \n".encode(),
        "table.csv": f'name,url\n"x, y",{a}\nz,{b}\n'.encode(),
        "rows.jsonl": f'{{"url": "{a}", "title": "A", "license": "CC-BY-4.0"}}\n{{"url": "{b}"}}\n'.encode(),
        "wide.txt": f"{a}\n{b}\n".encode("utf-16"),
        "junk.txt": b"\xff\xfe\x00"[:2] + f"{a}\n{b}\n".encode("utf-16-le"),
        "mixed.txt": b"\x00\x01\xff binary\n" + f"{a}\n{{broken json\n{b}\n".encode() + b"x" * 200_000,
    }
    for name, data in lists.items():
        (tmp_path / name).write_bytes(data)
        out = tmp_path / f"set-{name}"
        config = ScrapeConfig(urls=tmp_path / name, out=out, allow_private=True, min_side_px=0)
        finished = list(scrape(config))[-1]
        assert finished.kept == 2, name  # type: ignore[union-attr]


def test_missing_list_and_foreign_folder_are_clear_messages(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no list"):
        list(scrape(ScrapeConfig(urls=tmp_path / "none.txt", out=tmp_path / "set")))
    foreign = tmp_path / "photos"
    foreign.mkdir()
    (foreign / "mine.txt").write_text("x")
    with pytest.raises(DataError, match="something else"):
        list(scrape(ScrapeConfig(queries=("x",), sources=("demo",), out=foreign)))


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("images/a.jpg"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)
_ROWS = st.lists(
    st.fixed_dictionaries(
        {"url": st.sampled_from(["http://a/1", "http://a/2", "x"]), "status": st.just("ok") | _VALUES},
        optional=dict.fromkeys((*FIELDS[3:], "same", "final", "variant"), _VALUES),
    ),
    max_size=4,
)


@settings(max_examples=20)
@given(rows=_ROWS)
def test_manifest_edited_by_hand_is_topped_up(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("set")
    (folder / "images").mkdir()
    (folder / "images/a.jpg").write_bytes(b"x")
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"url": "torn')
    finished = list(scrape(ScrapeConfig(url_lines=("not an address",), out=folder, workers=1)))[-1]
    assert finished.left_out["not an http address"] == 1  # type: ignore[union-attr]
    assert (folder / "CREDITS.md").exists()


def test_two_starts_in_one_folder_do_not_meet(tmp_path: Path) -> None:
    config = ScrapeConfig(queries=("snowy",), sources=("demo",), count=1, out=tmp_path / "set")
    first = scrape(config)
    next(first)
    with pytest.raises(DataError, match="Another"):
        list(scrape(config))
    list(first)
