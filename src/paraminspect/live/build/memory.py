"""How much memory there is, and how much a backward pass takes at least. Imports torch only where a model is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paraminspect.errors import BackwardError
from paraminspect.files.processes import total_memory
from paraminspect.text import format_bytes

if TYPE_CHECKING:
    from torch import nn

_CGROUP = "/sys/fs/cgroup"
_PHRASES = ("not enough memory", "can't allocate memory", "out of memory", "cannot allocate memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory did not do; torch has its own for devices, and none for the CPU."""
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error).lower() for phrase in _PHRASES)


def available_memory(device: str = "cpu") -> int | None:
    """Bytes that can still be had; None where the system does not say."""
    if device == "cuda":
        import torch

        return torch.cuda.mem_get_info()[0]
    if device != "cpu":
        return None
    found = [each for each in (_from_proc(), _from_cgroup()) if each is not None]
    return min(found, default=None)


def held_memory(model: nn.Module, *, trains: bool = False) -> int:
    """Bytes of parameters and buffers, each counted once.

    Args:
        trains: Only of those that have a gradient.
    """
    tensors = {id(each): each for each in [*model.parameters(), *model.buffers()]}
    return sum(each.numel() * each.element_size() for each in tensors.values() if each.requires_grad or not trains)


def needed_memory(model: nn.Module) -> int:
    """Bytes of parameters, buffers and a gradient for each parameter that trains; activations come on top."""
    return held_memory(model) + held_memory(model, trains=True)


def at_most(limit: int) -> int:
    """Bytes that may be taken: so many, or what is left if that is less."""
    available = available_memory()
    return limit if available is None else min(available, limit)


def too_large(needed: int, available: int) -> BackwardError:
    """What to say of a model that will not fit, before anything is allocated.

    Args:
        needed: Bytes, as `needed_memory` says.
        available: Bytes.
    """
    return BackwardError(
        f"parameters and gradients take {format_bytes(needed)}, and {format_bytes(available)} of memory are free",
        hint="a smaller model, such as -D depth=2, or --dtype bfloat16",
    )


def explain_memory(model: nn.Module, device: str = "cpu") -> BackwardError:
    available = available_memory(device)
    free = f"; {format_bytes(available)} are free now" if available is not None else ""
    return BackwardError(
        f"not enough memory: parameters and gradients take {format_bytes(needed_memory(model))}, activations come on "
        f"top{free}",
        hint="a smaller batch (--input), a smaller model, such as -D depth=2, or --dtype bfloat16",
    )


def _from_proc() -> int | None:
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return total_memory()


def _from_cgroup() -> int | None:
    """What a container's limit leaves, cached files not counted, which give way; None where there is no limit."""
    try:
        limit, used = (int(_read(name)) for name in ("memory.max", "memory.current"))
        for line in _read("memory.stat").splitlines():
            what, _, number = line.partition(" ")
            used -= int(number) if what in ("active_file", "inactive_file") else 0
    except (OSError, ValueError):
        return None
    return max(limit - used, 0)


def _read(name: str) -> str:
    with open(f"{_CGROUP}/{name}", encoding="ascii") as file:
        return file.read()
