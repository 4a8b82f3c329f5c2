"""Numbers of quantised blocks, held against the gguf package."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.formats.gguf import GGML_TYPES
from paraminspect.values.blocks import DECODERS, decode_blocks

IDS = {name: (number, block, nbytes) for number, (name, block, nbytes) in GGML_TYPES.items()}
OF_THE_PACKAGE = sorted(set(DECODERS) - {"q8_1", "q8_k"})  # the package does not decode these


def reference(dtype: str, blocks: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    with np.errstate(all="ignore"):
        return gguf.dequantize(blocks, gguf.GGMLQuantizationType(IDS[dtype][0]))


@pytest.mark.parametrize("dtype", OF_THE_PACKAGE)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 5))
def test_any_bytes_are_the_numbers_that_the_gguf_package_gives(dtype: str, seed: int, count: int) -> None:
    _, block, nbytes = IDS[dtype]
    blocks = np.random.default_rng(seed).integers(0, 256, (count, nbytes), np.uint8)
    found = decode_blocks(dtype, blocks)
    assert found.dtype == np.float32
    assert found.shape == (count, block)
    assert np.array_equal(found, reference(dtype, blocks), equal_nan=True)


@pytest.mark.parametrize("dtype", OF_THE_PACKAGE)
def test_extreme_blocks(dtype: str) -> None:
    blocks = np.array([[0], [255], [127], [128], [1]], np.uint8).repeat(IDS[dtype][2], axis=1)
    assert np.array_equal(decode_blocks(dtype, blocks), reference(dtype, blocks), equal_nan=True)


@pytest.mark.parametrize("dtype", ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "tq1_0", "tq2_0", "mxfp4"])
def test_what_the_package_quantises_comes_back(dtype: str) -> None:
    numbers = np.random.default_rng(3).normal(size=(4, 512)).astype(np.float32)
    packed = gguf.quantize(numbers, gguf.GGMLQuantizationType(IDS[dtype][0]))
    found = decode_blocks(dtype, packed.reshape(-1, IDS[dtype][2])).reshape(numbers.shape)
    assert np.array_equal(found, gguf.dequantize(packed, gguf.GGMLQuantizationType(IDS[dtype][0])))


def test_types_of_intermediate_results() -> None:
    """`block_q8_1` and `block_q8_K` of ggml: a scale, (a sum,) and bytes."""
    numbers = np.arange(-16, 16, dtype=np.int8)
    block = np.concatenate([np.array([0.5, 99], "<f2").view(np.uint8), numbers.view(np.uint8)])
    assert decode_blocks("q8_1", block[None]).tolist() == [(numbers * 0.5).tolist()]
    many = np.arange(-128, 128).astype(np.int8)
    block = np.concatenate([np.array([0.25], "<f4").view(np.uint8), many.view(np.uint8), np.full(32, 9, np.uint8)])
    assert decode_blocks("q8_k", block[None]).tolist() == [(many * 0.25).tolist()]
