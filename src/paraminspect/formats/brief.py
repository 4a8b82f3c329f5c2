"""Names of the tensors of a file without a record for each: for who wants to know what there is, and more of a few.

Which tensors are meant, their roles and ties, is sometimes told by all records together (copies of the model, quantised
weights, ties that are declared). Such files have no brief.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from paraminspect.formats.pytorch.classify import TELLING_ENDS
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
