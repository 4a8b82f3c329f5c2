"""How the site's reference of the library is made of docstrings: what Sphinx asks while it reads them."""

from __future__ import annotations

import re
from typing import Any

TORCH = re.compile(r"(?<![\w.])Tensor\b")
OPENED = ("paraminspect.Model", "paraminspect.Tensor")
"""Made by `open` and nobody else, so that what they are made of is not shown."""


def skip_field(_app: Any, _what: str, _name: str, member: object, _skipped: bool, _options: object) -> bool | None:
    """Leave out a field of a named tuple, which the tuple's docstring explains."""
    return True if type(member).__name__ == "_tuplegetter" else None


def show_signature(
    _app: Any, what: str, name: str, _object: object, _options: object, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """The signature in a form that Sphinx reads, none of what is not for callers; our Tensor is one of Model's methods."""
    if name in OPENED:
        return "", None
    if what in {"function", "class"}:
        signature, returned = (text and TORCH.sub("torch.Tensor", text) for text in (signature, returned))
    return signature and signature.replace("<factory>", "..."), returned


def find_by_last_name(app: Any, env: Any, node: Any, content: Any) -> Any:
    """What a docstring calls by its last name alone: an exception, a class of another module."""
    package, _, last = str(node["reftarget"]).rpartition(".")
    if node.get("refdomain") != "py" or not f"{package}.".startswith((".", "paraminspect.")):
        return None
    domain = env.domains.python_domain
    found = [name for name in domain.objects if name.rpartition(".")[2] == last and not domain.objects[name].aliased]
    if len(found) != 1:
        return None
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", found[0], node, content)
