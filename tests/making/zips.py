"""Archives, good and bad."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping

Change = Callable[[dict[str, bytes]], object]


def zip_bytes(
    members: Mapping[str, bytes] | Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_STORED, *, zip64: bool = False
) -> bytes:
    """Members in this order; the same name may stand twice."""
    pairs = members.items() if isinstance(members, Mapping) else members
    stream = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in pairs:
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            with archive.open(info, "w", force_zip64=zip64) as member:
                member.write(content)
    return stream.getvalue()


def zip_members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rezipped(data: bytes, change: Change = lambda _: None, method: int = zipfile.ZIP_STORED) -> bytes:
    """An archive with other members."""
    members = zip_members(data)
    change(members)
    return zip_bytes(members, method)
