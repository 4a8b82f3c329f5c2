"""Models that Ollama keeps: `ollama://NAME[:TAG]`, a manifest that names blobs.

    MODELS/manifests/HOST/NAMESPACE/NAME/TAG      JSON, a list of layers
    MODELS/blobs/sha256-DIGEST                    what each layer is

MODELS is OLLAMA_MODELS or ~/.ollama/models; a name without host, namespace or tag is registry.ollama.ai/library/NAME:latest.
The URL leads to the manifest; what its layers are is `formats.ollama`'s.

Source: `types/model/name.go` and `manifest/paths.go` of Ollama.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from paraminspect.errors import FarError
from paraminspect.files.door import Listing, Look
from paraminspect.files.faults import fault
from paraminspect.files.local import Local, LocalFile
from paraminspect.text import list_some

HOST: Final = "registry.ollama.ai"
NAMESPACE: Final = "library"
TAG: Final = "latest"
SYSTEM_MODELS: Final = "/usr/share/ollama/.ollama/models"
"""Where the service that Ollama's installer sets up on Linux keeps its models."""

MAX_LOOKED_AT: Final = 2_000
"""Manifests of which one may have been meant."""

MAX_NAMED: Final = 5
"""Models that a hint names."""

_PART: Final = re.compile(r"[A-Za-z0-9_][\w.:-]*", re.ASCII)
_DIGEST: Final = re.compile(r"sha256[:-]([0-9a-f]{64})")


def models_folder() -> str:
    """Where Ollama keeps its models."""
    given = os.environ.get("OLLAMA_MODELS", "")
    own = os.path.join(os.path.expanduser("~"), ".ollama", "models")
    return given or (SYSTEM_MODELS if not os.path.isdir(own) and os.path.isdir(SYSTEM_MODELS) else own)


def manifest_of(url: str) -> str:
    """Where the manifest of `ollama://[HOST/][NAMESPACE/]NAME[:TAG]` is.

    Raises:
        FarError: It is no name.
    """
    text = url.partition("://")[2].strip("/")
    path, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        path, tag = text, TAG
    steps = path.split("/")
    if not 1 <= len(steps) <= 3 or not all(_PART.fullmatch(step) for step in (*steps, tag)) or ".." in text:
        raise fault("ollama-name", text=text[:100])
    steps = [*(HOST, NAMESPACE)[: 3 - len(steps)], *steps]
    return os.path.join(models_folder(), "manifests", *steps, tag)


def find_blob(manifest: str, digest: str) -> str | None:
    """Where the bytes of a layer are, there or not; None of what is no digest.

    Args:
        manifest: Path of the manifest, or the URL of the model. Of a path that is not Ollama's the blobs are sought where
            Ollama keeps its models.
        digest: As a layer gives it.
    """
    found = _DIGEST.fullmatch(digest)
    if found is None:
        return None
    path = manifest_of(manifest) if manifest.lower().startswith("ollama://") else os.path.abspath(manifest)
    above, marker, _ = path.rpartition(f"{os.sep}manifests{os.sep}")
    folders = [above, models_folder()] if marker else [models_folder()]
    names = [os.path.join(folder, "blobs", f"sha256{mark}{found[1]}") for folder in folders for mark in "-:"]
    return next((name for name in names if os.path.exists(name)), names[0])


def list_models() -> list[str]:
    """Names of the models that there are, as they are typed, of the first MAX_LOOKED_AT."""
    root = os.path.join(models_folder(), "manifests")
    paths = (os.path.join(above, name) for above, _, names in os.walk(root) for name in names)
    found = [os.path.relpath(path, root).replace(os.sep, "/").rpartition("/") for path in islice(paths, MAX_LOOKED_AT)]
    return sorted(f"{path.removeprefix(f'{HOST}/').removeprefix(f'{NAMESPACE}/')}:{tag}" for path, _, tag in found)


class Ollama(Local):
    """See `door.Place`: each name is a file, the manifest."""

    is_writable = False
    has_code = False

    def look(self, path: str) -> Look:
        """The manifest."""
        try:
            found = super().look(manifest_of(path))
        except OSError:
            raise _missing(path) from None
        if found.kind != "file":
            raise _missing(path)
        return found

    def is_there(self, path: str) -> bool:
        """Whether Ollama has it."""
        return super().is_there(manifest_of(path))

    def is_folder(self, path: str) -> bool:
        """A name is one model."""
        return False

    def list_folder(self, path: str) -> Listing:
        """Nothing is below a model."""
        return Listing([], [])

    def find_in_folder(self, folder: str, names: Iterable[str]) -> list[str]:
        """Nothing is below a model."""
        return []

    def open(self, path: str | None) -> LocalFile:
        """The manifest."""
        return super().open(None if path is None else manifest_of(path))

    def presence(self, paths: Sequence[str]) -> Sequence[Look | None]:
        """One look at each."""
        return super().presence([manifest_of(path) for path in paths])

    def is_inside(self, path: str, folders: Sequence[str]) -> bool:
        """A name leads nowhere else."""
        return True


def _missing(url: str) -> FarError:
    name = url.partition("://")[2].strip("/")
    models = list_models()
    alike = [each for each in models if each.rpartition(":")[0] == name.partition(":")[0]] or models
    hint = f"there are {list_some(alike, MAX_NAMED)}" if alike else "OLLAMA_MODELS says where models are"
    return fault("ollama-missing", model=name, folder=models_folder(), hint=hint)


PLACE = Ollama()
