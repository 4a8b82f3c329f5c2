"""Names of the tensors of a file without a record for each: for who wants to know what there is, and more of a few.

Which tensors are meant, their roles and ties, is sometimes told by all records together (copies of the model, quantised
weights, ties that are declared). Such files have no brief.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from paraminspect.files.blob import open_blob
from paraminspect.formats.pytorch.classify import TELLING_ENDS
from paraminspect.formats.roles import may_hold_copies
from paraminspect.formats.sniff import HEAD_BYTES
from paraminspect.formats.source import QUANTISED_TYPES
from paraminspect.formats.table import find_containers, formats_in, resolve
from paraminspect.limits import one_effort
from paraminspect.records import TensorRecord
from paraminspect.tuples import NamedTuple


class Brief(NamedTuple):
    """What a file says of its tensors, not looked into yet.

    Attributes:
        names: In any order.
        dtypes: All that tensors have.
        record: Makes that of a name.
    """

    names: Collection[str]
    dtypes: Collection[str]
    record: Callable[[str], TensorRecord]

    def names_of(self, keep: Callable[[TensorRecord], bool]) -> Collection[str]:
        """The names of tensors that are meant.

        Args:
            keep: Decides by kind and role. The first component of a name tells the role, and hardly any end a kind.
        """
        telling = {name for name in self.names if name[name.rfind(".") + 1 :] in TELLING_ENDS}
        heads = {name[: name.find(".") + 1]: name for name in self.names if name not in telling}
        out = {head for head, name in heads.items() if not keep(self.record(name))}
        out.update(name for name in telling if not keep(self.record(name)))
        if not out:
            return self.names
        return [name for name in self.names if (name if name in telling else name[: name.find(".") + 1]) not in out]


def read_brief(path: str) -> Brief | None:
    """That of a file on this machine; None where only all records tell, or its format has none.

    Raises:
        OSError: It cannot be opened.
        ParamInspectError: It is broken, or no regular file.
    """
    with one_effort():
        blob = open_blob(path)
        container = next(find_containers(blob.read_near(0, HEAD_BYTES), blob.size), None)
        row = container and next((row for row in formats_in(container.name) if row.brief), None)
        if row is None:
            return None
        brief: Brief | None = resolve(row.brief)(blob)
    if brief is None or not QUANTISED_TYPES.isdisjoint(brief.dtypes) or may_hold_copies(brief.names):
        return None
    return brief
