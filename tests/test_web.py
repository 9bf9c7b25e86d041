"""Claims about the local server of the review and explore pages."""

from __future__ import annotations

import socket
import threading
import urllib.request
from pathlib import Path

import pytest

from gancli.errors import GanError

pytest.importorskip("flask", reason="needs the review extra")

from gancli.web import LocalServer, create_app, new_token


@pytest.fixture
def page(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text("<p>here</p>")
    return tmp_path


def test_a_taken_port_is_one_clear_message(page: Path, capfd: pytest.CaptureFixture[str]) -> None:
    app = create_app(page, token := new_token())
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(GanError, match="is taken"):
        LocalServer(app, token, other.getsockname()[1])
    assert capfd.readouterr() == ("", "")


def test_a_port_that_is_none_is_refused(page: Path) -> None:
    with pytest.raises(GanError, match="Port 70000"):
        LocalServer(create_app(page, "t"), "t", 70_000)


def test_the_server_answers_at_its_address_until_it_is_stopped(page: Path) -> None:
    server = LocalServer(create_app(page, token := new_token()), token)
    thread = threading.Thread(target=server.serve)
    thread.start()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    try:
        with browser.open(server.url) as answer:
            assert answer.read() == b"<p>here</p>"
    finally:
        server.stop()
        thread.join()
        server.close()
    with pytest.raises(OSError):
        browser.open(server.url)
