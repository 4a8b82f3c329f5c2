"""Manifests of Ollama: a list of layers, of which one is the weights as GGUF.

    {"schemaVersion": 2, "layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:..", "size": ..}, ..]}

Layers of other types are the template, the parameters, the licence; a projector (of images) and adapters are GGUF files of
their own, which are named in a note.

Source: `manifest/manifest.go` and `server/images.go` of Ollama.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from paraminspect.errors import CheckpointError, MalformedError, SourceError
from paraminspect.files.blob import Blob
from paraminspect.files.door import place_of
from paraminspect.files.ollama import find_blob
from paraminspect.formats.json_text import parse_object
from paraminspect.records import Checkpoint
from paraminspect.text import format_bytes, quote

TYPE: Final = "application/vnd.ollama.image."
OTHERS: Final = {"projector": "a projector", "adapter": "an adapter"}
"""Layers that are weights too, but not the model's own."""


def read_manifest(blob: Blob, path: str, read: Callable[[str], Checkpoint]) -> Checkpoint:
    """The weights that a manifest names.

    Args:
        blob: The manifest.
        path: Its path or URL.
        read: Reads one file.

    Raises:
        CheckpointError: It names none, or their blob is not there.
    """
    layers = _layers(blob)
    models = [digest for kind, digest, _ in layers if kind == "model"]
    if not models:
        kinds = ", ".join(dict.fromkeys(quote(kind, 40) for kind, _, _ in layers)) or "nothing"
        raise CheckpointError(
            f"an Ollama manifest without weights in GGUF: its layers are {kinds}",
            hint="a model of the cloud has no weights here; one of single tensors (MLX) is not read",
        )
    found = find_blob(path, models[0])
    if found is None:
        raise MalformedError(f"an Ollama manifest whose layer has no digest: {quote(models[0], 80)}")
    if place_of(found).presence([found]) == [None]:
        raise SourceError(f"the blob of the weights is not there: {found}", hint="ollama pull fetches it again")
    checkpoint = read(found)
    notes = [
        f"{OTHERS[kind]} of {format_bytes(size)} is a file of its own: {find_blob(path, digest)}"
        for kind, digest, size in layers
        if kind in OTHERS
    ]
    if len(models) > 1:
        notes.append(f"{len(models) - 1} more files of weights are not read")
    return checkpoint._replace(notes=(*checkpoint.notes, *notes))


def _layers(blob: Blob) -> list[tuple[str, str, int]]:
    """Type, digest and size of each layer."""
    manifest = parse_object(blob.read(0, blob.size), "the manifest")
    layers = manifest.get("layers")
    found = []
    for layer in layers if isinstance(layers, list) else ():
        fields = layer if isinstance(layer, dict) else {}
        kind, digest, size = fields.get("mediaType"), fields.get("digest"), fields.get("size")
        if isinstance(kind, str) and isinstance(digest, str):
            found.append((kind.removeprefix(TYPE), digest, size if type(size) is int else 0))
    return found
