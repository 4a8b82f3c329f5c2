"""Named tuples of ours are those of typing, made without compiling annotations."""

from __future__ import annotations

import copy
import inspect
import pickle
import subprocess
import sys
import typing
from collections.abc import Callable
from typing import Any

import pytest

from paraminspect.tuples import NamedTuple


class Ours(NamedTuple):
    """Words on it."""

    name: str
    shape: tuple[int, ...] | None = None
    count: int = 3

    @property
    def twice(self) -> int:
        return 2 * self.count

    @classmethod
    def called(cls, name: str) -> Ours:
        return cls(name)

    def __str__(self) -> str:
        return self.name


class Theirs(typing.NamedTuple):
    """Words on it."""

    name: str
    shape: tuple[int, ...] | None = None
    count: int = 3

    @property
    def twice(self) -> int:
        return 2 * self.count

    @classmethod
    def called(cls, name: str) -> Theirs:
        return cls(name)

    def __str__(self) -> str:
        return self.name


def test_is_what_typing_makes() -> None:
    ours, theirs = Ours("a", (1, 2)), Theirs("a", (1, 2))
    assert ours == theirs == ("a", (1, 2), 3)
    assert (str(ours), repr(ours), ours.twice) == (str(theirs), repr(theirs).replace("Theirs", "Ours"), theirs.twice)
    assert Ours.called("b") == Theirs.called("b") == ("b", None, 3)
    assert ours._replace(count=4) == ("a", (1, 2), 4)
    assert ours._asdict() == theirs._asdict()
    for attribute in (
        "_fields",
        "_field_defaults",
        "__doc__",
        "__module__",
        "__match_args__",
        "__slots__",
        "__bases__",
    ):
        assert getattr(Ours, attribute) == getattr(Theirs, attribute), attribute
    assert Ours.__qualname__ == "Ours"


def test_types_are_known() -> None:
    assert typing.get_type_hints(Ours) == typing.get_type_hints(Theirs)


def test_is_copied_and_pickled() -> None:
    value = Ours("a")
    assert pickle.loads(pickle.dumps(value)) == copy.deepcopy(value) == value
    assert type(pickle.loads(pickle.dumps(value))) is Ours


def test_an_argument_that_is_missing_or_unknown_is_refused() -> None:
    with pytest.raises(TypeError, match="name"):
        Ours()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="colour"):
        Ours("a", colour=1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda kind: kind(),
        lambda kind: kind("a", colour=1),
        lambda kind: kind("a", None, 3, 4),
        lambda kind: kind._make(["a"]),
        lambda kind: kind("a")._replace(colour=1),
    ],
    ids=["missing", "unknown", "too-many", "make", "replace"],
)
def test_what_is_wrong_is_said_in_the_same_words(wrong: Callable[[Any], object]) -> None:
    said = []
    for kind in (Ours, Theirs):
        with pytest.raises((TypeError, ValueError)) as refused:
            wrong(kind)
        said.append((type(refused.value), str(refused.value).replace("Theirs", "Ours")))
    assert said[0] == said[1]


def test_signature_and_fields_are_told_alike() -> None:
    asked = [
        [(one.name, one.kind, one.default) for one in inspect.signature(kind).parameters.values()]
        for kind in (Ours, Theirs)
    ]
    assert asked[0] == asked[1]
    assert [inspect.getdoc(getattr(Ours, name)) for name in Ours._fields] == [
        inspect.getdoc(getattr(Theirs, name)) for name in Theirs._fields
    ]
    assert Ours._make(iter(["a", None, 1])) == Theirs._make(["a", None, 1])


def test_fields_are_those_of_their_class() -> None:
    """Two classes of as many fields share what was compiled, and no name."""

    class Other(NamedTuple):
        count: int
        size: int = 1
        name: str = ""

    other = Other(7, name="x")
    assert (other.count, other.size, other.name, repr(other)) == (7, 1, "x", "Other(count=7, size=1, name='x')")
    assert (Ours("a").name, Ours("a").count) == ("a", 3)
    assert not hasattr(Other, "shape")


EVALUATED = """
from __future__ import annotations
import builtins, {module}
class First({module}.NamedTuple):
    first: int
seen = []
eval_ = builtins.eval
builtins.eval = lambda text, *more: seen.append(text) or eval_(text, *more)
class Second({module}.NamedTuple):
    second: int
print(len(seen), Second(second=2).second)
"""


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="typing's own are taken")
def test_a_second_class_of_as_many_fields_compiles_nothing() -> None:
    said = {}
    for module in ("paraminspect.tuples", "typing"):
        script = EVALUATED.format(module=module)
        said[module] = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said == {"paraminspect.tuples": "0 2\n", "typing": "1 2\n"}


COMPILED = """
from __future__ import annotations
import builtins, {module}
seen = []
compile_ = builtins.compile
builtins.compile = lambda text, *more, **named: seen.append(text) or compile_(text, *more, **named)
class Made({module}.NamedTuple):
    first: tuple[int, ...] | None
print(*seen)
"""


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="typing itself compiles no annotations")
def test_annotations_are_not_compiled() -> None:
    said = {}
    for module in ("paraminspect.tuples", "typing"):
        script = COMPILED.format(module=module)
        said[module] = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said == {"paraminspect.tuples": "\n", "typing": "tuple[int, ...] | None\n"}
