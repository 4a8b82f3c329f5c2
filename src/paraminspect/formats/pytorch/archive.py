"""`torch.save` since torch 1.6: a zip with one pickle and one entry per storage.

All entries lie below one folder, named after the file when it was saved:

    NAME/data.pkl        the object; its persistent ids are ("storage", type, key, location, numel)
    NAME/data/KEY        the raw bytes of a storage, stored uncompressed, begin at a multiple of 64
    NAME/byteorder       "little" or "big" (since 2.1)
    NAME/version         of the format, text
    NAME/.data/serialization_id, .format_version, .storage_alignment (newer)

A TorchScript archive is the same with `constants.pkl` and `code/` (see `script`). Storages that the pickle names
without an entry are an error, as in torch; entries are checked against the sizes the pickle declares.

Source: files written by torch 1.6 to 2.13; caffe2/serialize/inline_container.cc for the alignment.
"""

from __future__ import annotations

from collections.abc import Iterator

from paraminspect.errors import MalformedError, UnknownFormatError
from paraminspect.files.blob import Blob
from paraminspect.formats.pickles.arrays import Arrays
from paraminspect.formats.pickles.inert import StorageRef
from paraminspect.formats.pickles.remark import note_calls
from paraminspect.formats.pytorch.first_use import FirstUses
from paraminspect.formats.pytorch.load import load_pickle
from paraminspect.formats.pytorch.objects import GlobalTable, check_size
from paraminspect.formats.pytorch.walk import beside_tensors, name_tensors
from paraminspect.formats.zip_file import ZipDirectory
from paraminspect.records import Checkpoint, Storage


def is_torch_zip(directory: ZipDirectory) -> bool:
    """Whether there is a NAME/data.pkl, and no constants of a TorchScript archive beside it."""
    root = find_root(directory)
    return root is not None and f"{root}constants.pkl" not in directory.entries


def find_root(directory: ZipDirectory) -> str | None:
    """The folder of the data.pkl with the slash behind it, the first if there are several; None if there is none."""
    names = (name for name in directory.entries if name.endswith("/data.pkl") and name.count("/") == 1)
    first = next(names, None)
    return None if first is None else first.removesuffix("data.pkl")


MAX_DEFLATE_RATIO = 1032
"""Bytes one deflated byte can stand for."""


class TorchArchive:
    """The entries of a torch zip, by the names its pickles use.

    Attributes:
        metadata: What small text records say: byteorder, version.
        arrays: Of numpy, in what `load` has read.

    Raises:
        MalformedError: Entries lie below several folders that each hold a data.pkl.
    """

    def __init__(self, directory: ZipDirectory) -> None:
        self.directory = directory
        pickles = [name for name in directory.entries if name[-8:].lower() == "data.pkl" and name.count("/") == 1]
        roots = [name[:-8] for name in pickles if name.endswith("/data.pkl")]
        if not roots:
            raise UnknownFormatError("the zip holds no data.pkl", hint="torch.save and torch.jit.save write one")
        if len(roots) > 1:
            raise MalformedError(
                f"the zip holds {len(roots)} archives: {', '.join(root[:-1] for root in roots[:3])}"[:200],
                fault="zip-roots",
            )
        self.root = roots[0]
        self._data_root = f"{self.root}data/"
        # torch searches without regard to case, and which of equal names it finds depends on the other entries
        twins = [name for name in (*pickles, *directory.duplicates) if name.lower() == f"{self.root}data.pkl".lower()]
        if len(twins) > 1:
            raise MalformedError(
                "the zip holds two entries named data.pkl, and readers disagree which one counts",
                hint="no version of torch writes that: do not load it",
                fault="zip-duplicate",
            )
        self._storages: dict[str, Storage] = {}
        self.metadata = self._read_metadata()
        self.arrays: Arrays  # of the object, once it is loaded

    def _read_metadata(self) -> dict[str, str]:
        metadata = {}
        for name in ("byteorder", "version", ".format_version"):
            entry = self.directory.entries.get(self.root + name)
            if entry is not None and entry.size <= 64:
                text = self.directory.read(entry).decode("utf-8", "backslashreplace")
                metadata[name.lstrip(".")] = text.strip()
        return metadata

    def load(self, table: GlobalTable, uses: FirstUses | None = None) -> object:
        """What data.pkl stands for, inert.

        Args:
            table: Of its globals.
            uses: Takes its storages; None where each use has a type of its own, as TorchScript reads them.
        """
        entry = self.directory.entries[f"{self.root}data.pkl"]
        is_inflated = bool(entry.method or entry.encrypted)
        if is_inflated:
            blob = Blob.from_bytes(self.directory.read(entry))
        else:
            blob = self.directory.blob.part(self.directory.data_offset(entry), entry.size)
        self.arrays = Arrays(blob, is_torch=True, is_inflated=is_inflated)
        return load_pickle(blob, table, uses)[0]

    def storage(self, reference: StorageRef) -> Storage:
        """The storage a persistent id names; the same record for the same key.

        Raises:
            MalformedError: No such entry, or one of another size.
        """
        key = reference.key
        storage = self._storages.get(key)
        if storage is None:
            storage = self._storages[key] = self.arrays.storages.get(key) or self._find(key)
        check_size(reference, storage)
        return storage

    def stored(self) -> int:
        """Bytes of all storages, whether or not a pickle refers to them, and of arrays."""
        return sum(self._sizes()) + self.arrays.nbytes

    def _sizes(self) -> list[int]:
        root = self._data_root
        return [entry.size for name, entry in self.directory.entries.items() if name.startswith(root)]

    def note_unlisted(self, root: object) -> Iterator[str]:
        """A remark on tensors below `root` whose storages were not asked for."""
        if len(self._storages) - sum(key in self._storages for key in self.arrays.storages) < len(self._sizes()):
            from paraminspect.formats.pytorch.unlisted import note_unlisted

            yield from note_unlisted(root, self._storages)

    def _find(self, key: str) -> Storage:
        directory = self.directory
        entry = directory.entries.get(self._data_root + key)
        if entry is None:
            raise MalformedError(f"storage {key!r} is not in the archive"[:200])
        if entry.size > MAX_DEFLATE_RATIO * entry.compressed_size:
            raise MalformedError(
                f"storage {key!r} declares {entry.size:,} bytes, deflated to {entry.compressed_size:,}"[:200]
            )
        blob = directory.blob
        begin = blob.begin + directory.data_offset(entry)
        if entry.method or entry.encrypted:
            return Storage(key, entry.size, blob.path)
        if self.metadata.get("byteorder") == "big":
            return Storage(key, entry.size, blob.path, None, begin)
        return Storage(key, entry.size, blob.path, begin)


def read_torch_zip(directory: ZipDirectory) -> Checkpoint:
    """Tensors of a file that `torch.save` wrote.

    Raises:
        CheckpointError: No pickle, a storage missing or too short, or arguments that do not fit.
        LimitExceededError: More of something than the named bounds allow.
    """
    archive = TorchArchive(directory)
    table = GlobalTable()
    uses = FirstUses()
    root = archive.load(table, uses)
    notes = [*note_calls(table.foreign), *uses.notes()]
    uses.storages.clear()  # which would keep what each tensor says of its own
    if directory.duplicates:
        notes.append(f"{len(directory.duplicates)} names stand twice in the zip, and readers disagree which one counts")
    tensors = archive.arrays.settle(name_tensors(root, archive.storage, archive.arrays.convert))
    notes += archive.note_unlisted(root)
    return Checkpoint(
        "torch zip",
        tensors,
        archive.metadata,
        tuple(notes),
        stored=archive.stored(),
        version=archive.metadata.get("version", ""),
        root=beside_tensors(root),
    )
