"""The cache that huggingface_hub keeps: files of a commit, which are the same wherever they are read.

    CACHE/models--ORG--NAME/refs/REVISION            the commit that a branch or tag stood for when it was last fetched
    CACHE/models--ORG--NAME/snapshots/COMMIT/PATH    a link to the file, for files that were fetched

A revision of a snapshot is found by its commit, as huggingface_hub finds it; nothing is written.

Source: `try_to_load_from_cache` and `snapshot_download` of huggingface_hub 2.4.
"""

from __future__ import annotations

import os
import re
from typing import Final

from paraminspect.files.local import LocalFile
from paraminspect.text import list_some

COMMIT: Final = re.compile(r"[0-9a-f]{40}")
MAX_REF_BYTES: Final = 200
MAX_NAMED: Final = 5
"""Revisions that a hint names."""


class CachedFile(LocalFile):
    """A file of a snapshot, with what is asked of files of servers; see `ranged.FarFile`.

    Attributes:
        note: What the user should know of how it was read; "" for nothing.
    """

    def __init__(self, size: int, fd: int, note: str = "") -> None:
        super().__init__(size, fd)
        self.note = note

    def drop(self) -> None:
        """Nobody reads it any more."""

    def raise_broken(self) -> None:
        """What cannot be read is an error at once."""


def folder_of_repository(cache: str, repository: str) -> str:
    """Where the cache has a model."""
    return os.path.join(os.path.expanduser(cache), f"models--{repository.replace('/', '--')}")


def find_snapshot(folder: str, revision: str) -> str | None:
    """The commit of a revision of which there is a snapshot; None without one.

    Args:
        folder: Of the model.
        revision: A branch, a tag or a commit.
    """
    commit: str | None = revision
    if not COMMIT.fullmatch(revision):
        try:
            with open(os.path.join(folder, "refs", *revision.split("/")), encoding="ascii") as file:
                commit = file.read(MAX_REF_BYTES).strip()
        except (OSError, ValueError):
            return None
    if not COMMIT.fullmatch(commit or "") or not os.path.isdir(os.path.join(folder, "snapshots", commit or "")):
        return None
    return commit


def list_revisions(folder: str) -> list[str]:
    """Names under which snapshots can be asked for, those of branches and tags first."""
    refs = os.path.join(folder, "refs")
    found = [
        os.path.relpath(os.path.join(root, name), refs) for root, _, names in os.walk(refs) for name in sorted(names)
    ]
    found = [name for name in found if find_snapshot(folder, name)]
    known = {find_snapshot(folder, name) for name in found}
    try:
        commits = sorted(os.listdir(os.path.join(folder, "snapshots")))
    except OSError:
        commits = []
    return [*found, *(commit for commit in commits if commit not in known and COMMIT.fullmatch(commit))]


def path_in_snapshot(folder: str, commit: str, path: str) -> str:
    """Where a file of a commit is, if it was fetched."""
    return os.path.join(folder, "snapshots", commit, *path.split("/"))


def describe_revisions(folder: str) -> str:
    """What there is of a model, in words; "" if there is nothing."""
    found = list_revisions(folder)
    if not found:
        return ""
    return f"the cache has it at {list_some([f'@{each}' for each in found], MAX_NAMED)}"
