"""The small parts: licences, addresses, opt-outs, robots.txt, waiting."""

from __future__ import annotations

import ipaddress
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gancli.scrape.guard import Refused, check_address, split_url
from gancli.scrape.hosts import Hosts, host_key
from gancli.scrape.licences import allows, from_code, from_short_name, from_url
from gancli.scrape.optout import Robots, header_opt_out
from gancli.scrape.results import Result, plain_url
from gancli.scrape.retry import backoff_s, retry_after_s

# ---- licences ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("licence", "rules"),
    [
        ("CC0-1.0", "public commercial modify any"),
        ("PDM-1.0", "public commercial modify any"),
        ("Public domain", "public commercial modify any"),
        ("CC-BY-4.0", "commercial modify any"),
        ("CC-BY-SA-3.0-DE", "commercial modify any"),
        ("CC-BY-2.5", "commercial modify any"),
        ("CC-BY-SA-2.5,2.0,1.0", "commercial modify any"),
        ("Pixabay Content License", "commercial modify any"),
        ("No known copyright restrictions", "commercial modify any"),
        ("United States Government Work", "commercial modify any"),
        ("CC-BY-NC-4.0", "modify any"),
        ("CC-BY-NC-SA-2.0", "modify any"),
        ("CC-BY-ND-4.0", "any"),
        ("CC-BY-NC-ND-4.0", "any"),
        ("CC-SAMPLING+-1.0", "any"),
        ("CC-NC-1.0", "any"),
        ("GFDL", "any"),
        ("All rights reserved", "any"),
        ("claimed by Bing's filter 'modify'", "any"),
        ("CC-BY-4.0 maybe", "any"),
        ("", "any"),
        (None, "any"),
    ],
)
def test_licence_grants_what_it_says_and_no_more(licence: str | None, rules: str) -> None:
    assert {rule for rule in ("public", "commercial", "modify", "any") if allows(licence, rule)} == set(rules.split())


def test_licences_have_one_name_however_a_site_writes_them() -> None:
    assert from_code("by-sa", "2.0") == "CC-BY-SA-2.0"
    assert from_code("cc0", None) == "CC0-1.0"
    assert from_code("pdm", "1.0") == "PDM-1.0"
    assert from_short_name("CC BY-SA 3.0 de") == "CC-BY-SA-3.0-DE"
    assert from_short_name("CC0") == "CC0-1.0"
    assert from_short_name("Public domain") == "Public domain"
    assert from_short_name("GFDL") == "GFDL"
    assert from_url("https://creativecommons.org/licenses/by-nc/4.0/deed.en") == "CC-BY-NC-4.0"
    assert from_url("http://creativecommons.org/publicdomain/mark/1.0/") == "PDM-1.0"
    assert from_url("https://example.org/licenses/by/4.0/") is None


@settings(max_examples=80)
@given(st.text(max_size=60))
def test_no_text_that_names_nd_grants_derivatives(text: str) -> None:
    name = from_short_name("CC BY-ND " + text)
    assert not allows(name, "modify")


# ---- addresses --------------------------------------------------------------------------------------------------


@settings(max_examples=150)
@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_no_address_that_is_not_global_passes(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    try:
        check_address(str(address), allow_private=False)
    except Refused:
        return
    assert address.is_global
    assert not address.is_multicast


_INSIDE = ("127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0")


@pytest.mark.parametrize("inner", _INSIDE)
def test_private_address_in_any_wrapping_is_refused(inner: str) -> None:
    number = int(ipaddress.IPv4Address(inner))
    forms = [inner, f"::ffff:{inner}", f"64:ff9b::{inner}", f"::{inner}"]
    forms.append(str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80))))
    forms.append(str(ipaddress.IPv6Address((0x20010000 << 96) | (number ^ 0xFFFFFFFF))))
    for form in forms:
        with pytest.raises(Refused):
            check_address(form, allow_private=False)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fe80::1", "fd00:ec2::254", "100.100.100.200", "0.0.0.0", "::", "224.0.0.1",
                "::ffff:169.254.169.254", "168.63.129.16", "255.255.255.255"]
)  # fmt: skip
def test_metadata_and_link_local_stay_refused_when_private_is_allowed(address: str) -> None:
    with pytest.raises(Refused):
        check_address(address, allow_private=True)


def test_private_and_loopback_pass_when_allowed() -> None:
    for address in ("127.0.0.1", "127.8.8.8", "10.1.1.1", "192.168.0.1", "::1", "fd12::1", "::ffff:127.0.0.1"):
        check_address(address, allow_private=True)
    for address in ("8.8.8.8", "2606:4700::1111"):
        check_address(address, allow_private=False)


@pytest.mark.parametrize(
    "url",
    ["ftp://a/b", "file:///etc/passwd", "http://u:p@a/b", "http://u@a/", "http:///x", "http://a:99999/", "http://[::1",
     "javascript:alert(1)", "", "//a/b", "http://a:22/x", "http://a b/", "data:image/png;base64,x", "gopher://a:80/"],
)  # fmt: skip
def test_odd_addresses_are_refused(url: str) -> None:
    with pytest.raises(Refused):
        split_url(url)


@settings(max_examples=150)
@given(st.text(max_size=80))
def test_any_text_as_an_address_is_taken_or_refused(text: str) -> None:
    for url in (text, "http://" + text):
        key = plain_url(url)
        assert key == key.strip()
        assert key.isprintable()
        Result(url=url).fields()
        try:
            parts = split_url(url)
        except Refused:
            continue
        assert parts.hostname


# ---- opt-outs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (("noai",), "noai"),
        (("index, NoImageAI",), "noimageai"),
        (("noindex",), "noindex"),
        (("none",), "none"),
        (("all", "noml"), "noml"),
        (("gan: noindex",), "noindex"),
        (("googlebot: noindex",), None),
        (("googlebot: noindex, nofollow",), None),
        (("googlebot: noindex, gan: noai",), "noai"),
        (("unavailable_after: 25 Jun 2030 15:00:00 PST, noai",), "noai"),
        (("max-image-preview: large",), None),
        (("nofollow, nosnippet",), None),
        (("",), None),
    ],
)
def test_x_robots_tag_is_read_for_us_and_for_all(values: tuple[str, ...], found: str | None) -> None:
    got = header_opt_out({"x-robots-tag": values})
    assert got == (f"opt-out: X-Robots-Tag {found}" if found else None)


def test_tdm_reservation_counts_when_it_is_1() -> None:
    assert header_opt_out({"tdm-reservation": ("1",)}) == "opt-out: tdm-reservation"
    assert header_opt_out({"tdm-reservation": ("0",)}) is None


@pytest.mark.parametrize(
    ("text", "path", "allowed"),
    [
        ("User-agent: *\nDisallow: /", "/a.jpg", False),
        ("User-agent: *\nDisallow:", "/a.jpg", True),
        ("User-agent: gan\nDisallow: /a\n\nUser-agent: *\nDisallow: /", "/b.jpg", True),
        ("User-agent: *\nDisallow: /\n\nUser-agent: GAN\nAllow: /", "/b.jpg", True),
        ("User-agent: other\nUser-agent: gan\nDisallow: /x", "/x/1", False),
        ("User-agent: gan\nDisallow: /x\n\nUser-agent: gan\nDisallow: /y", "/y/1", False),
        ("User-agent: *\nDisallow: /img/\nAllow: /img/public/", "/img/public/a.jpg", True),
        ("User-agent: *\nAllow: /img/\nDisallow: /img/", "/img/a.jpg", True),
        ("User-agent: *\nDisallow: /*.gif$", "/a.gif", False),
        ("User-agent: *\nDisallow: /*.gif$", "/a.gif?x=1", True),
        ("User-agent: *\nDisallow: /a%3cd.html", "/a%3Cd.html", False),
        ("User-agent: *\nDisallow: /ツ", "/%E3%83%84", False),
        ("user-agent:*\ndisallow:/p#comment\n", "/p/1", False),
        ("Disallow: /\n", "/a", True),
        ("User-agent: *\rDisallow: /a\r", "/a", False),
        ("\ufeffUser-agent: *\nDisallow: /", "/a", False),
        ("<html>not found</html>", "/a", True),
        ("User-agent: megangan\nDisallow: /", "/a", True),
    ],
)
def test_robots_txt_is_read_as_rfc_9309_says(text: str, path: str, allowed: bool) -> None:
    robots = Robots.from_answer(200, text.encode())
    assert robots.allows("http://host.example" + path) is allowed


def test_robots_txt_that_is_missing_allows_and_that_is_broken_forbids() -> None:
    assert Robots.from_answer(404, b"User-agent: *\nDisallow: /").allows("http://a/b")
    assert Robots.from_answer(403, b"").refusal is None
    assert Robots.from_answer(503, b"").refusal == "robots.txt: HTTP 503"


@settings(max_examples=60)
@given(st.binary(max_size=300), st.text(max_size=30))
def test_any_bytes_are_a_robots_txt(data: bytes, path: str) -> None:
    assert Robots.from_answer(200, data).allows("http://a/" + path) in (True, False)


# ---- waiting ----------------------------------------------------------------------------------------------------


def test_retry_after_is_read_in_both_forms() -> None:
    assert retry_after_s("120") == 120
    later = retry_after_s(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True))
    assert later is not None
    assert 55 < later <= 60
    assert retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    for junk in ("", "soon", "-5", "1e9", "٣", "Wed, 99 Foo 2015"):
        assert retry_after_s(junk) is None


@settings(max_examples=60)
@given(st.text(max_size=60))
def test_any_text_as_retry_after_is_a_time_or_nothing(text: str) -> None:
    seconds = retry_after_s(text)
    assert seconds is None or seconds >= 0


def test_pauses_grow_and_are_bounded() -> None:
    assert all(0 <= backoff_s(tries) <= min(30, 0.5 * 2**tries) for tries in range(12) for _ in range(20))


def test_hosts_that_share_a_limit_count_as_one() -> None:
    assert host_key("upload.wikimedia.org") == host_key("thumb.wikimedia.org") == "wikimedia.org"
    assert host_key("A.Example.") == "a.example"


def test_parked_host_does_not_hold_up_the_others() -> None:
    hosts: Hosts[str] = Hosts(per_host=1)
    hosts.add("a", "a1", gap_s=0)
    assert hosts.take() == ("a", "a1")
    hosts.park("a", 30)
    hosts.done("a")
    hosts.add("a", "a2", gap_s=0)
    hosts.add("b", "b1", gap_s=0)
    assert hosts.take() == ("b", "b1")
    hosts.refused("a", "HTTP 429", for_good=True)
    assert hosts.take() == ("a", "a2")
    assert hosts.given_up("a") == "HTTP 429"


def test_no_host_ever_has_more_at_a_time_than_allowed() -> None:
    hosts: Hosts[int] = Hosts(per_host=2)
    for i in range(200):
        hosts.add(f"h{i % 5}", i, gap_s=0)
    running: dict[str, int] = {}
    most: list[int] = []
    done: list[int] = []
    lock = threading.Lock()

    def work() -> None:
        while (taken := hosts.take()) is not None:
            key, job = taken
            with lock:
                running[key] = running.get(key, 0) + 1
                most.append(running[key])
            time.sleep(0.0005)
            with lock:
                running[key] -= 1
                done.append(job)
                is_last = len(done) == 200
            hosts.done(key)
            if is_last:
                hosts.close()

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(done) == list(range(200))
    assert max(most) <= 2
