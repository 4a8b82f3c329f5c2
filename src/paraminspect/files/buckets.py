"""Objects in buckets, `s3://BUCKET/KEY` and `gs://BUCKET/KEY`, through the file systems of fsspec: s3fs and gcsfs.

Those know where credentials are looked for (the environment, ~/.aws, an instance's role; gcloud's own), what endpoint is
meant (AWS_ENDPOINT_URL, STORAGE_EMULATOR_HOST), and how requests are signed. Without credentials public buckets are read.
What is read stays one version of an object: S3 is told its ETag, Google its generation.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from paraminspect.errors import FarError
from paraminspect.files import connections, far, threads, web
from paraminspect.files.door import Listing, Look
from paraminspect.files.far import FarPlace, find_in_lists
from paraminspect.files.faults import fault, no_package
from paraminspect.files.paths import scheme_of
from paraminspect.files.ranged import FarFile, Fetch
from paraminspect.tuples import NamedTuple

BUCKET_S: Final = 45.0
"""For an answer about a bucket, the tries of its library included."""

_LOGGERS: Final = ("asyncio", "aiohttp", "fsspec", "s3fs", "gcsfs", "botocore", "aiobotocore", "google.auth")
"""What they have to say comes as errors too."""

_FAULTS: Final = {
    "NoCredentialsError": "no-credentials",
    "PartialCredentialsError": "no-credentials",
    "DefaultCredentialsError": "no-credentials",
    "ProfileNotFound": "no-credentials",
    "FileExpired": "changed",
    "FileNotFoundError": "missing",
    "PermissionError": "denied",
    "EndpointConnectionError": "unreachable",
    "ConnectTimeoutError": "silent",
    "ReadTimeoutError": "silent",
    "TimeoutError": "silent",
    "FSTimeoutError": "silent",
    "SSLError": "tls",
    "ClientConnectorError": "unreachable",
    "ConnectionError": "unreachable",
    "HTTPClientError": "unreachable",
    "ClientPayloadError": "cut",
    "IncompleteReadError": "cut",
}
"""The fault that an exception stands for, by the name of its class or of one it derives from."""


class _Kind(NamedTuple):
    """One kind of bucket.

    Attributes:
        name: For messages.
        package: That knows it.
        extra: Of ours, that installs it.
        login: What to do about a refusal.
    """

    name: str
    package: str
    extra: str
    login: str


_KINDS: Final = {
    "s3": _Kind("S3", "s3fs", "s3", "credentials are looked for in AWS_PROFILE, AWS_ACCESS_KEY_ID and ~/.aws"),
    "gs": _Kind(
        "Google Cloud Storage",
        "gcsfs",
        "gs",
        "GOOGLE_APPLICATION_CREDENTIALS, or gcloud auth application-default login",
    ),
}


class Buckets(FarPlace):
    """See `door.Place`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._systems: dict[str, Any] = {}
        self._folders: dict[str, dict[str, Look]] = {}

    def look(self, path: str) -> Look:
        """An object, or what stands before the slashes of several."""
        info = self._call(path, lambda system, inside: system.info(inside, timeout=BUCKET_S))
        return Look("folder") if info["type"] == "directory" else Look("file", int(info["size"]))

    def list_folder(self, path: str) -> Listing:
        """Objects and prefixes."""
        entries = self._list(path)
        files = sorted(each for each, look in entries.items() if look.kind == "file")
        return Listing(files, sorted(entries.keys() - files))

    def fetch(self, url: str) -> FarFile:
        """An object, of the version that it has now."""
        size, version, fetch = self._call(url, _open_s3 if _kind(url).extra == "s3" else _open_gs)

        def checked(begin: int, end: int) -> bytes:
            try:
                data: bytes = fetch(begin, end)
            except FileNotFoundError:
                raise fault("changed") from None
            except Exception as error:
                raise _explain(error, url) from None
            if len(data) != end - begin:
                raise fault("cut", host=_kind(url).name, expected=end - begin)
            return data

        return FarFile(size, checked, version=version)

    def presence(self, paths: Sequence[str]) -> Sequence[Look | None]:
        """From the lists of their folders."""

        def find(url: str) -> Look | None:
            folder, _, name = url.rpartition("/")
            return self._list(folder).get(name)

        return find_in_lists(find, paths)

    def forget(self, path: str) -> None:
        """Lists may be others by now."""
        super().forget(path)
        for folder in [folder for folder in self._folders if folder.startswith(path.rstrip("/"))]:
            del self._folders[folder]

    def _list(self, url: str) -> dict[str, Look]:
        folder = url.rstrip("/")
        if folder not in self._folders:
            entries = self._call(folder, lambda system, path: system.ls(path, detail=True, timeout=BUCKET_S))
            if len(entries) > far.MAX_LISTED:
                raise fault("too-many", limit=far.MAX_LISTED)
            base = self._call(folder, lambda system, path: system._strip_protocol(path)).rstrip("/")
            self._folders[folder] = {
                name: Look("folder") if entry["type"] == "directory" else Look("file", int(entry["size"]))
                for entry in entries
                if (name := entry["name"].rstrip("/").removeprefix(f"{base}/")) and "/" not in name
            }
        return self._folders[folder]

    def _call(self, url: str, work: Callable[[Any, str], Any]) -> Any:
        """What `work` makes with the file system and the path in it.

        Raises:
            FarError: Anything that goes wrong.
        """
        path = url.partition("://")[2]
        if "@" in path.partition("/")[0]:
            raise fault("bad-url", why="the name of a bucket has no @")
        if not path.strip("/") or path.startswith("/"):
            raise fault("bad-url", why="it has no bucket")
        try:
            return work(self._system(url), path)
        except FarError:
            raise
        except Exception as error:
            raise _explain(error, url) from None

    def _system(self, url: str) -> Any:
        kind = _kind(url)
        with self._lock:
            if kind.extra not in self._systems:
                for name in _LOGGERS:
                    logging.getLogger(name).addHandler(logging.NullHandler())
                try:
                    self._systems[kind.extra] = _make_s3() if kind.extra == "s3" else _make_gs()
                except ImportError:
                    raise no_package(scheme_of(url), kind.package, kind.extra) from None
            return self._systems[kind.extra]


def _make_s3() -> Any:
    import s3fs
    from botocore.session import Session

    system = s3fs.S3FileSystem(
        anon=Session().get_credentials() is None,
        use_listings_cache=False,
        skip_instance_cache=True,
        config_kwargs={
            "connect_timeout": connections.CONNECT_S,
            "read_timeout": connections.READ_S,
            "retries": {"max_attempts": 1},
            "max_pool_connections": threads.READERS,
        },
    )
    system.retries = web.TRIES
    return system


def _make_gs() -> Any:
    import gcsfs

    return gcsfs.GCSFileSystem(
        access="read_only",
        use_listings_cache=False,
        skip_instance_cache=True,
        version_aware=True,
        timeout=connections.READ_S,
    )


def _open_s3(system: Any, path: str) -> tuple[int, str, Fetch]:
    file = system.open(path, "rb", cache_type="none")
    return int(file.size), str(file.details.get("ETag") or ""), file._fetch_range


def _open_gs(system: Any, path: str) -> tuple[int, str, Fetch]:
    info = system.info(path, timeout=BUCKET_S)
    version = f"{path}#{info['generation']}" if info.get("generation") and "#" not in path else path
    return (
        int(info["size"]),
        str(info.get("generation") or ""),
        lambda begin, end: system.cat_file(version, start=begin, end=end, timeout=BUCKET_S),
    )


def _kind(url: str) -> _Kind:
    return _KINDS["s3" if scheme_of(url) == "s3" else "gs"]


def _explain(error: BaseException, url: str) -> FarError:
    """What an exception of a file system, or the one behind it, says."""
    kind = _kind(url)
    bucket = url.partition("://")[2].partition("/")[0]
    why = " ".join(str(error).split())[:120] or type(error).__name__
    named = _fault_of(error) or (_fault_of(error.__cause__) if error.__cause__ is not None else None)
    if named == "missing" and "bucket" in why.lower() and "not exist" in why.lower():
        return fault("no-bucket", bucket=bucket)
    if named is None:
        return fault("bucket", what=kind.name, why=why)
    fields = {"host": kind.name, "login": kind.login, "seconds": connections.READ_S, "expected": 1, "what": kind.name}
    return fault(named, why=why, **fields)


def _fault_of(error: BaseException) -> str | None:
    return next((_FAULTS[each.__name__] for each in type(error).__mro__ if each.__name__ in _FAULTS), None)


PLACE = Buckets()
