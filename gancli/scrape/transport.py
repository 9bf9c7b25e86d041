"""Connections that only ever lead to a judged peer, and say which socket they use."""

from __future__ import annotations

import functools
import os
import socket
import ssl
from collections.abc import Callable
from typing import Any

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from gancli.scrape.guard import Guard

__all__ = ["CONNECT_TIMEOUT_S", "make_pool"]

CONNECT_TIMEOUT_S = 5.0


def make_pool(guard: Guard, note_socket: Callable[[socket.socket | None], None], per_host: int) -> urllib3.PoolManager:
    """A pool whose connections go through the guard. Proxies of the environment are not used: they hide the peer."""

    def open_socket(connection: HTTPConnection) -> socket.socket:
        timeout = connection.timeout
        seconds = float(timeout) if isinstance(timeout, int | float) else CONNECT_TIMEOUT_S
        sock = guard.connect(connection.host, connection.port or 80, min(seconds, CONNECT_TIMEOUT_S))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        note_socket(sock)
        return sock

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return open_socket(self)

        def request(self, *args: Any, **options: Any) -> None:
            note_socket(self.sock)
            super().request(*args, **options)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return open_socket(self)

        def request(self, *args: Any, **options: Any) -> None:
            note_socket(self.sock)
            super().request(*args, **options)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or certifi.where()
    context = _trust(bundle if os.path.isfile(bundle) else None)
    pool = urllib3.PoolManager(num_pools=64, maxsize=per_host, block=False, ssl_context=context)
    pool.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
    return pool


@functools.cache
def _trust(bundle: str | None) -> ssl.SSLContext:
    """Who is believed to be who they say. Reading the certificates takes a fifth of a second, so it is done once."""
    return ssl.create_default_context(cafile=bundle)
