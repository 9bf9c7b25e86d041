"""Claims about the review page, in a real Chromium, and about who may talk to its server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from curate_plants import noise
from PIL import ImageOps

ROOT = Path(__file__).resolve().parents[2]
BROWSER_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


class Running:
    """`gan curate --review` as a person starts it."""

    def __init__(self, folder: Path, *more: str) -> None:
        command = [sys.executable, "-m", "gancli", "curate", str(folder), "--size", "48", "--review", "--no-browser"]
        self.process = subprocess.Popen(
            [*command, *more],
            cwd=folder.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.url = ""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if found := re.search(r"Review: (http://\S+)", line):
                self.url = found[1]
                break
        assert self.url, self.process.wait()

    def end(self) -> str:
        assert self.process.stderr is not None
        assert self.process.stdout is not None
        said = self.process.stderr.read()
        out = self.process.stdout.read()
        assert self.process.wait(timeout=120) == 0, said
        return str(out).strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(12):
        noise(seed, 96, 96).save(folder / f"{seed:02d}.png")
    ImageOps.mirror(noise(3, 96, 96)).resize((64, 64)).save(folder / "copy.png")
    noise(5, 96, 96).resize((64, 64)).save(folder / "small.png")
    return folder


@pytest.fixture
def server(photos: Path) -> Iterator[Running]:
    pytest.importorskip("flask")
    running = Running(photos)
    yield running
    running.kill()


def ask(url: str, *, cookie: str = "", body: object = None, **headers: str) -> tuple[int, str, Any]:
    request = urllib.request.Request(url, data=None if body is None else json.dumps(body).encode())
    if body is not None:
        request.add_header("Content-Type", "application/json")
    if cookie:
        request.add_header("Cookie", cookie)
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    try:
        with urllib.request.build_opener(Stay).open(request, timeout=30) as answer:
            return answer.status, answer.read().decode("utf-8", "replace"), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode("utf-8", "replace"), error.headers


def test_only_this_computer_with_the_token_and_the_same_origin_gets_in(server: Running, photos: Path) -> None:
    base, token = server.url.split("/?token=")
    assert base.startswith("http://127.0.0.1:")
    status, _, headers = ask(server.url)
    assert status == 302
    assert "HttpOnly" in headers["Set-Cookie"]
    assert "SameSite=Strict" in headers["Set-Cookie"]
    cookie = headers["Set-Cookie"].split(";")[0]
    status, text, headers = ask(base + "/api/items", cookie=cookie)
    assert status == 200
    assert len(json.loads(text)["items"]) == 14
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    change = {"changes": [{"id": 0, "set": {"decision": "reject"}}]}
    for refused in (
        ask(base + "/api/items"),
        ask(base + "/?token=wrong"),
        ask(base + "/thumb/0"),
        ask(base + "/api/items", cookie=cookie, Host="evil.example"),
        ask(base + "/api/items", cookie=cookie, Host="evil.example:80"),
        ask(base + "/api/decide", cookie=cookie, body=change, Origin="http://evil.example"),
        ask(base + "/api/decide", cookie=cookie, body=change, Origin="null"),
        ask(base + "/api/decide", cookie=cookie, body=change, Sec_Fetch_Site="cross-site"),
        ask(base + "/api/decide", body=change),
    ):
        assert refused[0] == 403
        assert token not in refused[1]
    assert not (photos.parent / "photos-48" / "review.jsonl").exists()
    host = base.removeprefix("http://").replace("127.0.0.1", "localhost")
    forwarded = re.sub(r"\d+$", "9000", host)
    assert ask(base + "/api/items", cookie=cookie, Host=forwarded, Origin=f"http://{forwarded}")[0] == 200


def test_what_is_no_decision_is_refused_and_nothing_is_written(server: Running, photos: Path) -> None:
    base = server.url.split("/?")[0]
    cookie = ask(server.url)[2]["Set-Cookie"].split(";")[0]
    for changes in (
        None,
        [],
        [{"id": 999, "set": {"flip": True}}],
        [{"id": 0, "set": {"decision": "burn"}}],
        [{"id": 0}],
        [{"id": 0, "set": {"crop": [0.5, 0, 0.2, 1]}}],
        [{"id": 0, "set": {"crop": [0, 0, 1e9, 1]}}],
        [{"id": 0, "set": {"flip": True}}, {"id": 0, "set": {"path": "/etc/passwd"}}],
    ):
        status, text, _ = ask(base + "/api/decide", cookie=cookie, body={"changes": changes})
        assert status == 400
        assert json.loads(text)["error"]
    assert ask(base + "/thumb/999", cookie=cookie)[0] == 400
    assert ask(base + "/thumb/0?crop=nan,0,1,1", cookie=cookie)[0] == 400
    assert ask(base + "/page/../review.py", cookie=cookie)[0] == 404
    assert ask(base + "/page/%2e%2e/review.py", cookie=cookie)[0] == 404
    assert not (photos.parent / "photos-48" / "review.jsonl").exists()


@pytest.fixture
def page(server: Running) -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium here")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=BROWSER_FLAGS)
        page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        page.set_default_timeout(60_000)
        open_page(page, server.url)
        yield page
        browser.close()


def open_page(page: Any, url: str) -> None:
    page.goto(url)
    page.wait_for_selector("html[data-ready=yes]")


def journal(photos: Path) -> list[dict[str, Any]]:
    path = photos.parent / "photos-48" / "review.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def until(page: Any, expression: str) -> None:
    """Waits for a JavaScript expression; `wait_for_function` would need the eval that the page forbids."""
    deadline = time.monotonic() + 60
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(50)


def wait_saved(page: Any) -> None:
    until(page, "document.getElementById('saved').textContent === 'all saved'")


@pytest.mark.browser
def test_a_review_by_keyboard_reaches_the_set(server: Running, page: Any, photos: Path) -> None:
    page.get_by_role("radio", name=re.compile("^All")).click()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Home")
    for key in ("x", "ArrowRight", "f", "ArrowRight", "x", "u", "ArrowRight"):
        page.keyboard.press(key)
    page.keyboard.press("c")
    page.wait_for_selector("#crop-box[open]")
    for key in ("-", "-", "-", "-", "ArrowLeft", "ArrowLeft", "Enter"):
        page.keyboard.press(key)
    page.keyboard.press("l")
    page.keyboard.type("peaks")
    page.keyboard.press("Enter")
    deadline = time.monotonic() + 60
    while len(journal(photos)) < 6 and time.monotonic() < deadline:
        page.wait_for_timeout(100)
    rows = [row["set"] for row in journal(photos)]
    assert rows[:4] == [{"decision": "reject"}, {"flip": True}, {"decision": "reject"}, {"decision": None}]
    assert set(rows[4]) == {"crop"}
    assert rows[5] == {"label": "peaks"}
    page.close()
    time.sleep(0.2)
    again = page.context.new_page()
    open_page(again, server.url)
    again.get_by_role("radio", name=re.compile("^Rejected")).click()
    assert again.locator(".cell").count() == 1
    again.get_by_role("button", name="Finish").click()
    again.locator("#finish-box").get_by_role("button", name="Finish").click()
    again.wait_for_selector(".ended")
    assert Path(server.end()).name == "photos-48"
    manifest = [json.loads(line) for line in (photos.parent / "photos-48" / "manifest.jsonl").read_text().splitlines()]
    by_name = {row["source"]: row for row in manifest}
    assert by_name["00.png"]["reason"] == "rejected by you"
    assert by_name["01.png"]["flipped"] is True
    assert by_name["02.png"]["status"] == "ok"
    assert by_name["03.png"]["label"] == "peaks"
    assert by_name["03.png"]["crop"] is not None


@pytest.mark.browser
def test_another_copy_can_be_chosen_and_the_server_may_die(server: Running, page: Any, photos: Path) -> None:
    page.get_by_role("radio", name=re.compile("^Copies")).click()
    assert page.locator(".head").count() == 2
    assert "stays" in page.locator(".cell").nth(0).inner_text()
    page.locator(".cell").nth(1).click()
    page.keyboard.press("k")
    wait_saved(page)
    server.kill()
    page.keyboard.press("g")
    page.keyboard.press("x")
    until(page, "document.getElementById('saved').classList.contains('failed')")
    kept = journal(photos)
    assert [row["set"] for row in kept] == [{"decision": "keep"}]
    again = Running(photos)
    manifest = [json.loads(line) for line in (photos.parent / "photos-48" / "manifest.jsonl").read_text().splitlines()]
    again.kill()
    chosen = next(row for row in manifest if row["sha256"] == kept[0]["sha256"])
    assert (chosen["source"], chosen["status"]) == ("copy.png", "ok")
    assert next(row for row in manifest if row["source"] == "03.png")["duplicate_of"] == "copy.png"


@pytest.mark.browser
def test_the_page_speaks_to_a_screen_reader_and_explains_its_keys(page: Any) -> None:
    page.keyboard.press("?")
    assert page.locator("#help-box").is_visible()
    page.keyboard.press("Escape")
    page.get_by_role("radio", name=re.compile("^All")).click()
    page.locator(".cell").first.click()
    cell = page.locator(".cell[aria-selected=true]")
    assert cell.get_attribute("role") == "gridcell"
    assert re.match(r"\d+, \d\d\.png, stays", cell.get_attribute("aria-label"))
    page.keyboard.press("x")
    assert "rejected" in page.locator("#live").inner_text()
    assert "rejected" in cell.get_attribute("aria-label")
    assert page.evaluate("document.activeElement.className").startswith("cell")
    page.keyboard.press("/")
    page.keyboard.type("07")
    until(page, "document.querySelectorAll('.cell').length === 1")
