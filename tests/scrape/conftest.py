"""A real web server on loopback addresses, each path answered by a function of the test."""

from __future__ import annotations

import io
import socketserver
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gancli.scrape import Finished, Notice, Outcome, ScrapeConfig, scrape

Route = Callable[["Handler"], None]


def picture(seed: int = 0, size: tuple[int, int] = (200, 180), kind: str = "JPEG") -> bytes:
    """A real image file, different for each seed."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (9, 10, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(small).resize(size).save(file, kind)
    return file.getvalue()


class Handler(BaseHTTPRequestHandler):
    """Answers by the server's routes; logs (host, path)."""

    protocol_version = "HTTP/1.1"
    server: Site

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        with self.server.lock:
            self.server.hits.append((self.headers.get("Host", ""), self.path))
            self.server.headers_seen.append(dict(self.headers))
        route = self.server.routes.get(path) or self.server.default
        if route is None:
            self.give(b"no such page", status=404, kind="text/plain")
        else:
            route(self)

    def give(
        self, body: bytes, *, status: int = 200, kind: str = "image/jpeg", headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


class Site(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """One server on all of 127.0.0.0/8, one port."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("0.0.0.0", 0), Handler)
        self.routes: dict[str, Route] = {}
        self.default: Route | None = None
        self.hits: list[tuple[str, str]] = []
        self.headers_seen: list[dict[str, str]] = []
        self.lock = threading.Lock()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def serve(self, path: str, body: bytes, **options: object) -> str:
        """`body` at `path`; returns its address."""
        self.routes[path] = lambda handler: handler.give(body, **options)  # type: ignore[arg-type]
        return self.url(path)

    def asked(self, path: str) -> int:
        with self.lock:
            return sum(1 for _, hit in self.hits if hit.split("?")[0] == path)

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that hangs up is what these tests are about


@pytest.fixture
def site() -> Iterator[Site]:
    server = Site()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


class Ran:
    """What a scrape of a list gave."""

    def __init__(self, folder: Path, events: list[object]) -> None:
        self.folder = folder
        self.events = events
        self.outcomes = {e.result.url: e for e in events if isinstance(e, Outcome)}
        self.notices = [e for e in events if isinstance(e, Notice)]
        self.finished = next(e for e in events if isinstance(e, Finished))

    def why(self, url: str) -> tuple[str, str]:
        outcome = self.outcomes[url]
        return outcome.status, outcome.reason


@pytest.fixture
def fetch(tmp_path: Path) -> Callable[..., Ran]:
    """Runs a scrape of addresses into tmp_path/set, private addresses allowed."""

    def run(*urls: str, **options: object) -> Ran:
        settings: dict[str, object] = {"allow_private": True, "out": tmp_path / "set", "min_side_px": 32}
        settings.update(options)
        config = ScrapeConfig(url_lines=tuple(urls), **settings)  # type: ignore[arg-type]
        return Ran(config.out or tmp_path, list(scrape(config)))

    return run


@pytest.fixture
def make() -> Callable[..., bytes]:
    """`picture`, for tests that cannot import this file."""
    return picture
