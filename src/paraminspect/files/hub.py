"""Models on the Hugging Face hub: `hf://ORG/NAME[@REVISION][/PATH]`.

A revision is looked up once in a run, and everything is read at the commit that it stands for, so that a push in between
changes nothing. Listings come from the hub's interface, bytes from where it keeps the file, by ranges.

What the hub wants to know of its user (HF_TOKEN, the file that `hf auth login` writes, HF_ENDPOINT, HF_HUB_CACHE, HF_HOME) is
looked up by huggingface_hub. A file of that commit that its cache has is read there. As huggingface_hub does it, the commit
is the one that the cache knows where HF_HUB_OFFLINE is set and where the hub does not answer or refuses (which is said).

Source: the hub's interface as huggingface_hub 2.4 uses it, `HfApi.repo_info`, `HfApi.list_repo_tree`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, unquote

from paraminspect.errors import FarError
from paraminspect.files import far, hub_cache
from paraminspect.files.addresses import parse_address
from paraminspect.files.connections import Response
from paraminspect.files.door import Listing, Look
from paraminspect.files.far import FarPlace, find_in_lists
from paraminspect.files.faults import fault, no_package
from paraminspect.files.hub_cache import CachedFile
from paraminspect.files.local import PLACE as LOCAL
from paraminspect.files.ranged import FarFile
from paraminspect.files.system import open_to_read
from paraminspect.files.web import get_whole, open_web
from paraminspect.tuples import NamedTuple

MAX_PAGES: Final = 200
"""Of the list of one folder of the hub."""

LOGIN: Final = "log in: hf auth login, or set HF_TOKEN"

_NAME: Final = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_SPECIAL: Final = re.compile(r"refs/(?:pr/\d+|convert/[\w-]+)", re.ASCII)
_NEXT: Final = re.compile(r'<([^>]+)>\s*;\s*rel="next"')
_OTHERS: Final = ("datasets", "spaces", "buckets", "kernels")


NOT_THERE: Final = frozenset(
    {
        "unknown-host", "refused", "unreachable", "silent", "slow", "hung-up", "cut", "busy", "failing", "tls", "not-http",
        "no-repository", "gated", "unauthorised", "denied", "offline",
    }
)  # fmt: skip
"""Faults after which the cache is asked: there is no answer, or one for others only. That a revision is gone is an answer."""


class HubName(NamedTuple):
    """What a URL says.

    Attributes:
        repository: "ORG/NAME".
        revision: A branch, a tag or a commit.
        path: Inside it, "" for the whole.
    """

    repository: str
    revision: str
    path: str


def parse_name(url: str) -> HubName:
    """The parts of `hf://ORG/NAME[@REVISION][/PATH]`; a slash in a revision is written %2F, but for refs/pr/N.

    Raises:
        FarError: It is no name of a model.
    """
    text = url.partition("://")[2].strip("/")
    kind = text.partition("/")[0]
    if kind in _OTHERS:
        raise fault("hub-name", what=f"{kind} of the hub are no models")
    steps = text.split("/")
    if len(steps) < 2:
        raise fault("hub-name", what=f"{text!r} has no organisation before its name")
    organisation, (name, at, revision), rest = steps[0], steps[1].partition("@"), "/".join(steps[2:])
    if at and (special := _SPECIAL.match(f"{revision}/{rest}" if rest else revision)):
        rest = f"{revision}/{rest}"[special.end() :].strip("/")
        revision = special[0]
    repository = f"{organisation}/{name}"
    if not _NAME.fullmatch(repository) or (at and not revision):
        raise fault("hub-name", what=f"{text[:100]!r} is no name of a model")
    if ".." in rest.split("/"):
        raise fault("hub-name", what="a path that leads out of the model")
    return HubName(repository, unquote(revision) or "main", rest)


class Hub(FarPlace):
    """See `door.Place`."""

    def __init__(self) -> None:
        self._commits: dict[tuple[str, str], str] = {}
        self._remarks: dict[tuple[str, str], str] = {}  # of commits that only the cache knows, why that is
        self._folders: dict[tuple[str, str, str], dict[str, Look]] = {}

    def look(self, path: str) -> Look:
        """A file or folder of a model; a model itself is a folder."""
        name = parse_name(path)
        if not name.path:
            self._commit(name)
            return Look("folder")
        folder, _, last = name.path.rpartition("/")
        found = self._list(name, folder).get(last)
        if found is None:
            raise self._absent(name)
        return found

    def list_folder(self, path: str) -> Listing:
        """Files and folders."""
        name = parse_name(path)
        entries = self._list(name, name.path)
        files = sorted(each for each, look in entries.items() if look.kind == "file")
        return Listing(files, sorted(entries.keys() - files))

    def fetch(self, url: str) -> FarFile | CachedFile:
        """A file at the commit."""
        name = parse_name(url)
        path = quote(name.path, safe="/")
        commit = self._commit(name)
        cached = _open_cached(name, commit, self._remarks.get((name.repository, commit), ""))
        if cached is not None:
            return cached
        address = f"{_endpoint()}/{name.repository}/resolve/{commit}/{path}"
        return open_web(address, _headers(), login=LOGIN, explain=_explain)

    def presence(self, paths: Sequence[str]) -> Sequence[Look | None]:
        """From the lists of their folders, one request each."""

        def find(url: str) -> Look | None:
            name = parse_name(url)
            folder, _, last = name.path.rpartition("/")
            return self._list(name, folder).get(last)

        return find_in_lists(find, paths)

    def forget(self, path: str) -> None:
        """A revision may stand for another commit by now."""
        super().forget(path)
        name = parse_name(path)
        commit = self._commits.pop((name.repository, name.revision), None)
        self._remarks.pop((name.repository, commit or ""), None)
        for key in [key for key in self._folders if key[0] == name.repository]:
            del self._folders[key]

    def _commit(self, name: HubName) -> str:
        """The commit that a revision stands for."""
        key = name.repository, name.revision
        if key not in self._commits:
            try:
                self._commits[key] = _ask_commit(name)
            except FarError as error:
                self._commits[key] = commit = _cached_commit(name, error)
                self._remarks[name.repository, commit] = _remark(error, commit)
        return self._commits[key]

    def _absent(self, name: HubName) -> FarError:
        """Who says that there is no such file."""
        if (name.repository, self._commit(name)) in self._remarks:
            return fault("not-in-snapshot", model=name.repository)
        return fault("missing", host=_host())

    def _list(self, name: HubName, folder: str) -> dict[str, Look]:
        """What is in a folder of the model, by name."""
        commit = self._commit(name)
        key = name.repository, commit, folder
        if key not in self._folders:
            is_cached = (name.repository, commit) in self._remarks
            find = _list_cached if is_cached else self._fetch_list
            self._folders[key] = find(name, commit, folder)
        return self._folders[key]

    def _fetch_list(self, name: HubName, commit: str, folder: str) -> dict[str, Look]:
        inside = f"/{quote(folder, safe='/')}" if folder else ""
        url = f"{_endpoint()}/api/models/{name.repository}/tree/{commit}{inside}?recursive=False"
        entries: dict[str, Look] = {}
        for _ in range(MAX_PAGES):
            page, headers = _ask(url, name)
            for entry in page if isinstance(page, list) else ():
                path, look = _entry_of(entry)
                if path.rpartition("/")[0] == folder:
                    entries[path.rpartition("/")[2]] = look
            if len(entries) > far.MAX_LISTED:
                raise fault("too-many", limit=far.MAX_LISTED)
            following = _next_page(headers, url) if page else None
            if following is None:
                return entries
            url = following
        raise fault("too-many", limit=far.MAX_LISTED)


def _ask_commit(name: HubName) -> str:
    """The commit that a revision stands for, as the hub says it."""
    revision = quote(name.revision, safe="")
    info, _ = _ask(f"{_endpoint()}/api/models/{name.repository}/revision/{revision}", name)
    commit = info.get("sha") if isinstance(info, dict) else None
    if not isinstance(commit, str) or not hub_cache.COMMIT.fullmatch(commit):
        raise fault("lies", host=_host(), what="a revision without a commit")
    return commit


def _cached_commit(name: HubName, error: FarError) -> str:
    """The commit that a revision stood for when it was last fetched.

    Args:
        error: Why the hub does not say.

    Raises:
        FarError: That, where the cache has no such revision either.
    """
    if error.fault not in NOT_THERE:
        raise error
    folder = _cached_folder(name)
    commit = hub_cache.find_snapshot(folder, name.revision)
    if commit is not None:
        return commit
    others = hub_cache.describe_revisions(folder)
    if error.fault == "offline":
        revision = "" if name.revision == "main" else f"@{name.revision}"
        hint = others or f"without HF_HUB_OFFLINE it is read from the hub; hf download {name.repository} puts it there"
        raise fault(
            "not-cached", model=f"{name.repository}{revision}", cache=_library().HF_HUB_CACHE, hint=hint
        ) from None
    if others:
        error.hint = others
    raise error


def _remark(error: FarError, commit: str) -> str:
    """What to say of a model of which only the cache knows; nothing where that is what the user wants."""
    return "" if error.fault == "offline" else f"{error.message}: read from the cache, commit {commit[:12]}"


def _cached_folder(name: HubName) -> str:
    return hub_cache.folder_of_repository(str(_library().HF_HUB_CACHE), name.repository)


def _open_cached(name: HubName, commit: str, note: str) -> CachedFile | None:
    """A file of the commit, if the cache has it."""
    path = hub_cache.path_in_snapshot(_cached_folder(name), commit, name.path)
    (found,) = LOCAL.presence([path])
    if found is None or found.kind != "file":
        return None
    return CachedFile(found.size, open_to_read(path), note)


def _list_cached(name: HubName, commit: str, folder: str) -> dict[str, Look]:
    """What the cache has of a folder of the model."""
    path = hub_cache.path_in_snapshot(_cached_folder(name), commit, folder)
    try:
        listing = LOCAL.list_folder(path)
    except OSError:
        raise fault("not-in-snapshot", model=name.repository) from None
    found = LOCAL.presence([os.path.join(path, each) for each in (*listing.files, *listing.folders)])
    looks = zip((*listing.files, *listing.folders), found, strict=True)
    return {each: look for each, look in looks if look is not None}


def _entry_of(entry: object) -> tuple[str, Look]:
    """Path and kind of one entry of a list.

    Raises:
        FarError: It is none.
    """
    fields = entry if isinstance(entry, dict) else {}
    path, size = fields.get("path"), fields.get("size")
    if isinstance(path, str) and fields.get("type") == "directory":
        return path, Look("folder")
    if not isinstance(path, str) or type(size) is not int or size < 0:
        raise fault("lies", host=_host(), what="a list of files without names or sizes")
    return path, Look("file", size)


def _next_page(headers: Mapping[str, str], url: str) -> str | None:
    """Of a list; only of the server that it began on."""
    found = _NEXT.search(headers.get("link", ""))
    if found is None or parse_address(found[1]).origin != parse_address(url).origin:
        return None
    return found[1]


def _ask(url: str, name: HubName) -> tuple[Any, Mapping[str, str]]:
    """What the interface answers."""

    def explain(response: Response) -> FarError | None:
        return _explain(response, name.revision)

    body, headers = get_whole(url, _headers(), login=LOGIN, explain=explain)
    try:
        return json.loads(body), headers
    except (ValueError, RecursionError):
        raise fault("lies", host=_host(), what="a list that is no JSON") from None


def _explain(response: Response, revision: str = "") -> FarError | None:
    """The hub's own words for what went wrong."""
    code = response.headers.get("x-error-code", "")
    login = LOGIN if "authorization" not in {each.lower() for each in _headers()} else "does your token have access?"
    if code == "GatedRepo":
        return fault("gated", login=login)
    if code == "RevisionNotFound":
        return fault("no-revision", revision=revision)
    if code == "RepoNotFound" or (response.status == 401 and not code):
        return fault("no-repository", login=login)
    return None


def _headers() -> dict[str, str]:
    """The user's token, if there is one."""
    _library()
    from huggingface_hub import get_token

    token = get_token()
    return {"Authorization": f"Bearer {token}"} if token else {}


def _endpoint() -> str:
    """The address of the hub.

    Raises:
        FarError: The user wants nothing to be fetched.
    """
    constants = _library()
    if constants.HF_HUB_OFFLINE:
        raise fault("offline")
    return os.environ.get("HF_ENDPOINT", str(constants.ENDPOINT)).rstrip("/")


def _host() -> str:
    return parse_address(_endpoint()).origin.host


def _library() -> Any:
    """The constants of huggingface_hub.

    Raises:
        FarError: It is not installed.
    """
    try:
        from huggingface_hub import constants
    except ImportError:
        raise no_package("hf", "huggingface_hub", "hf") from None
    return constants


PLACE = Hub()
