"""Web addresses as a place: single files, without folders.

A model in shards is named by its index, since a web server has no list of its files that could be relied on.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from paraminspect.files.addresses import parse_address
from paraminspect.files.door import Listing, Look
from paraminspect.files.far import FarPlace
from paraminspect.files.faults import fault
from paraminspect.files.paths import shown, split_query
from paraminspect.files.ranged import FarFile
from paraminspect.files.web import open_web

HUBS = ("huggingface.co", "www.huggingface.co", "hf.co")


class WebPlace(FarPlace):
    """See `door.Place`."""

    def look(self, path: str) -> Look:
        """A file of the size that its server says."""
        parse_address(path)
        if split_query(path)[0].endswith("/"):
            _refuse_hub_page(path)
            raise fault("no-listing", url=shown(split_query(path)[0].rstrip("/")))
        return Look("file", self.open(path).size)

    def list_folder(self, path: str) -> Listing:
        """None can be had."""
        raise fault("no-listing", url=shown(split_query(path)[0].rstrip("/")))

    def fetch(self, url: str) -> FarFile:
        """The file."""
        _refuse_hub_page(url)
        return open_web(url)

    def presence(self, paths: Sequence[str]) -> None:
        """Takes a request for each file, which opening it does too."""


def _refuse_hub_page(url: str) -> None:
    """Say which `hf://` name is meant by the address of a page of the hub.

    Raises:
        FarError: It is such a page.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return
    steps = [unquote(step) for step in parts.path.strip("/").split("/") if step]
    if host not in HUBS or len(steps) < 2 or steps[0] in ("api", "datasets", "spaces", "docs"):
        return
    name, what, rest = "/".join(steps[:2]), steps[2] if len(steps) > 2 else "", steps[3:]
    if what not in ("", "blob", "tree"):
        return
    revision = f"@{rest[0]}" if rest and rest[0] != "main" else ""
    meant = "/".join([f"hf://{name}{revision}", *rest[1:]])
    raise fault("hub-page", hint=f"paraminspect list {meant}")


PLACE = WebPlace()
