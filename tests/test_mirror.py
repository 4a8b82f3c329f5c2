"""`tests/` mirrors `src/`: what `src/paraminspect/a/b.py` decides is tested by `tests/a/test_b.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / "paraminspect"

WITHOUT: dict[str, str] = {
@@
}
"""Why -> modules that have no test of their own name. A line may go when its test is there; none may be added."""


def modules() -> set[str]:
    return {str(path.relative_to(SOURCE).with_suffix("")) for path in SOURCE.rglob("*.py") if path.stem != "__init__"}


def has_test(module: str) -> bool:
    folder, _, name = module.rpartition("/")
    return (TESTS / folder / f"test_{name}.py").exists()


def test_every_module_has_a_test_of_its_name_or_a_reason() -> None:
    listed = " ".join(WITHOUT.values()).split()
    assert sorted(set(listed)) == sorted(listed)
    assert {module for module in modules() if not has_test(module)} == set(listed)


@pytest.mark.parametrize("why", [why for why in WITHOUT if why.startswith("tested by ")])
def test_a_reason_names_a_test_that_is_there(why: str) -> None:
    for file in why.removeprefix("tested by ").split(" and "):
        assert (TESTS / file).exists(), file
