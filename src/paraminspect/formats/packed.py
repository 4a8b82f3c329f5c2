"""Tar archives that pack one model with what belongs to it, as NeMo writes them (`.nemo`): it is read where it lies."""

from __future__ import annotations

import shlex
from typing import Final, NoReturn

from paraminspect.errors import FarError, ParamInspectError, UnknownFormatError
from paraminspect.files.blob import Blob
from paraminspect.files.paths import shown
from paraminspect.formats.sniff import find_reader, read_blob
from paraminspect.formats.table import TAR_MAGIC
from paraminspect.formats.tar_file import TarMember, content_of, expect_end, list_members
from paraminspect.records import Checkpoint
from paraminspect.text import counted, list_some, quote

MAX_NAMED: Final = 3
"""Models that an error names."""


def read_packed(blob: Blob) -> Checkpoint:
    """Tensors of the one model that a tar packs; offsets are those of the archive, so that values can be read.

    Raises:
        UnknownFormatError: It packs none, or several.
    """
    models = _find_models(blob)
    if len(models) != 1:
        _refuse(blob, models)
    (member,) = models
    try:
        checkpoint = read_blob(content_of(blob, member))
    except ParamInspectError as error:
        error.message = f"its member {quote(member.path)}: {error.message}"
        raise
    notes = (f"read from its member {quote(member.path)}", *checkpoint.notes)
    return checkpoint._replace(notes=notes, member=member.path)


def find_model(blob: Blob) -> Blob:
    """Where a file has its model: the one member of a tar that is one, of all else the whole file."""
    at, magic = TAR_MAGIC
    if blob.read_up_to(at, len(magic)) != magic:
        return blob
    models = _find_models(blob)
    return content_of(blob, models[0]) if len(models) == 1 else blob


def _find_models(blob: Blob) -> list[TarMember]:
    """Of several members under one name the last one counts, as for whoever unpacks it."""
    files = {member.path: member for member in list_members(blob) if member.is_file and member.size}
    return [member for member in files.values() if _is_model(blob, member)]


def _is_model(blob: Blob, member: TarMember) -> bool:
    content = content_of(blob, member)
    try:
        row = find_reader(content)
    except FarError:
        raise
    except ParamInspectError:  # broken: its reader says of what
        return True
    return row is not None and row.is_model and row.container != "tar"


def _refuse(blob: Blob, models: list[TarMember]) -> NoReturn:
    if not models:
        expect_end(blob, "a model file in its tar archive")
        raise UnknownFormatError("a tar archive that packs no model file", fault="packed")
    file = "FILE" if blob.path is None else shlex.quote(shown(blob.path))
    raise UnknownFormatError(
        f"a tar archive that packs {counted(len(models), 'model file')}: "
        f"{list_some([quote(each.path) for each in models], MAX_NAMED)}",
        hint=f"unpack one of them and name it: tar -xf {file} {shlex.quote(models[0].name)}",
        fault="packed",
    )
