"""Names that tensors have in a state dict, for classes whose pickles hold them without: in a tuple, or as arguments.

Of any other class they are called by their numbers: "config.0" is the first item of what its `__getstate__` gives.

Source: `__getstate__` and `__reduce__` of the classes, torch 1.6 to 2.13; `state_dict()` of the same objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from paraminspect.formats.pickles.inert import Opaque
from paraminspect.tuples import NamedTuple


class Names(NamedTuple):
    """Names by the numbers of items; "" for what has that of the object itself.

    Attributes:
        arguments: Of what the class is called with.
        state: Of the items of its state.
    """

    arguments: Mapping[int, str] = {}
    state: Mapping[int, str] = {}


_NOTHING: Final = Names()
_CONVOLUTION: Final = Names(state={10: "weight", 11: "bias"})
_SCRIPT_OBJECTS: Final = ("torch.ScriptObject", "torch._C.ScriptObject")
"""What `torch.save` writes of an object that torch keeps in C++: (what it holds, the name of its class)."""

_CLASSES: Final[Mapping[str, Names]] = {
    "torch._dynamo.eval_frame.OptimizedModule": Names({0: "_orig_mod"}),
    **dict.fromkeys(_SCRIPT_OBJECTS, Names(state={0: ""})),
    **{
        f"torch{ao}.nn.quantized.modules.conv.{kind}{size}d": _CONVOLUTION
        for ao in ("", ".ao")
        for kind in ("Conv", "ConvTranspose")
        for size in "123"
    },
}


def is_packed(value: object) -> bool:
    """Whether a module has it as an attribute and in its state dict: parameters in a form that torch keeps in C++."""
    return isinstance(value, Opaque) and value.class_name.startswith((*_SCRIPT_OBJECTS, "torch.classes."))


def known_names(class_name: str) -> Names:
    """The names of a class, by its dotted name."""
    return _CLASSES.get(class_name, _NOTHING)
