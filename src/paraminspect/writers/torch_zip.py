"""`torch.save` of a state dict: the records of a zip, each in its place before the first value exists.

    NAME/data.pkl, .format_version, .storage_alignment, byteorder
    NAME/data/0 ...                          the tensors' bytes, little-endian
    NAME/version, .data/serialization_id

How records lie in the archive, `zip_write` tells. The serialization id is
made from names, shapes and dtypes, not from chance: the same tensors give the same file.

Source:
    `caffe2/serialize/inline_container.cc` of torch 2.13 and the files it writes; PKWARE APPNOTE.TXT 6.3.10.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from paraminspect.errors import ParamInspectError
from paraminspect.text import quote
from paraminspect.writers.layout import Layout, OutTensor, check_names
from paraminspect.writers.torch_pickle import TYPED, UNTYPED, pickle_state_dict
from paraminspect.writers.zip_write import ALIGNMENT, ZipWriter

DEFAULT_ROOT: Final = "archive"
MAX_ROOT_BYTES: Final = 200


def plan_torch_zip(tensors: Sequence[OutTensor], root: str = DEFAULT_ROOT) -> Layout:
    """Where everything lies in a file that `torch.load(weights_only=True)` reads as `OrderedDict[str, Tensor]`.

    Args:
        tensors: In the order of the dictionary; aliases follow their tensor and are the same object.
        root: Folder of the records; torch takes the stem of the file. One that a zip cannot hold becomes "archive".

    Raises:
        ParamInspectError: A name that comes twice, a quantised dtype; it names the tensor.
        LimitExceededError: More tensors than readers take.
    """
    check_names(tensors)
    for tensor in tensors:
        if tensor.dtype not in TYPED and tensor.dtype not in UNTYPED:
            raise ParamInspectError(
                f"a torch file cannot hold {quote(tensor.name)} of dtype {tensor.dtype} without its scales"
            )
    root = root if _is_usable(root) else DEFAULT_ROOT
    writer = ZipWriter(len(tensors) + 6)
    writer.add(f"{root}/data.pkl", pickle_state_dict(tensors))
    writer.add(f"{root}/.format_version", b"1")
    writer.add(f"{root}/.storage_alignment", str(ALIGNMENT).encode())
    writer.add(f"{root}/byteorder", b"little")
    for index, tensor in enumerate(tensors):
        writer.add_tensor(f"{root}/data/{index}", index, tensor.nbytes)
    writer.add(f"{root}/version", b"3\n")
    writer.add(f"{root}/.data/serialization_id", _identify(tensors))
    return writer.finish()


def _is_usable(root: str) -> bool:
    try:
        data = root.encode()
    except UnicodeEncodeError:
        return False
    return 0 < len(data) <= MAX_ROOT_BYTES and not set("/\\\0") & set(root)


def _identify(tensors: Sequence[OutTensor]) -> bytes:
    """Forty digits, as torch writes them."""
    digest = sha256(repr([(each.name, each.dtype, each.shape, each.aliases) for each in tensors]).encode()).digest()
    return b"%040d" % (int.from_bytes(digest) % 10**40)
