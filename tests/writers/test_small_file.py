"""Small files that appear whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from paraminspect.errors import ParamInspectError, TargetError
from paraminspect.writers.small_file import write_whole


def test_write_whole(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_whole(str(path), [b"a", b"", b"b"])
    assert path.read_bytes() == b"ab"
    with pytest.raises(TargetError, match="there already"):
        write_whole(str(path), [b"c"], force=False)

    def failing() -> Iterator[bytes]:
        yield b"c"
        raise ParamInspectError("no value")

    with pytest.raises(ParamInspectError, match="no value"):
        write_whole(str(path), failing())
    assert path.read_bytes() == b"ab"
