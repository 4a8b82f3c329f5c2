from __future__ import annotations

from pathlib import Path

from paraminspect.cli.completion.answer import read_script
from paraminspect.files.beside_code import read_beside, read_bytes_beside
from paraminspect.pages import page


def test_reads_what_lies_beside_a_module(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_bytes("caf\u00e9\n".encode())
    assert read_beside(str(tmp_path / "module.py"), "texts/a.txt") == "caf\u00e9\n"
    assert read_bytes_beside(str(tmp_path / "module.py"), "texts/a.txt") == "caf\u00e9\n".encode()


def test_texts_are_there() -> None:
    assert "@DATA@" in read_beside(page.__file__, "page.html")
    assert all("_PARAMINSPECT_COMPLETE" in read_script(shell) for shell in ("bash", "zsh", "fish"))
