"""Bounds on what a file may declare, each of them far above what real checkpoints hold.

A breach is a `LimitExceededError` with the limit and what the file asked for.
"""

from __future__ import annotations

MAX_DIMENSIONS = 64
"""Of one tensor (torch itself: 64; numpy: 64; GGUF: 4)."""

MAX_NUMEL = 2**63 - 1
"""Elements, and bytes, of one tensor: what torch can address."""

MAX_NAME_BYTES = 1 << 20
"""Of one name or dictionary key."""

MAX_TENSORS = 500_000
"""In one file; the largest real checkpoints hold some 200,000."""

MAX_NESTING = 400
"""Depth of containers inside a pickle, of dictionaries while names are made, of arrays in GGUF metadata."""

MAX_SAFETENSORS_HEADER = 100_000_000
"""Bytes of JSON, the reference implementation's own limit."""

MAX_HEADER_TENSORS = 400_000
"""In one safetensors header."""

MAX_DECLARED = 100_000
"""Ties that one file may declare; a model has a handful."""

MAX_JSON_BYTES = 64 << 20
"""Of a shard index or config.json."""

MAX_EXPORT_JSON = 128 << 20
"""Bytes of all graphs and configs of a torch.export archive; a graph of 10,000 nodes takes some 20 MB."""

MAX_EXPORT_CONTAINERS = 4_000_000
"""Lists and objects in these; a node of a graph has some 50."""

MAX_EXPORT_VALUES = 6_000_000
"""Commas in these: what stands in lists and objects takes memory too."""

MAX_EXPORT_PICKLES = 10_000
"""Tensor subclasses of a torch.export archive, each a file of torch.save."""

MAX_PICKLE_OPS = 8_000_000
"""Opcodes of one pickle, those inside a recognised tensor not counted. A training checkpoint has some 40 a tensor."""

MAX_PICKLE_OBJECTS = 800_000
"""Containers and opaque objects one pickle may make, outside recognised tensors."""

MAX_PICKLE_MEMO = 2_000_000
"""Memo entries of one pickle, outside recognised tensors."""

MAX_PICKLE_TEXT = 64 << 20
"""Bytes of strings and byte strings one pickle may keep in memory; longer single ones are skipped over."""

MAX_INTEGER_BYTES = 1024
"""Of one integer in a pickle."""

MAX_ZIP_ENTRIES = 500_000
MAX_ZIP_DIRECTORY = 512 << 20
"""Bytes of a zip's central directory."""

MAX_INFLATED = 256 << 20
"""Bytes one compressed zip entry may inflate to before we stop."""

MAX_SHARDS = 20_000
MAX_GGUF_KEYS = 65_536
MAX_GGUF_TEXT = 64 << 20
"""Bytes of one GGUF metadata value that may be skipped over element by element."""

MAX_ONNX_NODES = 4_000_000
"""Nodes of all graphs of one ONNX file; the largest exports have some 100,000."""

MAX_ONNX_DEPTH = 32
"""Graphs inside graphs; the libraries of protobuf refuse what is deeper than 100 messages, three for each of these."""

MAX_ONNX_PROPERTIES = 1000
"""Of metadata_props that are kept, and of the description of external data."""
