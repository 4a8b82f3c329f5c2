"""Paths and URLs as text: which is which, the parts of both, and how a URL is shown without its secrets."""

from __future__ import annotations

import os
import re
from typing import Final

_FAR: Final = r"[A-Za-z][A-Za-z0-9+.-]*://"
_SECRETS: Final = (
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)"
    r"(?P<user>[^\s/?#]*@)?"
    r"(?P<path>[^\s?'\"]*)"
    r"(?P<query>\?(?:\S*[^\s'\":,;.)])?)?"
)
_WITHOUT_QUERY: Final = ("hf://", "s3://", "gs://", "gcs://")
_QUOTED: Final = ("http", "https", "file")
"""Schemes whose paths are escaped."""

_HERE: Final = ("", "localhost", "127.0.0.1")
"""Hosts of a file:// URL that are this machine."""

MASK: Final = "***"


def is_far(path: str | None) -> bool:
    """Whether a path is a URL."""
    return path is not None and "://" in path and re.match(_FAR, path) is not None


def plain_path(path: str) -> str:
    """The path of this machine that a file:// URL names, an absolute one; any other text as it is.

    Raises:
        FarError: A file of another machine.

    Source:
        RFC 8089, without its appendices.
    """
    if scheme_of(path) != "file":
        return path
    from urllib.parse import unquote

    host, slash, rest = path.partition("://")[2].partition("/")
    if host.lower() not in _HERE or not slash:
        from paraminspect.files.faults import fault

        raise fault("file-host", host=host, hint=f"an absolute path has three slashes: file:///{host}{slash}{rest}")
    found = unquote(f"/{rest}", errors="surrogateescape")
    return found[1:] if os.name == "nt" and found[2:3] == ":" else found


def is_masked(text: str) -> bool:
    """Whether it is a URL as `shown` gives it, without its secrets, so that it cannot be asked for."""
    return MASK in text and is_far(text)


def scheme_of(path: str | None) -> str:
    """What stands before the `://` of a URL, in lower case; "" for a path of this machine and for standard input."""
    return path.partition("://")[0].lower() if path is not None and is_far(path) else ""


def file_url(path: str) -> str:
    """The URL of a file or folder that is there, all but plain characters escaped; "" of what is none."""
    from pathlib import Path

    return Path(os.path.abspath(path)).as_uri() if os.path.exists(path) else ""


def shown(text: str) -> str:
    """A text as it may be printed: in every URL in it, the user's name and password and the query are masked.

    A query may be a signature that opens the file to whoever reads it, so none is shown.

    Example:
        >>> shown("https://me:secret@host/model.pt?sig=abc")
        'https://***@host/model.pt?***'
    """
    if is_far(text):
        return _whole(text)
    return re.sub(_SECRETS, _masked, text) if "://" in text else text


def _whole(url: str) -> str:
    """A text that is one URL and nothing else, so that there is no doubt where a part of it ends."""
    scheme, _, rest = url.partition("://")
    scheme += "://"
    base, mark, query = re.fullmatch(r"([^?#]*)([?#]?)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    if scheme.lower() in _WITHOUT_QUERY:
        base, mark, query = rest, "", ""
    authority = base.partition("/")[0]
    user, at, _ = authority.rpartition("@")
    port = authority.rpartition(":")[2]
    if not at and port != authority and not port.isdecimal() and "@" in rest:  # "/", "?" or "#" stands in a password
        user, at, base, mark, query = rest.rpartition("@")[0], "@", rest, "", ""
    if at and (scheme.lower() not in _WITHOUT_QUERY or ":" in user):
        base = f"{MASK}@{base[len(user) + 1 :]}"
    return f"{scheme}{base}{mark}{MASK if query else ''}"


def _masked(found: re.Match[str]) -> str:
    scheme, user, path, query = found["scheme"], found["user"] or "", found["path"], found["query"] or ""
    has_query = scheme.lower() not in _WITHOUT_QUERY
    if user and (has_query or ":" in user):
        user = f"{MASK}@"
    if query and has_query:
        query = f"?{MASK}"
    return f"{scheme}{user}{path}{query}"


def join(folder: str, name: str) -> str:
    """A file of a folder. A query of the folder's URL goes with it."""
    if not is_far(folder):
        return os.path.join(folder, name)
    base, query = split_query(folder)
    if scheme_of(folder) in _QUOTED:
        from urllib.parse import quote

        name = quote(name, safe="/")
    return f"{base.rstrip('/')}/{name}{query}"


def uri_of(path: str) -> str:
    """A path as a URI, without secrets; a relative one stays relative."""
    from urllib.parse import quote

    if is_far(path):
        return quote(shown(path), safe="/:?#[]@!$&'()*+,;=%~", errors="surrogateescape")
    text = quote(path, errors="surrogateescape")
    return f"file://{text}" if path.startswith("/") else text


def stays_inside(name: str) -> bool:
    """Whether a name that a file gives for another stays in their folder, as far as text can tell.

    Both separators and drive letters count everywhere: a folder is as safe on Windows as it is here.
    """
    parts = re.split(r"[/\\]", name)
    return bool(parts[0]) and "\0" not in name and ".." not in parts and parts[0][1:2] != ":"


def folder_of(path: str) -> str:
    """Where a file lies; "" for the current folder."""
    if not is_far(path):
        return os.path.dirname(path)
    base, query = split_query(path)
    return base.rpartition("/")[0] + query


def base_name(path: str) -> str:
    """The last part of a path, as it is shown."""
    if not is_far(path):
        return os.path.basename(path)
    base = split_query(path)[0].rpartition("/")[2]
    if scheme_of(path) in _QUOTED:
        from urllib.parse import unquote

        return unquote(base)
    return base


def relative(path: str, folder: str) -> str:
    """What a file is called inside a folder."""
    if not is_far(path):
        return os.path.relpath(path, folder or ".")
    inside = split_query(path)[0].removeprefix(split_query(folder)[0].rstrip("/")).lstrip("/")
    if scheme_of(path) in _QUOTED:
        from urllib.parse import unquote

        return unquote(inside)
    return inside


def split_query(url: str) -> tuple[str, str]:
    """A URL without its query, and the query with its question mark; only those of HTTP have one."""
    if scheme_of(url) not in ("http", "https"):
        return url, ""
    base, mark, query = url.partition("#")[0].partition("?")
    return base, mark + query
