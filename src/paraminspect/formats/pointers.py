"""Files that stand for one that is kept elsewhere: what Git LFS and DVC put into a repository in its place.

- Git LFS: text of up to 1024 bytes, a key and a value a line: `version https://git-lfs.github.com/spec/v1`,
  `oid sha256:HEX`, `size N`, perhaps `ext-..` between them.
- DVC: YAML called `FILE.dvc`. Under `outs` stands one file or folder with `md5`, `size`, `path`, of a folder `nfiles`,
  and since version 3 `hash: md5`. The md5 of a folder, that of a list of its files, ends in `.dir`.

Both keep what they have fetched under its digest, in a folder of the repository.
"""

from __future__ import annotations

import os
import re
import shlex
from typing import Final

from paraminspect.text import counted, quote
from paraminspect.tuples import NamedTuple

MAX_BYTES: Final = 4096
"""Of a pointer; those of DVC may begin with a comment or with what they depend on."""

_LFS: Final = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v\d\n(?:ext-\S+ \S+\n)*oid (?P<hash>\w+):(?P<digest>[0-9a-f]{32,128})\n"
    rb"size (?P<size>\d{1,19})\n"
)
_DVC: Final = re.compile(rb"^outs:[ \t]*\r?\n(?P<first>[ \t]*-[ \t].*(?:\r?\n[ \t]+[^\s-].*)*)", re.MULTILINE)
_FIELD: Final = re.compile(rb"^[ \t]*(?:-[ \t]+)?(\w+):[ \t]+(.+?)[ \t]*\r?$", re.MULTILINE)
_MD5: Final = re.compile("[0-9a-f]{32}(?:\\.dir)?")


class Pointer(NamedTuple):
    """What a pointer says.

    Attributes:
        keeper: "Git LFS" or "DVC".
        hash: What the digest is of, such as "sha256".
        digest: In lower-case hexadecimal digits; of a folder in DVC with ".dir" behind it.
        nbytes: Of what it stands for; None where it does not say.
        path: Of the same, beside the pointer; "" where it takes the pointer's place.
    """

    keeper: str
    hash: str
    digest: str
    nbytes: int | None = None
    path: str = ""

    @property
    def what(self) -> str:
        """Behind "the file is"."""
        named = f"{quote(self.path)}, " if self.path else ""
        return f"a {self.keeper} pointer, not the file it stands for: {named}{self.described}"

    @property
    def described(self) -> str:
        """Size and digest of what is not there."""
        size = f"{counted(self.nbytes, 'byte')}, " if self.nbytes is not None else ""
        return f"{size}{self.hash} {self.digest}"

    def how_to_fetch(self, path: str | None) -> str:
        """The command that brings it.

        Args:
            path: Of the pointer; None where it has none.
        """
        if self.keeper == "DVC":
            return f"dvc pull {shlex.quote(path) if path else 'FILE.dvc'}"
        return f"git lfs pull --include {shlex.quote(os.path.basename(path))}" if path else "git lfs pull"

    def find_kept(self, folder: str) -> str | None:
        """Path of what it stands for, where it has been fetched into a repository; None where it has not.

        Args:
            folder: In the repository, or its top.
        """
        digest = self.digest
        kept = {
            "Git LFS": (f".git/lfs/objects/{digest[:2]}/{digest[2:4]}/{digest}",),
            "DVC": (f".dvc/cache/files/md5/{digest[:2]}/{digest[2:]}", f".dvc/cache/{digest[:2]}/{digest[2:]}"),
        }[self.keeper]
        above = os.path.abspath(folder)
        while True:
            for each in kept:
                if os.path.isfile(path := os.path.join(above, each)) and not digest.endswith(".dir"):
                    return path
            if above == (above := os.path.dirname(above)):
                return None


def read_pointer(text: bytes) -> Pointer | None:
    """What a file says that is a pointer; None of any other.

    Args:
        text: Its first `MAX_BYTES`, or all of it.
    """
    if found := _LFS.match(text):
        return Pointer("Git LFS", found["hash"].decode(), found["digest"].decode(), int(found["size"]))
    if b"\0" in text or (found := _DVC.search(text)) is None:
        return None
    fields = {
        key.decode(): value.decode(errors="replace").strip("'\"") for key, value in _FIELD.findall(found["first"])
    }
    if not _MD5.fullmatch(fields.get("md5", "")) or "path" not in fields:
        return None
    size = fields.get("size", "")
    return Pointer(
        "DVC", "md5", fields["md5"], int(size) if re.fullmatch("[0-9]{1,19}", size) else None, fields["path"]
    )
