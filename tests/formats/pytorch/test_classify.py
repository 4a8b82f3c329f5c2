"""What names tell: a table of names that leave no doubt, and of those that do."""

from __future__ import annotations

import pytest

from paraminspect.formats.pytorch.classify import kind_of, role_of_key, role_of_name


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "kind"),
    [
        ("bn.running_mean", (3,), "float32", "buffer"),
        ("bn.running_var", (3,), "float32", "buffer"),
        ("running_mean", (3,), "float32", "buffer"),
        ("bn.num_batches_tracked", (), "int64", "buffer"),
        ("model.rotary_emb.inv_freq", (32,), "float32", "buffer"),
        ("bert.embeddings.position_ids", (1, 512), "int64", "buffer"),
        ("bert.embeddings.position_ids", (1, 512), "float32", "tensor"),
        ("bert.embeddings.position_embeddings.weight", (512, 768), "float32", "tensor"),
        ("h.0.attn.masked_bias", (), "float32", "buffer"),
        # the causal mask of GPT-2, in each of its types
        ("h.0.attn.bias", (1, 1, 1024, 1024), "float32", "buffer"),
        ("transformer.h.11.attn.bias", (1, 1, 8, 8), "uint8", "buffer"),
        ("attn.bias", (1, 1, 8, 8), "bool", "buffer"),
        # and what is none
        ("h.0.attn.c_attn.bias", (2304,), "float32", "tensor"),
        ("h.0.attn.bias", (1024,), "float32", "tensor"),
        ("h.0.attn.bias", (1, 1, 1024, 512), "float32", "tensor"),
        ("h.0.attn.bias", (1, 1, 1, 1), "float32", "tensor"),
        ("h.0.attn.bias", (1, 12, 8, 8), "float32", "tensor"),
        ("h.0.selfattn.bias", (1, 1, 8, 8), "float32", "tensor"),
        ("h.0.attn.bias", None, "float32", "tensor"),
        ("my_running_mean", (3,), "float32", "tensor"),
        ("running_mean.weight", (3,), "float32", "tensor"),
        ("", (3,), "float32", "tensor"),
    ],
)
def test_kind_of(name: str, shape: tuple[int, ...] | None, dtype: str, kind: str) -> None:
    assert kind_of(name, shape, dtype) == kind


@pytest.mark.parametrize(
    ("key", "holds_tensor", "role"),
    [
        ("optimizer", False, "optimizer"),
        ("optimizer_state_dict", False, "optimizer"),
        ("Optimizer", False, "optimizer"),
        ("optimizer_states", False, "optimizer"),
        ("optimizer", True, None),
        ("lr_scheduler", False, "state"),
        ("scaler", False, "state"),
        ("scaler", True, None),
        ("rng_state", False, "state"),
        ("rng_state", True, "state"),
        ("cuda_rng_state", True, "state"),
        ("dino_loss", False, "state"),
        ("criterion", False, "state"),
        ("lossless", False, None),
        ("opt", False, "optimizer"),
        ("model", False, None),
        ("state_dict", False, None),
        ("", False, None),
    ],
)
def test_role_of_key(key: str, holds_tensor: bool, role: str | None) -> None:
    assert role_of_key(key, holds_tensor=holds_tensor) == role


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("optimizer.state.0.exp_avg", "optimizer"),
        ("optimizer", "model"),
        ("model.optimizer.weight", "model"),
        ("rng_state.cpu", "state"),
        ("loss.weight", "model"),
        ("opt.decoder.weight", "model"),
        ("scaler.weight", "model"),
        ("amp.weight", "model"),
        ("scheduler.w", "model"),
        ("scaler_state_dict.x", "state"),
        ("weight", "model"),
        ("", "model"),
    ],
)
def test_role_of_name(name: str, role: str) -> None:
    assert role_of_name(name) == role
