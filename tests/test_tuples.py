"""Named tuples of ours are those of typing, made without compiling annotations."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import typing

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


def test_another_number_of_values_and_unknown_fields_are_refused() -> None:
    assert Ours._make(["a", None, 4]) == ("a", None, 4)
    with pytest.raises(TypeError, match="3 values are due, not 2"):
        Ours._make(["a", None])
    with pytest.raises(TypeError, match="colour"):
        Ours("a")._replace(colour=1)  # type: ignore[call-arg]


def declare() -> type[Ours]:
    class Fresh(NamedTuple):
        name: str
        shape: tuple[int, ...] | None = None
        count: int = 3

    return typing.cast("type[Ours]", Fresh)


def test_each_begins_in_any_way() -> None:
    made = [
        declare()("a"),
        declare()(name="a", count=3),
        type("Derived", (declare(),), {})("a"),
        declare()._make(["a", None, 3]),
        tuple.__new__(declare(), ("a", None, 3))._replace(name="a"),
    ]
    assert made == [("a", None, 3)] * 5
    assert [repr(each).partition("(")[0] for each in made] == ["Fresh", "Fresh", "Derived", "Fresh", "Fresh"]
    assert type(type(made[2])("b")) is type(made[2])


LATE = """
import collections, functools
made = []
namedtuple = collections.namedtuple
collections.namedtuple = lambda *given, **named: made.append(given[0]) or namedtuple(*given, **named)
from paraminspect.tuples import NamedTuple
class Used(NamedTuple):
    first: int
class Unused(NamedTuple):
    first: int
Used(1), Used(2)
print(*made)
"""


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="it is typing's")
def test_a_constructor_is_made_when_it_is_used() -> None:
    done = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, check=True)
    assert done.stdout == "Used\n"
