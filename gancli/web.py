"""The one local server, for pages that a person opens on this computer: bound to 127.0.0.1 and nothing else can use it.

A page on the web can make a browser talk to a local port, under a name of its own (DNS rebinding) or by a form. So
every request must name a local host, come from the same origin, and carry the token that was printed with the address.
A forwarded port (ssh -L) works: the host is local there as well, whatever its port.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gancli.errors import DiskError, GanError, MissingExtraError

if TYPE_CHECKING:
    from flask import Flask
    from flask.typing import ResponseReturnValue

__all__ = ["LocalServer", "create_app", "new_token", "require_web"]

_LOCAL_HOSTS = {"127.0.0.1", "localhost", "::1"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_MAX_BODY_BYTES = 4_000_000


def require_web(what: str) -> None:
    """Raises `MissingExtraError` when the web framework is not installed; to be called before any work."""
    try:
        import flask  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(what, "review") from error


def create_app(page: Path, token: str) -> Flask:
    """An application that serves the files of the folder `page` ('/' is its index.html) to who has the token.

    Routes added to it stand behind the same checks. A `GanError` in a route becomes {"error": message}, status 400
    (507 for a full disk).
    """
    from flask import Flask, jsonify, make_response, redirect, request, send_from_directory

    app = Flask("gancli", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY_BYTES
    cookie = "gan-" + hashlib.sha256(token.encode()).hexdigest()[:12]

    @app.before_request
    def check() -> ResponseReturnValue | None:
        if not _is_local(request.headers.get("Host", "")) or not _same_origin(request.headers):
            return "This page is only for this computer.", 403
        given = request.args.get("token", "")
        if given and _equal(given, token) and request.method == "GET":
            answer = make_response(redirect(request.path))
            answer.set_cookie(cookie, token, httponly=True, samesite="Strict")
            return answer
        if not _equal(request.cookies.get(cookie, ""), token):
            return "Open the address that gan printed: it carries the key to this page.", 403
        if request.method != "GET" and not request.is_json:
            return "Only JSON is taken here.", 415
        return None

    @app.after_request
    def harden(response: Any) -> Any:
        for name, value in _HEADERS.items():
            response.headers[name] = value
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    @app.errorhandler(GanError)
    def explain(error: GanError) -> ResponseReturnValue:
        return jsonify(error=str(error)), 507 if isinstance(error, DiskError) else 400

    @app.get("/")
    def index() -> ResponseReturnValue:
        return send_from_directory(page, "index.html")

    @app.get("/page/<path:name>")
    def files(name: str) -> ResponseReturnValue:
        return send_from_directory(page, name)

    return app


class LocalServer:
    """Serves an application at 127.0.0.1. Raises `GanError` when the port is taken.

    `url` carries the token. `serve` returns after `stop`, or when interrupted.
    """

    def __init__(self, app: Flask, token: str, port: int = 0) -> None:
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            def log(self, type: str, message: str, *args: Any) -> None:
                logging.getLogger(__name__).debug(message, *args)

        try:
            if not 0 <= port < 2**16:
                raise OSError("no such port")
            listening = socket.create_server(("127.0.0.1", port))
        except OSError as error:
            raise GanError(f"Port {port} is taken or not allowed. Give another with --port, or none.") from error
        self.port: int = listening.getsockname()[1]
        with listening:  # the server holds a copy
            self._server = make_server(
                "127.0.0.1", self.port, app, threaded=True, request_handler=Quiet, fd=listening.fileno()
            )
        self.url = f"http://127.0.0.1:{self.port}/?token={token}"

    def serve(self) -> None:
        """Answers requests in this thread until `stop` is called from another."""
        self._server.serve_forever(poll_interval=0.2)

    def stop(self, after_s: float = 0.0) -> None:
        """Ends `serve`, a moment later if asked, so that the last answer gets out."""

        def end() -> None:
            time.sleep(after_s)
            self._server.shutdown()

        threading.Thread(target=end, daemon=True).start()

    def close(self) -> None:
        """Frees the port."""
        self._server.server_close()


def new_token() -> str:
    """A key that cannot be guessed."""
    return secrets.token_urlsafe(24)


def _is_local(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").hostname in _LOCAL_HOSTS
    except ValueError:
        return False


def _same_origin(headers: Any) -> bool:
    """No Origin (a plain navigation) or that of the page itself; nothing that a browser says came from elsewhere."""
    if headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        return False
    origin = headers.get("Origin")
    return origin is None or origin == f"http://{headers.get('Host', '')}"


def _equal(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())
