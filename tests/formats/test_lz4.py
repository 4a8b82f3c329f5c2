"""LZ4 frames, made by the reference library (lz4 4.4), and frames that contradict themselves."""

from __future__ import annotations

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import MalformedError, ParamInspectError, TruncatedError
from paraminspect.files.blob import Blob
from paraminspect.formats.lz4 import MAX_BLOCK, read_lz4

CONTENT = bytes(range(16)) * 12_500 + b"the end"
FRAMES = {
    "linked blocks": b"c-mu8@|AFKI3Uf)!0?}ufsu)sg_Vt+gOiJ!hnJ6EfZ_iL2R8!10l@_fp3%_w|6(*WFhfI<0W&nL3Q96k6;kt3fN~4~6!{go",
    "blocks of their own": b"c-mu8@|DPNaOY)a0D+m(j0_C_85tOvm|0la*f}`4xOsT__yrjLk8p4!02~mb!7~~><Oh!y0};WaRZx<Vs*swO0?Lm7<meht",
    "checksums": b"c-mu8@|B2jaOY)a0D-I0j0_C_85tOvm|0la*f}`4xOsT__yrjLk8p4!02~k!(r$HJz#tk8k^e6sA#&vC?&8r9K@Sm02Fwt#Dk#ZFRY=WCshSg#2+C}I7jAz700bl<oB",
}
"""Of CONTENT, in blocks of 64 KiB and less; deflated and in base 85."""

HEAD = b"\x04\x22\x4d\x18\x60\x40\x82"
END = bytes(4)


def frame(name: str) -> bytes:
    return zlib.decompress(base64.b85decode(FRAMES[name]))


def block(data: bytes, *, plain: bool = False) -> bytes:
    return (len(data) | plain << 31).to_bytes(4, "little") + data


def read(data: bytes) -> tuple[bytes, int]:
    pieces, found = [], read_lz4(Blob.from_bytes(data))
    while True:
        try:
            pieces.append(next(found))
        except StopIteration as end:
            return b"".join(pieces), end.value


@pytest.mark.parametrize("name", FRAMES)
def test_what_the_library_wrote(name: str) -> None:
    assert read(frame(name) + b"behind") == (CONTENT, len(frame(name)))


def test_a_block_that_is_not_compressed() -> None:
    assert read(HEAD + block(b"as it is", plain=True) + block(b"\x20ab\2\0") + END)[0] == b"as it isababab"


@pytest.mark.parametrize("back", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [0, 14, 15, 16, 270, 271])
def test_a_match_that_reaches_into_itself(back: int, count: int) -> None:
    letters = b"abcdefg"[:back]
    token = bytes([back << 4 | min(count, 15)])
    more = b"" if count < 15 else b"\xff" * ((count - 15) // 255) + bytes([(count - 15) % 255])
    data = token + letters + bytes([back, 0]) + more
    assert read(HEAD + block(data) + END)[0] == (letters * 300)[: back + count + 4]


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (HEAD[:4] + b"\x20\x40\x82" + END, MalformedError, "unknown version"),
        (HEAD[:4] + b"\x61\x40\x82" + END, MalformedError, "dictionary"),
        (HEAD + block(b"\x10a\2\0") + END, MalformedError, "begins before its content"),
        (HEAD + block(b"\x10a\0\0") + END, MalformedError, "begins before its content"),
        (HEAD + block(b"\xf0") + END, TruncatedError, "inside a match"),
        (HEAD + block(b"\x30a") + END, TruncatedError, "inside its literals"),
        (HEAD + block(b"\x10a\1") + END, TruncatedError, "inside a match"),
        (HEAD + b"\xff\xff\xff\x7f", MalformedError, "an LZ4 block of 2,147,483,647 bytes"),
        (HEAD + block(b"\x1fa\1\0" + b"\xff" * (MAX_BLOCK // 255 + 300) + b"\0"), MalformedError, "of more than"),
        (HEAD + block(b"\x10a"), TruncatedError, "the file ends"),
    ],
)
def test_frames_that_contradict_themselves(data: bytes, error: type[ParamInspectError], message: str) -> None:
    with pytest.raises(error, match=message):
        read(data)


@given(st.sampled_from(sorted(FRAMES)), st.data())
def test_any_bytes_end_in_content_or_an_error(name: str, draw: st.DataObject) -> None:
    data = bytearray(frame(name))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(4, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        content, end = read(bytes(data))
    except ParamInspectError:
        return
    assert end <= len(data)
    assert len(content) <= MAX_BLOCK * len(data)
