"""Web addresses: their parts, and where a redirect from one leads."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote, urljoin, urlsplit

from paraminspect.files.faults import fault
from paraminspect.tuples import NamedTuple

_SAFE: Final = "/:@!$&'()*+,;=-._~%"
"""What stays as it is in the path of a URL; what was escaped already stays escaped."""


class Origin(NamedTuple):
    """A server, as far as a connection goes."""

    scheme: str
    host: str
    port: int


class Address(NamedTuple):
    """A URL taken apart.

    Attributes:
        origin: Where to connect.
        target: Path and query, escaped.
        user: "name:password" of the URL; "" without.
    """

    origin: Origin
    target: str
    user: str


def parse_address(url: str) -> Address:
    """A URL of http or https.

    Raises:
        FarError: It is none.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("ascii" if (parts.hostname or "").isascii() else "idna").decode()
    except (ValueError, UnicodeError):  # their text has parts of the URL, which may be secret
        raise fault("bad-url", why="its host or port cannot be made out") from None
    if parts.scheme not in ("http", "https") or not host or any(character <= " " for character in host):
        raise fault("bad-url", why="it has no host" if not host else "it is no web address")
    target = quote(parts.path or "/", safe=_SAFE)
    if parts.query:
        target += "?" + quote(parts.query, safe=_SAFE + "?")
    user = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
    return Address(Origin(parts.scheme, host, port or (443 if parts.scheme == "https" else 80)), target, user)


def basic(user: str) -> str:
    """The header that says who asks."""
    from base64 import b64encode

    return f"Basic {b64encode(user.encode()).decode()}"


def netloc(origin: Origin) -> str:
    """Host and port as a URL has them."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return host if origin.port == (443 if origin.scheme == "https" else 80) else f"{host}:{origin.port}"


def follow(url: str, where: str, host: str) -> str:
    """Where a redirect leads.

    Raises:
        FarError: To no web address, or from TLS to none.
    """
    try:
        following = urljoin(url, where)
        before, after = urlsplit(url).scheme, urlsplit(following).scheme
    except ValueError:
        raise fault("bad-url", why="a redirect leads to none") from None
    if after not in ("http", "https"):
        raise fault("elsewhere", host=host, where=following[:200])
    if before == "https" and after == "http":
        raise fault("insecure", host=host, where=following[:200])
    return following
