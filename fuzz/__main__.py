"""Fuzz one reader until something else comes out than records or a ParamInspectError.

    python -m venv build/fuzz && build/fuzz/bin/pip install atheris
    .venv/bin/python -m fuzz.seeds build/seeds          # small files of every format, made by torch, numpy and gguf
    PYTHONPATH=src:. build/fuzz/bin/python -m fuzz zip build/seeds/zip -max_total_time=600

What follows the name of the target goes to libFuzzer; a folder is its corpus, to which it adds. An input that breaks
something is written as `crash-*`: put it into `tests/fuzz` once the cause is fixed, where every run reads it again.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

import atheris

with atheris.instrument_imports(include=["paraminspect"]):
    import paraminspect
    from fuzz.targets import TARGETS
    from paraminspect.errors import ParamInspectError

    # what is imported only when it is needed would not be watched, and what it does not be explored
    for module in pkgutil.walk_packages(paraminspect.__path__, "paraminspect."):
        if module.name.split(".")[1] not in ("__main__", "cli", "live"):
            importlib.import_module(module.name)


def main() -> None:
    """Run libFuzzer on the target that is named first."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: python -m fuzz TARGET [libFuzzer arguments]; targets: {', '.join(TARGETS)}")
    target = TARGETS[sys.argv.pop(1)]

    def run(data: bytes) -> None:
        try:
            target(data)
        except ParamInspectError as error:
            if "\n" in str(error):
                raise ValueError("a message of several lines") from error

    atheris.Setup(sys.argv, run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
