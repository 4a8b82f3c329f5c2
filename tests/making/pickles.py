"""Pickles of tensors, opcode by opcode, and files around them."""

from __future__ import annotations

import pickle
import struct

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


def reference(key: bytes = b"7", numel: int = 4, view: bytes = b"N", kind: bytes = b"FloatStorage") -> bytes:
    """A storage by its persistent id."""
    return b"(U\7storagectorch\n" + kind + b"\nU" + bytes([len(key)]) + key + b"U\3cpuK" + bytes([numel]) + view + b"tQ"


def rebuilt(pid: bytes, numel: int = 4, offset: int = 0) -> bytes:
    """A tensor of `numel` elements over a storage."""
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + pid + b"K%cK%c\x85K\1\x85\x89NtR" % (offset, numel)


def legacy_file(root: bytes, keys: object, data: bytes = b"", *, version: int = 1001, system: object = SYSTEM) -> bytes:
    """A file of torch before 1.6 whose object is the pickle `root`."""
    head = b"".join(pickle.dumps(value, 2) for value in (MAGIC_NUMBER, version, system))
    return head + root + pickle.dumps(keys, 2) + data


def storage_data(count: int, data: bytes) -> bytes:
    return struct.pack("<q", count) + data
