from __future__ import annotations

import pytest

from paraminspect.formats.pickles.remark import note_calls


@pytest.mark.parametrize("foreign", [[], [("mylib.models", "Net"), ("collections", "Counter")]])
def test_nothing_is_said_of_names_that_run_nothing(foreign: list[tuple[str, str]]) -> None:
    assert list(note_calls(foreign)) == []


def test_three_are_named_and_the_others_counted() -> None:
    foreign = [("mylib", "Net"), ("os", "system"), ("builtins", "eval"), ("subprocess", "Popen"), ("posix", "system")]
    (note,) = note_calls(foreign)
    assert "os.system, builtins.eval, subprocess.Popen and 1 more" in note
    assert note.endswith("nothing was run")
    assert "mylib" not in note
