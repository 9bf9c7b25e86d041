"""Addresses that come from a search are untrusted: where they may lead, and the check that they led there.

The name is resolved once, every address it has is judged, the connection goes to a judged address, and the peer
that answered is judged again; so a name that changes between two questions (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
import time
from urllib.parse import SplitResult, urlsplit

__all__ = ["UNKNOWN_NAME", "Guard", "Refused", "Unreachable", "check_address", "split_url"]

UNKNOWN_NAME = "the name does not resolve"  # for a minute nobody is asked again, so that trying again is no use

_IP = ipaddress.IPv4Address | ipaddress.IPv6Address

_ALWAYS_REFUSED = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "169.254.0.0/16",  # link-local, and the metadata service of most clouds
        "100.100.100.200/32",  # metadata, Alibaba
        "192.0.0.0/24",  # protocol assignments; metadata, Oracle
        "168.63.129.16/32",  # metadata, Azure
        "240.0.0.0/4",
        "::/128",
        "fe80::/10",
        "fec0::/10",
        "fd00:ec2::/32",  # metadata, Amazon
        "fd20:ce::/32",  # metadata, Google
    )
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_CACHE_S = 60.0
_RESOLVE_TIMEOUT_S = 10.0


class Refused(Exception):
    """An address that may not be asked; the text is the reason in the manifest."""


class Unreachable(Exception):
    """A name that does not resolve."""


def split_url(url: str, *, any_port: bool = False) -> SplitResult:
    """The parts of an address with scheme http or https, a host, no user, and port 80 or 443 (or `any_port`).

    Raises `Refused` for anything else.
    """
    try:
        parts = urlsplit(url)
        host, port, user = parts.hostname, parts.port, parts.username
    except ValueError:
        raise Refused("not a usable address") from None
    if parts.scheme not in ("http", "https"):
        raise Refused("not an http address")
    if not host or any(c.isspace() or ord(c) < 32 for c in url):
        raise Refused("not a usable address")
    if user is not None:
        raise Refused("address with a user name")
    if port is not None and not any_port and port not in (80, 443):
        raise Refused(f"port {port}")
    return parts


def check_address(text: str, *, allow_private: bool) -> None:
    """Raises `Refused` unless the IP address `text` is public, or private and `allow_private`.

    Link-local and metadata addresses, multicast and the unspecified address are refused always; addresses that
    carry an IPv4 address inside (mapped, 6to4, Teredo, NAT64) are judged by that one as well.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        raise Refused("not a usable address") from None
    for one in (address, *_inside(address)):
        if any(one in network for network in _ALWAYS_REFUSED if network.version == one.version):
            raise Refused("link-local or reserved address")
        if one.is_multicast or one.is_unspecified:
            raise Refused("link-local or reserved address")
        if not one.is_global and not _carries(one) and not allow_private:
            raise Refused("private address")


def _inside(address: _IP) -> list[_IP]:
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found: list[_IP | None] = [address.ipv4_mapped, address.sixtofour, address.teredo[1] if address.teredo else None]
    low = int(address) & 0xFFFFFFFF
    if address in _NAT64 or (int(address) >> 32 == 0 and low > 1):
        found.append(ipaddress.IPv4Address(low))
    return [one for one in found if one is not None]


def _carries(address: _IP) -> bool:
    """Is this only a wrapping of an IPv4 address, which is judged instead?"""
    return isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None


class Guard:
    """Resolves names and opens sockets, to judged addresses only. Safe for many threads.

    `trusted` are (host, port) pairs that a person named as a provider's endpoint: they may be private.
    """

    def __init__(self, *, allow_private: bool, trusted: frozenset[tuple[str, int]] = frozenset()) -> None:
        self.allow_private = allow_private
        self._trusted = trusted
        self._cache: dict[tuple[str, int], tuple[float, list[str]]] = {}
        self._lock = threading.Lock()

    def may_be_private(self, host: str, port: int) -> bool:
        """May this host and port be on a private network?"""
        return self.allow_private or (host.lower(), port) in self._trusted

    def resolve(self, host: str, port: int) -> list[str]:
        """The addresses of `host`, each judged. Raises `Refused`, or `Unreachable` when the name is not known."""
        key = (host.lower().rstrip("."), port)
        with self._lock:
            known = self._cache.get(key)
        if known is None or known[0] <= time.monotonic():
            known = (time.monotonic() + _CACHE_S, _look_up(host, port))
            with self._lock:
                if len(self._cache) > 10_000:
                    self._cache.clear()
                self._cache[key] = known
        if not known[1]:
            raise Unreachable(UNKNOWN_NAME)
        for address in known[1]:
            check_address(address, allow_private=self.may_be_private(host, port))
        return known[1]

    def is_near(self, host: str, port: int) -> bool:
        """Is this a loopback or private host that may be asked, as far as is known without asking for its name?"""
        if not self.may_be_private(host, port):
            return False
        name = host.strip("[]").lower().rstrip(".")
        if name == "localhost" or name.endswith(".localhost"):
            return True
        try:
            return not ipaddress.ip_address(name).is_global
        except ValueError:
            with self._lock:
                known = self._cache.get((name, port))
        return known is not None and any(not ipaddress.ip_address(a.partition("%")[0]).is_global for a in known[1])

    def connect(self, host: str, port: int, timeout_s: float) -> socket.socket:
        """A connected socket whose peer was judged. Raises `Refused`, `Unreachable` or `OSError`."""
        failure: OSError | None = None
        for address in self.resolve(host, port):
            try:
                sock = socket.create_connection((address, port), timeout=timeout_s)
            except OSError as error:
                failure = error
                continue
            try:
                self.check_peer(sock, host, port)
            except BaseException:
                sock.close()
                raise
            return sock
        raise failure or Unreachable(UNKNOWN_NAME)

    def check_peer(self, sock: socket.socket, host: str, port: int) -> None:
        """Raises `Refused` when the connected peer of `sock` may not be talked to."""
        check_address(str(sock.getpeername()[0]), allow_private=self.may_be_private(host, port))


def _look_up(host: str, port: int) -> list[str]:
    """The system's answer, nothing for an unknown name. Waited for so long only: the system may take minutes."""
    name = host.strip("[]")
    answers: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys(str(entry[4][0]) for entry in found)))
        except (OSError, ValueError):
            answers.put(None)

    try:
        return [str(ipaddress.ip_address(name))]
    except ValueError:
        threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        addresses = answers.get(timeout=_RESOLVE_TIMEOUT_S)
    except queue.Empty:
        addresses = None
    return addresses or []
