"""What torch itself writes."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import torch


def torch_bytes(value: object, **options: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, **options)
    return stream.getvalue()


def legacy_bytes(value: object, **options: Any) -> bytes:
    return torch_bytes(value, _use_new_zipfile_serialization=False, **options)


def script_bytes(module: torch.nn.Module) -> bytes:
    """A TorchScript archive; a module that is none yet is compiled."""
    stream = io.BytesIO()
    with warnings.catch_warnings(action="ignore"):  # deprecated, but its files stay
        torch.jit.save(module if isinstance(module, torch.jit.ScriptModule) else torch.jit.script(module), stream)
    return stream.getvalue()


def not_dense() -> torch.Tensor:
    """A tensor whose values nobody here decodes: a batch of sparse matrices."""
    with warnings.catch_warnings(action="ignore"):  # in beta state for years
        return torch.ones(2, 3, 3).to_sparse_csr()


def save_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    """By its ending: safetensors, or a state dict in torch's format, `.legacy` in its old one."""
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file({name: each.contiguous() for name, each in tensors.items()}, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=path.suffix != ".legacy")
    return path


def raw_bytes(tensor: torch.Tensor) -> bytes:
    """Its values, row after row."""
    plain = tensor.detach().resolve_conj().resolve_neg().contiguous()
    return plain.reshape(-1).view(torch.uint8).numpy().tobytes()
