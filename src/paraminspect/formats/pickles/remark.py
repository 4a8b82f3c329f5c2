"""What readers say of a pickle that names something dangerous.

The tables of names are read only where a pickle names what no reader knows: a file of plain tensors does not pay for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from paraminspect.text import list_some


def note_calls(foreign: Sequence[tuple[str, str]]) -> Iterator[str]:
    """One remark that names up to three dangerous globals of a pickle.

    Args:
        foreign: (module, name) of what the pickle names that is not on the allow-list.
    """
    if not foreign:
        return
    # getattr is how pickle writes a method, torch.relu among them; only `check` follows what is done with it
    from paraminspect.formats.pickles.danger import is_dangerous

    found = [f"{module}.{name}" for module, name in foreign if name != "getattr" and is_dangerous(module, name)]
    if found:
        shown = list_some(found, 3)[:300]
        yield f"loading this file with pickle could run code: it names {shown}; nothing was run"
