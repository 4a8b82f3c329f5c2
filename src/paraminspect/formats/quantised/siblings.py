"""Which tensors of a checkpoint stand together for others: rows of `schemes`, held against all names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from paraminspect.errors import ParamInspectError
from paraminspect.files.blob import Blob, open_blob
from paraminspect.formats.quantised.found import MAX_BYTES, Found, NotItError, Settings
from paraminspect.formats.quantised.schemes import KEYS, SCHEMES, Scheme
from paraminspect.formats.quantised.torchao import NAMES, find_flattened
from paraminspect.formats.table import resolve
from paraminspect.records import Checkpoint, Encoding, Logical, TensorRecord

MAX_FAR_READS: Final = 2_000
"""Small tensors of a server's file whose values are read."""

NEAR_BYTES: Final = 512
"""Of each of them that are fetched together: there is seldom more."""


def find_logical(checkpoint: Checkpoint, load: Callable[[], Mapping[str, Any]]) -> Checkpoint:
    """The checkpoint with what its quantised tensors stand for.

    Args:
        load: Gives the `config.json` of the model; {} where there is none.
    """
    keys = [record.name for record in checkpoint.tensors if record.name.endswith(KEYS) and record.role == "model"]
    if not keys and NAMES not in checkpoint.metadata:
        return checkpoint
    by_name = {record.name: record for record in checkpoint.tensors if not record.declared}
    read = _Small(by_name, keys)
    settings = Settings(load)
    found = {logical.parts[0][1].name: logical for logical in find_flattened(checkpoint.metadata, by_name)}
    taken = {each.name for logical in found.values() for _, each in logical.parts}
    for name in keys:
        for scheme in SCHEMES:
            if name not in taken and name.endswith(scheme.key):
                logical = _match(scheme, name, by_name, settings, read)
                if logical is not None:
                    names = [each.name for _, each in logical.parts]
                    if taken.isdisjoint(names):
                        found[names[0]] = logical
                        taken.update(names)
    return _marked(checkpoint, found) if found else checkpoint


def _match(
    scheme: Scheme, name: str, by_name: Mapping[str, TensorRecord], settings: Settings, read: _Small
) -> Logical | None:
    """What the tensors around one name stand for by a scheme; None if they are not of it."""
    base = name[: len(name) - len(scheme.key)]
    if scheme.key[0] not in "._" and base and base[-1] != ".":
        return None
    parts = {key: by_name.get(base + ending) for key, ending in scheme.parts}
    known = {key: record for key, record in parts.items() if record is not None}
    if len(known) < len(parts):
        return None
    main = known[scheme.parts[0][0]]
    if (scheme.dtypes and main.dtype not in scheme.dtypes) or main.encoding is not None or main.layout != "strided":
        return None
    known |= {key: by_name[base + ending] for key, ending in scheme.optional if base + ending in by_name}
    try:
        logical: Logical = resolve(scheme.reader)(Found(scheme.name, base + scheme.stands, known, settings, read))
    except NotItError:
        return None
    return logical


def _marked(checkpoint: Checkpoint, found: Mapping[str, Logical]) -> Checkpoint:
    """Main tensors that know what they stand for, and the others as parts of them."""
    beside = {each.name for logical in found.values() for _, each in logical.parts[1:]}
    tensors: Sequence[TensorRecord] = [
        record._replace(encoding=Encoding(logical=found[record.name]))
        if record.name in found and not record.declared
        else record._replace(role="part")
        if record.name in beside
        else record
        for record in checkpoint.tensors
    ]
    return checkpoint._replace(tensors=tensors)


class _Small:
    """Reads tensors of a few bytes whose values say how others are packed.

    Args:
        by_name: All tensors.
        names: Of those that tell a scheme.
    """

    def __init__(self, by_name: Mapping[str, TensorRecord], names: Sequence[str]) -> None:
        self._blobs: dict[str | None, Blob] = {}
        self._by_name = by_name
        self._names = names
        self._far = 0

    def __call__(self, record: TensorRecord) -> bytes:
        """All bytes of one.

        Raises:
            NotItError: It has too many, or they cannot be read.
        """
        storage = record.storage
        if storage is None or storage.begin is None or not record.nbytes or record.nbytes > MAX_BYTES:
            raise NotItError
        blob = self._blobs.get(storage.path)
        try:
            if blob is None:
                blob = self._blobs[storage.path] = open_blob(storage.path)
                self._prefetch(blob, storage.path)
            self._far += blob.is_far
            if self._far > MAX_FAR_READS:
                raise NotItError
            return blob.read(storage.begin + record.offset, record.nbytes)
        except (ParamInspectError, OSError):
            raise NotItError from None

    def _prefetch(self, blob: Blob, path: str | None) -> None:
        """Have those of a server's file at hand."""
        if not blob.is_far:
            return
        small = [
            record
            for name in self._names
            for record in (self._by_name[name], self._by_name.get(name.removesuffix("_scale") + "_shape"))
            if record is not None and record.storage is not None and record.storage.path == path
        ]
        blob.prefetch(
            (each.storage.begin + each.offset for each in small if each.storage and each.storage.begin is not None),
            NEAR_BYTES,
        )
