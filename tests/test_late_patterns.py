from __future__ import annotations

import re
import subprocess
import sys
import threading

import pytest

from paraminspect.late_patterns import LatePattern, late_patterns
from tests.making.running import modules_of


def test_a_pattern_is_compiled_when_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "active_count", lambda: 1)  # other tests may have left some
    compiled = re.compile
    with late_patterns():
        late = re.compile("(a+)b", re.IGNORECASE)
    assert re.compile is compiled
    assert isinstance(late, LatePattern)
    assert late.match("AAb")[1] == "AA"
    assert late.pattern == "(a+)b"


def test_one_that_is_used_at_once_is_compiled_at_once() -> None:
    with late_patterns():
        assert re.compile("a").match("ab") is not None


def test_other_threads_do_not_notice() -> None:
    ended = threading.Event()
    other = threading.Thread(target=ended.wait)
    other.start()
    with late_patterns():
        assert isinstance(re.compile("a"), re.Pattern)
    ended.set()
    other.join()


def test_the_rest_of_pyyaml_works() -> None:
    statement = (
        "import paraminspect.architecture.yaml_events, yaml, datetime; "
        "assert yaml.safe_load('{a: 1.5, b: 2026-11-29, c: [yes, 0x1f]}') == "
        "{'a': 1.5, 'b': datetime.date(2026, 11, 29), 'c': [True, 31]}; "
        "assert yaml.load('a: 1', Loader=yaml.SafeLoader) == {'a': 1}; assert yaml.safe_dump({'a': 'yes'}) == \"a: 'yes'\\n\""
    )
    assert "yaml" in modules_of(statement)


AUDIT = """
import inspect, re, sys
from paraminspect.late_patterns import LatePattern, late_patterns
with late_patterns():
    import paraminspect.cli.app
    import paraminspect.architecture.yaml_events
for name, module in list(sys.modules.items()):
    held = [module, *(each for each in vars(module).values() if isinstance(each, type) and each.__module__ == name)]
    for late in {key for each in held for key, value in list(vars(each).items()) if isinstance(value, LatePattern)}:
        print(name, late)
        code = inspect.getsource(module)
        for found in re.findall(rf"\\bre\\.\\w+\\((?:\\w+\\.)*{late}\\b|isinstance\\([^)]*Pattern", code):
            sys.exit(f"{name} gives {late} to a function of re: {found}")
"""


def test_no_late_pattern_is_given_to_a_function_of_re() -> None:
    done = subprocess.run([sys.executable, "-c", AUDIT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "textwrap wordsep_re" in done.stdout
