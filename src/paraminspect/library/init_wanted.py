"""What `init` is to write, known before anything that writes is imported."""

from __future__ import annotations

from paraminspect.tuples import NamedTuple


class Wanted(NamedTuple):
    """What is written.

    Attributes:
        file: Where to; "" for nowhere, "-" for standard output.
        dtype: Of its floating-point tensors; "" leaves them as they are.
        shard_size: Most bytes of a file of a folder, as typed.
        force: Whether a file that is there is replaced.
        to: "dcp" for a folder of torch.distributed.checkpoint; "" for what the name of the file says.
    """

    file: str = ""
    dtype: str = ""
    shard_size: str = ""
    force: bool = False
    to: str = ""
