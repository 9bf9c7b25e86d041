"""A transfer that stopped half-way goes on where it stopped, and never becomes a file that nobody sent."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gancli.manifest import read_manifest
from gancli.scrape import ScrapeConfig, scrape
from gancli.scrape.piece import Parts
from gancli.scrape.transfer import missing_bytes, strong_validator

Fetch = Callable[..., Any]
OLD = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gancli.scrape.download.backoff_s", lambda tries: 0.01)


class Server:
    """One file that breaks off, as often as asked, and honours ranges as told."""

    def __init__(self, site: Any, body: bytes, *, breaks: int, at: int, headers: tuple[tuple[str, str], ...]) -> None:
        self.body, self.breaks, self.at, self.headers = body, breaks, at, headers
        self.honours = True
        self.asked: list[tuple[str | None, str | None]] = []
        self.sent = 0
        site.routes["/a.jpg"] = self.answer

    def answer(self, handler: Any) -> None:
        wish, condition = handler.headers.get("Range"), handler.headers.get("If-Range")
        self.asked.append((wish, condition))
        start = 0
        if wish and self.honours and condition in [value for _, value in self.headers]:
            start = int(wish.removeprefix("bytes=").rstrip("-"))
        if start >= len(self.body):
            handler.give(b"", status=416)
            return
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.body) - 1}/{len(self.body)}")
        for name, value in self.headers:
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(self.body) - start))
        handler.end_headers()
        rest = self.body[start : self.at] if self.breaks else self.body[start:]
        handler.wfile.write(rest)
        self.sent += len(rest)
        if self.breaks:
            self.breaks -= 1
            handler.close_connection = True


@pytest.mark.parametrize("header", [("ETag", '"v1"'), ("Last-Modified", OLD)])
def test_rest_of_a_file_is_asked_for_where_the_server_named_it(
    site: Any, fetch: Fetch, make: Any, header: tuple[str, str]
) -> None:
    jpeg = make(1, (600, 500))
    server = Server(site, jpeg, breaks=2, at=3000, headers=(header,))
    ran = fetch(site.url("/a.jpg"))
    assert ran.why(site.url("/a.jpg")) == ("ok", "")
    assert server.asked[0] == (None, None)
    assert server.asked[1] == ("bytes=3000-", header[1])
    assert server.sent == len(jpeg)
    row = read_manifest(ran.folder)[0]
    assert (row["sha256"], row["bytes"]) == (hashlib.sha256(jpeg).hexdigest(), len(jpeg))
    assert (ran.folder / row["file"]).read_bytes() == jpeg
    assert sorted(p.name for p in ran.folder.iterdir()) == ["CREDITS.md", "images", "manifest.jsonl"]


@pytest.mark.parametrize("headers", [(), (("ETag", 'W/"v1"'),), (("ETag", '"v1"'), ("Accept-Ranges", "none"))])
def test_without_a_strong_validator_it_begins_again(
    site: Any, fetch: Fetch, make: Any, headers: tuple[tuple[str, str], ...]
) -> None:
    server = Server(site, make(1, (600, 500)), breaks=1, at=3000, headers=headers)
    assert fetch(site.url("/a.jpg")).why(site.url("/a.jpg")) == ("ok", "")
    assert server.asked == [(None, None), (None, None)]


def test_server_that_ignores_the_range_begins_again(site: Any, fetch: Fetch, make: Any) -> None:
    jpeg = make(1, (600, 500))
    server = Server(site, jpeg, breaks=1, at=3000, headers=(("ETag", '"v1"'),))
    server.honours = False
    ran = fetch(site.url("/a.jpg"))
    assert server.asked[1][0] == "bytes=3000-"
    assert read_manifest(ran.folder)[0]["sha256"] == hashlib.sha256(jpeg).hexdigest()


def test_file_that_changed_meanwhile_is_never_put_together_from_both(site: Any, fetch: Fetch, make: Any) -> None:
    old, new = make(1, (600, 500)), make(2, (500, 600))
    server = Server(site, old, breaks=1, at=3000, headers=(("ETag", '"v1"'),))

    def answer(handler: Any) -> None:
        if server.asked:
            server.body, server.headers = new, (("ETag", '"v2"'),)
        server.answer(handler)

    site.routes["/a.jpg"] = answer
    ran = fetch(site.url("/a.jpg"))
    assert read_manifest(ran.folder)[0]["sha256"] == hashlib.sha256(new).hexdigest()


@pytest.mark.parametrize(
    "lie",
    [
        {"Content-Range": "bytes 2999-{last}/{size}"},
        {"Content-Range": "bytes 3000-{last}/{size}", "ETag": '"v2"'},
        {"Content-Range": "bytes 3000-3001/{size}"},
        {"Content-Range": "3000-{last}"},
        {"Content-Range": "bytes 3000-{last}/{size}", "Content-Encoding": "gzip"},
        {},
    ],
)
def test_rest_that_is_not_the_rest_is_thrown_away(site: Any, fetch: Fetch, make: Any, lie: dict[str, str]) -> None:
    jpeg = make(1, (600, 500))
    server = Server(site, jpeg, breaks=1, at=3000, headers=(("ETag", '"v1"'),))

    def answer(handler: Any) -> None:
        if handler.headers.get("Range") is None:
            server.answer(handler)
            return
        server.asked.append((handler.headers["Range"], None))
        values = {name: text.format(last=len(jpeg) - 1, size=len(jpeg)) for name, text in lie.items()}
        handler.give(b"\xff" * (len(jpeg) - 3000), status=206, headers=tuple(values.items()))

    site.routes["/a.jpg"] = answer
    ran = fetch(site.url("/a.jpg"))
    assert [wish for wish, _ in server.asked] == [None, "bytes=3000-", None]
    assert read_manifest(ran.folder)[0]["sha256"] == hashlib.sha256(jpeg).hexdigest()


def test_part_that_nobody_asked_for_is_kept_only_if_it_is_all(site: Any, fetch: Fetch, make: Any) -> None:
    jpeg = make(1)
    size = len(jpeg)
    site.serve("/all.jpg", jpeg, status=206, headers=(("Content-Range", f"bytes 0-{size - 1}/{size}"),))
    site.serve("/some.jpg", jpeg, status=206, headers=(("Content-Range", f"bytes 0-{size - 1}/{size + 9}"),))
    ran = fetch(site.url("/all.jpg"), site.url("/some.jpg"))
    assert ran.why(site.url("/all.jpg")) == ("ok", "")
    assert ran.why(site.url("/some.jpg")) == ("fail", "only a part of the file")


def test_rest_longer_than_announced_is_thrown_away(site: Any, fetch: Fetch, make: Any) -> None:
    jpeg = make(1, (600, 500))
    server = Server(site, jpeg, breaks=1, at=3000, headers=(("ETag", '"v1"'),))

    def answer(handler: Any) -> None:
        if handler.headers.get("Range") is None:
            server.answer(handler)
            return
        server.asked.append((handler.headers["Range"], None))
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 3000-{len(jpeg) - 1}/{len(jpeg)}")
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(jpeg[3000:] + b"more")

    site.routes["/a.jpg"] = answer
    ran = fetch(site.url("/a.jpg"))
    assert [wish for wish, _ in server.asked] == [None, "bytes=3000-", None]
    assert read_manifest(ran.folder)[0]["sha256"] == hashlib.sha256(jpeg).hexdigest()


def test_file_that_shrank_is_asked_for_anew(site: Any, fetch: Fetch, make: Any) -> None:
    jpeg = make(1, (600, 500))
    server = Server(site, jpeg + b"\0" * 9000, breaks=1, at=len(jpeg) + 500, headers=(("ETag", '"v1"'),))

    def answer(handler: Any) -> None:
        if server.asked:
            server.body = jpeg
        server.answer(handler)

    site.routes["/a.jpg"] = answer
    ran = fetch(site.url("/a.jpg"))
    assert [wish is None for wish, _ in server.asked] == [True, False, True]
    assert read_manifest(ran.folder)[0]["sha256"] == hashlib.sha256(jpeg).hexdigest()


def test_opt_out_on_the_rest_counts(site: Any, fetch: Fetch, make: Any) -> None:
    server = Server(site, make(1, (600, 500)), breaks=1, at=3000, headers=(("ETag", '"v1"'),))

    def answer(handler: Any) -> None:
        if server.asked:
            server.headers = (*server.headers, ("X-Robots-Tag", "noai"))
        server.answer(handler)

    site.routes["/a.jpg"] = answer
    ran = fetch(site.url("/a.jpg"))
    assert ran.why(site.url("/a.jpg")) == ("skip", "opt-out: X-Robots-Tag noai")
    assert not (ran.folder / ".parts").exists()


def test_pieces_together_are_held_to_the_byte_cap(site: Any, fetch: Fetch, make: Any) -> None:
    jpeg = make(1, (600, 500))
    Server(site, jpeg + b"\0" * 100_000, breaks=1, at=60_000, headers=(("ETag", '"v1"'),))
    ran = fetch(site.url("/a.jpg"), max_mb=0.08)
    assert ran.why(site.url("/a.jpg"))[1] == "too many bytes"


def test_next_start_goes_on_where_the_last_one_gave_up(site: Any, fetch: Fetch, make: Any) -> None:
    jpeg = make(1, (600, 500))
    server = Server(site, jpeg, breaks=4, at=3000, headers=(("ETag", '"v1"'),))
    first = fetch(site.url("/a.jpg"))
    assert first.outcomes[site.url("/a.jpg")].status == "fail"
    assert list((first.folder / "images").iterdir()) == []
    assert fetch(site.url("/a.jpg")).why(site.url("/a.jpg")) == ("ok", "")
    assert server.asked[-1][0] == "bytes=3000-"
    assert server.sent == len(jpeg)
    assert not (first.folder / ".parts").exists()


def test_interrupted_transfer_goes_on_at_the_next_start(site: Any, fetch: Fetch, make: Any, tmp_path: Path) -> None:
    jpeg = make(1, (600, 500))
    server = Server(site, jpeg, breaks=0, at=0, headers=(("ETag", '"v1"'),))
    has_begun = threading.Event()

    def drip(handler: Any) -> None:
        if server.asked:
            server.answer(handler)
            return
        server.asked.append((None, None))
        handler.send_response(200)
        handler.send_header("ETag", '"v1"')
        handler.send_header("Content-Length", str(len(jpeg)))
        handler.end_headers()
        handler.wfile.write(jpeg[:3000])
        has_begun.set()
        time.sleep(3)
        handler.close_connection = True

    site.routes["/a.jpg"] = drip
    urls = (site.url("/gone.jpg"), site.url("/a.jpg"))
    stream = scrape(ScrapeConfig(url_lines=urls, allow_private=True, out=tmp_path / "set", min_side_px=32))
    next(stream)
    next(stream)
    assert has_begun.wait(10)
    time.sleep(0.3)
    stream.close()  # type: ignore[attr-defined]
    assert fetch(*urls).why(site.url("/a.jpg")) == ("ok", "")
    assert server.asked[-1][0] == "bytes=3000-"


@pytest.mark.parametrize("harm", ["other bytes", "fewer bytes", "no mark", "a torn mark"])
def test_piece_that_was_harmed_meanwhile_is_not_continued(site: Any, fetch: Fetch, make: Any, harm: str) -> None:
    jpeg = make(1, (600, 500))
    server = Server(site, jpeg, breaks=4, at=3000, headers=(("ETag", '"v1"'),))
    folder = fetch(site.url("/a.jpg")).folder
    (part,), (mark,) = (folder / ".parts").glob("*.part"), (folder / ".parts").glob("*.mark")
    if harm == "other bytes":
        part.write_bytes(b"\0" * part.stat().st_size)
    elif harm == "fewer bytes":
        part.write_bytes(part.read_bytes()[:100])
    elif harm == "no mark":
        mark.unlink()
    else:
        mark.write_bytes(mark.read_bytes()[:20])
    fetch(site.url("/a.jpg"))
    assert server.asked[-1][0] is None
    assert read_manifest(folder)[0]["sha256"] == hashlib.sha256(jpeg).hexdigest()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9 on Windows")
def test_large_file_survives_kill_9_half_way(site: Any, make: Any, tmp_path: Path) -> None:
    body = make(1) + bytes(9_000_000)
    starts: list[int] = []

    def route(handler: Any) -> None:
        wish = handler.headers.get("Range")
        start = int(wish.removeprefix("bytes=").rstrip("-")) if wish else 0
        starts.append(start)
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        handler.send_header("ETag", '"v1"')
        handler.send_header("Content-Length", str(len(body) - start))
        handler.end_headers()
        handler.wfile.write(body[start:6_000_000] if len(starts) == 1 else body[start:])
        if len(starts) == 1:
            handler.wfile.flush()
            time.sleep(5)
            handler.close_connection = True

    site.routes["/a.jpg"] = route
    (tmp_path / "list.txt").write_text(site.url("/a.jpg"))
    command = [sys.executable, "-m", "gancli", "scrape", "--urls", "list.txt", "--allow-private", "-o", "set", "-q"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    parts, deadline = tmp_path / "set/.parts", time.monotonic() + 30
    while time.monotonic() < deadline and not any(p.stat().st_size > 5_000_000 for p in parts.glob("*.part")):
        time.sleep(0.02)
    process.kill()
    process.wait()
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"set\n"), done.stderr.decode()
    assert starts[0] == 0
    assert 3_000_000 < starts[1] <= 6_000_000
    row = read_manifest(tmp_path / "set")[0]
    assert row["sha256"] == hashlib.sha256(body).hexdigest()
    assert (tmp_path / "set" / row["file"]).read_bytes() == body


def test_what_rests_is_bounded_and_ages(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "parts")
    for i in range(40):
        with parts.piece(f"http://a/{i}") as piece:
            piece.write(b"x")
            piece.validator, piece.stays = '"v"', True
    assert len(list((tmp_path / "parts").glob("*.part"))) == 32
    with Parts(tmp_path / "parts").piece("http://a/39") as piece:
        assert piece.size == 1
    with Parts(tmp_path / "parts").piece("http://a/0") as piece:
        assert piece.size == 0
    (tmp_path / "parts/stray.part").write_bytes(b"x")
    (tmp_path / "parts/stray.mark").write_bytes(b"[]")
    Parts(tmp_path / "parts")
    assert len(list((tmp_path / "parts").iterdir())) == 2 * 31


def test_same_address_on_two_ways_is_not_written_twice_into_one_piece(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "parts")
    with parts.piece("http://a/1") as one, parts.piece("http://a/1") as other:
        assert one.path != other.path


def test_validators_are_strong_ones_only() -> None:
    def of(**headers: str) -> str | None:
        return strong_validator({name.replace("_", "-"): (value,) for name, value in headers.items()})

    assert of(etag='"a"') == '"a"'
    assert of(etag='W/"a"', last_modified=OLD, date="Thu, 22 Oct 2015 07:28:00 GMT") is None
    assert of(last_modified=OLD, date="Wed, 21 Oct 2015 07:28:01 GMT") == OLD
    assert of(last_modified=OLD, date=OLD) is None
    assert of(last_modified=OLD) is None
    assert of(etag='"a"', content_encoding="gzip") is None
    assert of(etag='"a\r\n"') is None
    assert missing_bytes({"content-range": ("bytes 5-9/10",)}, 5, '"a"') == 5
    assert missing_bytes({"content-range": ("bytes 5-9/*",)}, 5, '"a"') == 5
    assert missing_bytes({"content-range": ("bytes 5-8/10",)}, 5, '"a"') is None
    assert missing_bytes({"content-range": ("bytes 5-9/10", "bytes 5-9/10")}, 5, '"a"') is None
