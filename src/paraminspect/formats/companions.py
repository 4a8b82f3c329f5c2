"""Small files beside the weights of a Hugging Face folder, which its loader needs: what is copied with a model.

Only files of known names, none of them code: a folder may hold `modeling_*.py`, which is left behind. None through a link
that leads out of the folder, but for the store of the Hugging Face cache, where all its files are.
"""

from __future__ import annotations

from typing import Final

from paraminspect.errors import FarError, SourceError
from paraminspect.files.blob import open_blob
from paraminspect.files.door import place_of
from paraminspect.files.paths import folder_of, is_masked, join
from paraminspect.formats.table import is_sharded
from paraminspect.records import Checkpoint
from paraminspect.text import list_some
from paraminspect.tuples import NamedTuple

CONFIG: Final = "config.json"
NAMES: Final = frozenset(
    {
        CONFIG, "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "tokenizer.model", "spiece.model", "source.spm",
        "target.spm", "sentencepiece.bpe.model", "preprocessor_config.json", "processor_config.json",
        "video_preprocessor_config.json", "chat_template.json", "chat_template.jinja", "adapter_config.json",
    }
)  # fmt: skip
"""What `save_pretrained` of models, tokenizers and processors writes beside weights."""

MAX_BYTES: Final = 64 << 20
"""Of all of them together: some writers hold them in memory."""

MAX_NAMED: Final = 3
"""Files that a remark names."""


class Companions(NamedTuple):
    """What lies beside a model.

    Attributes:
        folder: Where; None of a model that is no folder, nor known by an index in one.
        names: Of those that go along, the configuration first.
        left: Of those that do not: links out of the folder, too large, no regular files.
    """

    folder: str | None
    names: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def paths(self) -> list[str]:
        """Of those that go along."""
        return [join(self.folder, name) for name in self.names] if self.folder is not None else []

    @property
    def remarks(self) -> list[str]:
        """What to say of those that do not."""
        return [f"not copied: {list_some(self.left, MAX_NAMED)}"] if self.left else []


def find_companions(checkpoint: Checkpoint) -> Companions:
    """What is to be copied with all of a model.

    Raises:
        OSError: The folder cannot be listed.
        FarError: The same of a server.
    """
    folder = find_folder(checkpoint)
    if folder is None:
        return Companions(None)
    place = place_of(folder)
    store = join(folder, "../../blobs")
    names: list[str] = []
    left: list[str] = []
    room = MAX_BYTES
    for name in sorted(place.find_in_folder(folder, NAMES), key=lambda name: (name != CONFIG, name)):
        path = join(folder, name)
        size = _size_of(path) if place.is_inside(path, (folder, store)) else None
        if size is None or size > room:
            left.append(name)
        else:
            names.append(name)
            room -= size
    return Companions(folder, tuple(names), tuple(left))


def find_folder(checkpoint: Checkpoint) -> str | None:
    """The folder that a checkpoint is, or in which an index of it is; None of others."""
    source = checkpoint.source
    if is_masked(source):
        return folder_of(checkpoint.files[0]) if is_sharded(checkpoint) else None
    if place_of(source).is_folder(source):
        return source
    return folder_of(source) if source and is_sharded(checkpoint) else None


def _size_of(path: str) -> int | None:
    """Of a regular file that can be read; None of anything else."""
    try:
        blob = open_blob(path)
    except FarError:
        raise
    except (OSError, SourceError):
        return None
    blob.close()
    return blob.size
