"""Decoders against bare loops over the bits: GPTQ, of which no producer runs here, and what is wrong with hostile parts."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paraminspect.errors import ParamInspectError
from paraminspect.formats.source import open_source
from paraminspect.values import quantised
from paraminspect.values.quantised import unpack
from paraminspect.values.read import open_numbers, read_tensor
from paraminspect.values.stored_bytes import Files
from tests.making.quantised_files import PACKED, save_packed

RNG = np.random.default_rng(7)


def gptq_loop(words: Any, zeros: Any, scales: Any, groups: Any, bits: int, *, lowered: bool) -> Any:
    """Bit after bit, as `pack_block` of gptqmodel writes them: a stream down each column, and along each row of zeros."""

    def field(stream: list[int], index: int) -> int:
        return sum((stream[(index * bits + bit) // 32] >> (index * bits + bit) % 32 & 1) << bit for bit in range(bits))

    outputs, inputs = scales.shape[1], len(groups)
    weight = np.empty((outputs, inputs), np.float16)
    for output in range(outputs):
        column = [int(word) & 0xFFFFFFFF for word in words[:, output]]
        for place in range(inputs):
            row = [int(word) & 0xFFFFFFFF for word in zeros[groups[place]]]
            zero = field(row, output)
            zero = (zero + 1) % (1 << bits) if lowered else zero
            weight[output, place] = np.float16(field(column, place) - zero) * scales[groups[place], output]
    return weight


@pytest.mark.parametrize("form", ["gptq", "gptq_v2"])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_gptq(bits: int, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, outputs = 64, 32
    words = RNG.integers(-(2**31), 2**31, (inputs * bits // 32, outputs), np.int32)
    zeros = RNG.integers(-(2**31), 2**31, (3, outputs * bits // 32), np.int32)
    scales = RNG.random((3, outputs)).astype(np.float16)
    groups = RNG.integers(0, 3, inputs, np.int32)
    tensors: Any = {
        "q.qweight": ("I32", words.shape, words.tobytes()), "q.qzeros": ("I32", zeros.shape, zeros.tobytes()),
        "q.scales": ("F16", scales.shape, scales.tobytes()), "q.g_idx": ("I32", groups.shape, groups.tobytes()),
    }  # fmt: skip
    config = {"quantization_config": {"quant_method": "gptq", "bits": bits, "checkpoint_format": form}}
    save_packed(tmp_path / "m", tensors, config)
    record = next(each for each in open_source(tmp_path / "m").tensors if each.logical)
    due = gptq_loop(words, zeros, scales, groups, bits, lowered=form == "gptq")
    assert np.array_equal(read_tensor(record), due)
    monkeypatch.setattr(quantised, "HELD", 5 * inputs)  # several windows
    numbers = open_numbers(record, Files())
    for begin, end in ((0, 1), (63, 700), (1500, 2048), (100, 400)):  # back and forth
        assert np.array_equal(numbers.read(begin, end), due.reshape(-1)[begin:end])


def test_experts_in_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A window may hold rows of two experts."""
    blocks, scales = RNG.integers(0, 256, (2, 8, 3, 16), np.uint8), RNG.integers(120, 130, (2, 8, 3), np.uint8)
    tensors: Any = {
        "e.down_proj_blocks": ("U8", blocks.shape, blocks.tobytes()),
        "e.down_proj_scales": ("U8", scales.shape, scales.tobytes()),
    }
    save_packed(tmp_path / "m", tensors, PACKED["mxfp4"].config)
    record = next(each for each in open_source(tmp_path / "m").tensors if each.logical)
    table = [0, 0.5, 1, 1.5, 2, 3, 4, 6]
    due = np.empty((2, 96, 8), np.float32)
    for expert in range(2):
        for place in range(96):
            for output in range(8):
                byte = int(blocks[expert, output, place // 32, place % 32 // 2])
                code = byte >> 4 if place % 2 else byte & 15
                number = table[code & 7] * 2.0 ** (int(scales[expert, output, place // 32]) - 127)
                due[expert, place, output] = -number if code & 8 else number
    for held in (1 << 21, 64 * 8, 8):
        monkeypatch.setattr(quantised, "HELD", held)
        assert np.array_equal(read_tensor(record).astype(np.float32), due)


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
def test_unpack(bits: int) -> None:
    words = RNG.integers(0, 2**32, (3, bits), np.uint32)
    found = unpack(words, bits)
    for row, packed in zip(found, words, strict=True):
        stream = int.from_bytes(struct.pack(f"<{bits}I", *packed), "little")
        assert row.tolist() == [stream >> bits * place & (1 << bits) - 1 for place in range(32)]


@pytest.mark.parametrize("name", list(PACKED))
def test_zeros_are_decoded_or_refused(name: str, tmp_path: Path) -> None:
    packed = PACKED[name]
    record = next(
        each for each in open_source(save_packed(tmp_path / "m", packed.tensors, packed.config)).tensors if each.logical
    )
    assert read_tensor(record).shape == packed.shape


def broken(name: str, part: str, stored: tuple[str, tuple[int, ...], bytes], folder: Path) -> None:
    packed = PACKED[name]
    tensors: Any = {**packed.tensors, part: stored}
    for record in open_source(save_packed(folder, tensors, packed.config)).tensors:
        if record.logical is not None:
            read_tensor(record)


def test_groups_that_are_not_there(tmp_path: Path) -> None:
    for index in (2, -1, 2**31 - 1):
        data = np.full(64, index, np.int32).tobytes()
        with pytest.raises(ParamInspectError, match="groups that are not there"):
            broken("gptq", "q.g_idx", ("I32", (64,), data), tmp_path / "m")


def test_blocks_that_are_not_as_the_state_says(tmp_path: Path) -> None:
    with pytest.raises(ParamInspectError, match="not as its state says"):
        broken("nf4", "q.weight.absmax", ("F32", (3,), bytes(12)), tmp_path / "m")
    with pytest.raises(ParamInspectError, match="not as its state says"):
        broken("nf4", "q.weight.quant_map", ("F32", (15,), bytes(60)), tmp_path / "m")
