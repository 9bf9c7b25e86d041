"""What the web can send: nothing hangs beyond its limits, nothing is kept that is no picture."""

from __future__ import annotations

import gzip
import itertools
import socket
import struct
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from gancli.manifest import read_manifest

Fetch = Callable[..., Any]


def raw(*pieces: bytes, pause_s: float = 0.0, reset: bool = False) -> Callable[[Any], None]:
    """Sends bytes as they are, then closes, or resets, the connection."""

    def route(handler: Any) -> None:
        handler.close_connection = True
        try:
            for piece in pieces:
                handler.wfile.write(piece)
                handler.wfile.flush()
                if pause_s:
                    time.sleep(pause_s)
            if reset:
                handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                handler.connection.close()
        except OSError:
            pass

    return route


OK = b"HTTP/1.1 200 OK\r\n"


def test_hostile_answers_each_end_with_their_reason_in_time(site: Any, fetch: Fetch, make: Any) -> None:
    jpeg = make(1)
    length = b"Content-Length: %d\r\n" % len(jpeg)
    expected: dict[str, tuple[str, str]] = {}
    kept: list[str] = []

    def hostile(number: int, route: Callable[[Any], None], status: str = "", reason: str = "") -> None:
        site.routes[f"/{number}"] = route
        url = site.url(f"/{number}", f"127.0.1.{number}")
        if status:
            expected[url] = (status, reason)
        else:
            kept.append(url)

    def picture(number: int) -> bytes:
        return bytes(make(number))

    slow = raw(OK + length + b"\r\n", *(jpeg[i : i + 1] for i in range(200)), pause_s=0.1)
    hostile(1, slow, "fail", "timed out")
    hostile(2, raw(OK, *(b"X-%d: y\r\n" % i for i in range(90)), pause_s=0.1), "fail", "timed out")
    hostile(3, raw(OK + b"\r\n" + jpeg, *([b"\0" * 65536] * 60)), "skip", "too many bytes")
    hostile(4, raw(OK + b"Content-Length: 99999999999999999999\r\n\r\n" + jpeg), "skip", "too many bytes")
    hostile(5, raw(OK + b"Content-Length: 90000\r\n\r\n" + jpeg), "fail", "ended before its length")
    hostile(6, raw(OK + b"Content-Length: 1500\r\n\r\n" + jpeg), "fail", "not an image (truncated)")
    hostile(7, raw(OK + length + b"\r\n" + jpeg[:2000], reset=True), "fail", "connection failed")
    hostile(8, raw(OK + b"".join(b"H%d: v\r\n" % i for i in range(5000)) + b"\r\n"), "fail", "connection failed")
    hostile(9, raw(OK + b"H: " + b"v" * 200_000 + b"\r\n\r\n"), "fail", "connection failed")
    hostile(10, raw(b"\x00\xff not http at all \r\n\r\n"), "fail", "connection failed")
    hostile(11, raw(b""), "fail", "connection failed")
    hostile(12, raw(OK + b"Content-Length: 0\r\n\r\n"), "fail", "empty file")
    hostile(13, raw(b"HTTP/1.1 204 No Content\r\n\r\n"), "fail", "empty file")
    hostile(14, raw(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + jpeg), "fail", "ended before its length")
    hostile(15, raw(OK + b"Content-Encoding: br\r\n\r\nabc"), "fail", "unknown content encoding")
    hostile(16, raw(OK + b"Content-Encoding: gzip\r\n\r\nnot gzip"), "fail", "broken content encoding")
    bomb = gzip.compress(b"\xff\xd8\xff" + b"\0" * 60_000_000)
    hostile(17, raw(OK + b"Content-Encoding: gzip\r\n\r\n" + bomb), "skip", "too many bytes")
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'>" + b" " * 600 + b"</svg>"
    hostile(18, raw(OK + b"\r\n" + svg), "fail", "not an image (a drawing (svg))")
    hostile(19, raw(*([b"HTTP/1.1 100 Continue\r\n\r\n"] * 100), pause_s=0.05), "fail", "timed out")
    hostile(20, raw(OK + b"X-Robots-Tag: noai\r\n" + length + b"\r\n" + jpeg), "skip", "opt-out: X-Robots-Tag noai")
    hostile(21, raw(OK + b"tdm-reservation: 1\r\n" + length + b"\r\n" + jpeg), "skip", "opt-out: tdm-reservation")
    hostile(22, raw(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/x\r\nContent-Length: 0\r\n\r\n"),
            "skip", "link-local or reserved address")  # fmt: skip
    hostile(23, raw(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"),
            "skip", "not an http address")  # fmt: skip
    hostile(24, raw(b"HTTP/1.1 302 Found\r\nLocation: /24\r\nContent-Length: 0\r\n\r\n"), "fail", "too many redirects")
    hostile(25, raw(b"HTTP/1.1 302 Found\r\nLocation: http://user:pw@127.0.0.1/\r\nContent-Length: 0\r\n\r\n"),
            "skip", "address with a user name")  # fmt: skip
    hostile(26, raw(b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n"),
            "skip", "not an http address")  # fmt: skip
    # and what is only odd is kept
    hostile(40, raw(b"HTTP/1.0 200 OK\r\n\r\n" + picture(40)))
    hostile(41, raw(OK + b"X-Title: \xff\xfe\xe4\r\nContent-Type: \x80\r\n\r\n" + picture(41)))
    packed = gzip.compress(picture(42))
    hostile(42, raw(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed))
    hostile(43, raw(OK + b"Content-Type: text/html\r\n\r\n" + picture(43)))
    hostile(44, raw("HTTP/1.1 302 Found\r\nLocation: /gruß bild\r\nContent-Length: 0\r\n\r\n".encode()))
    site.routes["/gru%C3%9F%20bild"] = raw(OK + b"\r\n" + picture(44))
    hostile(45, raw(OK + b"X-Robots-Tag: otherbot: noai\r\n\r\n" + picture(45)))

    began = time.monotonic()
    ran = fetch(*expected, *kept, timeout_s=4.0, max_mb=1.0, workers=32)
    assert time.monotonic() - began < 60
    assert {url: ran.why(url) for url in expected} == expected
    assert {url: ran.why(url) for url in kept} == dict.fromkeys(kept, ("ok", ""))
    assert len(read_manifest(ran.folder)) == len(expected) + len(kept)
    assert len(list((ran.folder / "images").iterdir())) == len(kept)


def test_twenty_hops_are_too_many_and_five_are_not(site: Any, fetch: Fetch, make: Any) -> None:
    for i in range(20):
        to = site.url(f"/hop{i + 1}", f"127.0.0.{i + 10}")
        site.routes[f"/hop{i}"] = lambda h, to=to: h.give(b"", status=302, headers=(("Location", to),))
    site.serve("/hop20", make(1))
    ran = fetch(site.url("/hop0"), site.url("/hop15"))
    assert ran.why(site.url("/hop0")) == ("fail", "too many redirects")
    assert ran.why(site.url("/hop15")) == ("ok", "")
    assert ran.outcomes[site.url("/hop15")].final_url.endswith("/hop20")


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_waited_for(site: Any, fetch: Fetch, make: Any, form: str) -> None:
    times: list[float] = []
    jpeg = make(1)

    def route(handler: Any) -> None:
        times.append(time.monotonic())
        if len(times) > 1:
            handler.give(jpeg)
            return
        when = format_datetime(datetime.now(UTC) + timedelta(seconds=3), usegmt=True)
        handler.give(b"", status=429, headers=(("Retry-After", "2" if form == "seconds" else when),))

    site.routes["/busy.jpg"] = route
    ran = fetch(site.url("/busy.jpg"))
    assert ran.why(site.url("/busy.jpg")) == ("ok", "")
    assert ran.outcomes[site.url("/busy.jpg")].attempts == 2
    assert times[1] - times[0] >= 1.5


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests whose claim is not how long a pause is."""
    monkeypatch.setattr("gancli.scrape.download.backoff_s", lambda tries: 0.01)


@pytest.mark.usefixtures("no_pauses")
def test_server_errors_are_tried_four_times_and_again_at_the_next_start(site: Any, fetch: Fetch, make: Any) -> None:
    url = site.serve("/down.jpg", b"", status=503)
    gone = site.serve("/gone.jpg", b"", status=410)
    ran = fetch(url, gone)
    assert ran.why(url) == ("fail", "HTTP 503")
    assert (site.asked("/down.jpg"), site.asked("/gone.jpg")) == (4, 1)
    site.serve("/down.jpg", make(1))
    assert fetch(url, gone).why(url) == ("ok", "")
    assert site.asked("/gone.jpg") == 1


def test_storm_of_refusals_ends_the_host_and_not_the_run(site: Any, fetch: Fetch, make: Any) -> None:
    site.default = lambda handler: handler.give(b"", status=404 if "robots" in handler.path else 429)
    good = site.serve("/good.jpg", make(1)).replace("127.0.0.1", "127.0.0.9")
    storm = [site.url(f"/{i}", "127.0.0.2") for i in range(60)]
    began = time.monotonic()
    ran = fetch(*storm, good)
    assert time.monotonic() - began < 40
    assert ran.why(good) == ("ok", "")
    assert all(ran.why(url) == ("fail", "HTTP 429") for url in storm)
    assert sum(1 for host, _ in site.hits if host.startswith("127.0.0.2:")) < 20


def test_long_wish_to_wait_ends_the_host_at_once(site: Any, fetch: Fetch) -> None:
    site.default = lambda handler: handler.give(
        b"", status=404 if "robots" in handler.path else 429, headers=(("Retry-After", "86400"),)
    )
    began = time.monotonic()
    ran = fetch(*(site.url(f"/{i}") for i in range(20)))
    assert time.monotonic() - began < 20
    assert ran.finished.left_out == {"HTTP 429": 20}
    assert len(site.hits) <= 4


def test_robots_txt_is_kept_to_and_asked_once(site: Any, fetch: Fetch, make: Any) -> None:
    site.serve("/robots.txt", b"User-agent: *\nDisallow: /private/\nAllow: /private/open\n", kind="text/plain")
    open_, closed = site.serve("/private/open.jpg", make(1)), site.serve("/private/x.jpg", make(2))
    other = site.serve("/a.jpg", make(3))
    ran = fetch(open_, closed, other)
    assert ran.why(open_) == ran.why(other) == ("ok", "")
    assert ran.why(closed) == ("skip", "opt-out: robots.txt")
    assert (site.asked("/robots.txt"), site.asked("/private/x.jpg")) == (1, 0)
    ignoring = fetch(closed, ignore_optout=True)
    assert ignoring.why(closed) == ("ok", "")
    assert [row["url"] for row in read_manifest(ran.folder) if row.get("optout_ignored")] == [closed]


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("answer", ["broken", "redirect", "huge"])
def test_robots_txt_in_every_state(site: Any, fetch: Fetch, make: Any, answer: str) -> None:
    url = site.serve("/a.jpg", make(1))
    if answer == "broken":
        site.serve("/robots.txt", b"", status=500)
        assert fetch(url).why(url) == ("fail", "robots.txt: HTTP 500")
        assert site.asked("/a.jpg") == 0
    elif answer == "redirect":
        to = site.url("/rules", "127.0.0.3")
        site.routes["/robots.txt"] = lambda h: h.give(b"", status=301, headers=(("Location", to),))
        site.serve("/rules", b"User-agent: gan\nDisallow: /\n")
        assert fetch(url).why(url) == ("skip", "opt-out: robots.txt")
    else:
        site.serve("/robots.txt", b"User-agent: *\nDisallow: /a.jpg\n" + b"# filler\n" * 200_000)
        assert fetch(url).why(url) == ("skip", "opt-out: robots.txt")


@pytest.mark.usefixtures("no_pauses")
def test_robots_txt_that_fails_once_is_asked_again(site: Any, fetch: Fetch, make: Any) -> None:
    url = site.serve("/a.jpg", make(1))
    answers = [500, 404]
    site.routes["/robots.txt"] = lambda h: h.give(b"", status=answers.pop(0))
    assert fetch(url).why(url) == ("ok", "")
    assert site.asked("/robots.txt") == 2


def test_name_that_does_not_resolve_is_looked_up_once(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def look_up(host: str, port: int) -> list[str]:
        asked.append(host)
        return []

    monkeypatch.setattr("gancli.scrape.guard._look_up", look_up)
    urls = [f"http://gone.example/{i}.jpg" for i in range(200)]
    began = time.monotonic()
    ran = fetch(*urls)
    assert time.monotonic() - began < 20  # and not half a second each
    assert {ran.why(url) for url in urls} == {("fail", "the name does not resolve")}
    assert asked == ["gone.example"]


def test_private_addresses_are_refused_unless_allowed(site: Any, fetch: Fetch, make: Any) -> None:
    port = site.port
    site.serve("/a.jpg", make(1))
    urls = [
        f"http://127.0.0.1:{port}/a.jpg", f"http://localhost:{port}/a.jpg", f"http://2130706433:{port}/a.jpg",
        f"http://0x7f.1:{port}/a.jpg", f"http://[::ffff:127.0.0.1]:{port}/a.jpg", "http://10.0.0.1/a.jpg",
        "http://169.254.169.254/latest/meta-data", "http://0.0.0.0/a.jpg", "http://[::1]/a.jpg",
        "http://100.64.0.1/x", "http://[64:ff9b::7f00:1]/x", "http://[2002:7f00:1::]/x", "http://224.0.0.1/x",
    ]  # fmt: skip
    ran = fetch(*urls, allow_private=False)
    assert site.hits == []
    assert {ran.outcomes[url].status for url in urls} <= {"skip", "fail"}
    assert ran.why(f"http://127.0.0.1:{port}/a.jpg") == ("skip", f"port {port}")
    assert ran.why("http://10.0.0.1/a.jpg") == ("skip", "private address")
    again = fetch(*urls[:1], allow_private=True)
    assert again.why(urls[0]) == ("ok", "")


def test_name_that_changes_between_question_and_connection_gains_nothing(
    site: Any, fetch: Fetch, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the name is public when it is judged, and the connection ends at this machine all the same."""
    from gancli.scrape import guard

    site.serve("/a.jpg", make(1))
    real = socket.create_connection
    asked: list[object] = []

    def connect(address: tuple[str, int], **options: Any) -> socket.socket:
        asked.append(address)
        return real(("127.0.0.1", site.port), **options)

    monkeypatch.setattr(guard, "_look_up", lambda host, port: ["93.184.216.34"])
    monkeypatch.setattr(guard.socket, "create_connection", connect)
    ran = fetch("http://rebound.example/a.jpg", allow_private=False)
    assert asked
    assert ran.why("http://rebound.example/a.jpg") == ("skip", "private address")
    assert site.hits == []


def test_redirect_from_public_to_private_is_refused_at_the_hop(
    site: Any, fetch: Fetch, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gancli.scrape.guard import Guard

    real_check = Guard.check_peer
    monkeypatch.setattr(
        Guard, "resolve", lambda self, host, port: ["127.0.0.1"] if host == "public.example" else ["10.1.2.3"]
    )
    monkeypatch.setattr(
        Guard,
        "check_peer",
        lambda self, s, host, port: None if host == "public.example" else real_check(self, s, host, port),
    )
    real_connect = socket.create_connection
    monkeypatch.setattr(
        "gancli.scrape.guard.socket.create_connection",
        lambda address, **options: real_connect(("127.0.0.1", site.port), **options),
    )
    site.routes["/start.jpg"] = lambda h: h.give(b"", status=302, headers=(("Location", "http://inner.example/a.jpg"),))
    site.serve("/a.jpg", make(1))
    ran = fetch("http://public.example/start.jpg", allow_private=False)
    assert ran.why("http://public.example/start.jpg") == ("skip", "private address")
    assert site.asked("/a.jpg") == 0


def test_gap_and_limit_of_a_host_are_kept(site: Any, fetch: Fetch, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from gancli.scrape.guard import Guard

    monkeypatch.setattr(Guard, "is_near", lambda self, host, port: False)  # as if these hosts were far away
    running = {"now": 0, "most": 0}
    times: list[float] = []

    def route(handler: Any) -> None:
        times.append(time.monotonic())
        running["now"] += 1
        running["most"] = max(running["most"], running["now"])
        time.sleep(0.3)
        running["now"] -= 1
        handler.give(make(int(handler.path[1:])))

    for i in range(6):
        site.routes[f"/{i}"] = route
    fetch(*(site.url(f"/{i}") for i in range(6)), gap_s=0.1, per_host=2, ignore_optout=True)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert running["most"] == 2
    assert min(gaps) >= 0.05
