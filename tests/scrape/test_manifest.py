"""The manifest: a journal that survives anything, and credits that nothing can break out of."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gancli.errors import DiskError
from gancli.manifest import FIELDS, Journal, new_row, read_manifest, write_credits


def test_last_row_of_an_address_counts(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append(new_row(url="http://a/1", status="fail", reason="timed out"))
        journal.append(new_row(url="http://a/2", status="ok"))
        journal.append(new_row(url="http://a/1", status="ok"))
    rows = read_manifest(tmp_path)
    assert [(row["url"], row["status"]) for row in rows] == [("http://a/1", "ok"), ("http://a/2", "ok")]
    assert rows.broken == 0
    assert set(FIELDS) == set(rows[0])


def test_torn_line_is_counted_and_does_not_swallow_the_next(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(b'{"url": "http://a/1", "status": "ok"}\n{"url": "http://a/2", "sta')
    with Journal(tmp_path) as journal:
        journal.append(new_row(url="http://a/3", status="ok"))
    rows = read_manifest(tmp_path)
    assert [row["url"] for row in rows] == ["http://a/1", "http://a/3"]
    assert rows.broken == 1


def test_rows_of_many_threads_stay_whole(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:

        def write(number: int) -> None:
            for i in range(50):
                journal.append(new_row(url=f"http://a/{number}/{i}", title="x" * 2000))

        threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    rows = read_manifest(tmp_path)
    assert len(rows) == 400
    assert rows.broken == 0


def test_folder_without_manifest_has_no_rows(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) == []


def test_manifest_that_cannot_be_opened_is_one_clear_message(tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").mkdir()
    with pytest.raises(DiskError, match="manifest"):
        Journal(tmp_path)


@settings(max_examples=60)
@given(st.binary(max_size=400))
def test_any_bytes_are_readable_as_a_manifest(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "manifest.jsonl").write_bytes(data)
    rows = read_manifest(folder)
    assert all(isinstance(row["url"], str) for row in rows)


def test_credits_name_each_kept_picture_and_escape_what_comes_from_outside(tmp_path: Path) -> None:
    rows = [
        new_row(
            status="ok",
            url="https://x/1.jpg",
            page_url="https://x/page> [evil](javascript:alert(1))",
            title="<script>alert(1)</script> [/x] \x1b[31mred",
            creator="*A* `B`",
            license="CC-BY-4.0",
            license_url="https://creativecommons.org/licenses/by/4.0/",
            license_source="api",
            file="images/0123456789abcdef.jpg",
        ),
        new_row(status="fail", url="https://x/2.jpg", title="not kept"),
        new_row(status="ok", url="javascript:alert(1)", license="CC0-1.0", file="images/fedcba.png"),
    ]
    text = write_credits(tmp_path, rows).read_text(encoding="utf-8")
    assert "not kept" not in text
    assert "<script>" not in text
    assert "\x1b" not in text
    assert "javascript:alert" not in text.replace("https://x/page%3E%20[evil](javascript:alert(1))", "")
    assert "CC\\-BY\\-4.0" in text
    assert "https://creativecommons.org/licenses/by/4.0/" in text
    assert text.index("CC\\-BY") < text.index("CC0")


def test_rows_are_one_json_object_a_line(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append(new_row(url="http://a/\ud800", title="line\nbreak"))
    lines = (tmp_path / "manifest.jsonl").read_bytes().splitlines()
    assert len(lines) == 1
    assert json.loads(lines[0])["title"] == "line\nbreak"
