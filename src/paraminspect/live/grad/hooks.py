"""Hooks of the user's own that change gradients, or wait for them: which there are, and what they did."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, MutableMapping, Sequence
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from paraminspect.live.build.forward import iter_tensors
from paraminspect.text import list_some

MAX_NAMED = 3
"""Parameters or modules that a note names."""


class HookWatch:
    """Notes, while it is entered, which hooks on parameters and modules change a gradient.

    Args:
        model: Before `leaving_untouched`, which keeps hooks that wait for a finished gradient from running: these are
            named.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._found: dict[str, dict[str, None]] = {}
        self._waiting: dict[str, list[str]] = {}
        self._kept: list[tuple[MutableMapping[Any, Any], dict[Any, Any]]] = []
        for name, parameter in model.named_parameters():
            for hook in (parameter._post_accumulate_grad_hooks or {}).values():
                self._waiting.setdefault(_describe(hook), []).append(name)

    def __enter__(self) -> HookWatch:
        for name, parameter in self._model.named_parameters():
            self._wrap(parameter._backward_hooks, name)
        for path, module in self._model.named_modules():
            if not isinstance(module, torch.jit.ScriptModule):
                self._wrap(module._backward_hooks, path or "the model")
                self._wrap(module._backward_pre_hooks, path or "the model")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for hooks, kept in self._kept:
            for key, hook in kept.items():
                if key in hooks:
                    hooks[key] = hook
        self._kept.clear()

    def notes(self) -> list[str]:
        """One line for each hook that changed a gradient, and for each that waits."""
        changed = [
            f"{list_some(list(owners), MAX_NAMED)}: the hook {hook} changes the gradient"
            for hook, owners in self._found.items()
        ]
        waiting = [
            f"{list_some(owners, MAX_NAMED)}: the post-accumulate-grad hook {hook} was not run; gradients are those before it"
            for hook, owners in self._waiting.items()
        ]
        return changed + waiting

    def _wrap(self, hooks: MutableMapping[Any, Any] | None, owner: str) -> None:
        if not hooks:
            return
        self._kept.append((hooks, dict(hooks)))
        for key, hook in hooks.items():
            hooks[key] = self._watched(hook, owner)

    def _watched(self, hook: Callable[..., Any], owner: str) -> Callable[..., Any]:
        @functools.wraps(hook, updated=())
        def run(*args: Any) -> Any:
            # of a parameter: its gradient; of a module: itself, the gradients of its inputs if any, of its outputs
            given = args[:1] if isinstance(args[0], Tensor) else args[1:2]
            before = [*iter_tensors(given)]
            versions = [each._version for each in before]
            made = hook(*args)
            written = versions != [each._version for each in before]
            if written or (made is not None and not _are_same(before, [*iter_tensors(made)])):
                self._found.setdefault(_describe(hook), {})[owner] = None
            return made

        return run


def _are_same(before: Sequence[Tensor], after: Sequence[Tensor]) -> bool:
    return len(before) == len(after) and all(
        one is other or (one.shape == other.shape and one.layout == other.layout == torch.strided and torch.equal(one, other))
        for one, other in zip(before, after, strict=True)
    )  # fmt: skip


def _describe(hook: Any) -> str:
    """Its name and the place where it is written."""
    hook = getattr(hook, "func", hook)  # of a functools.partial
    name = getattr(hook, "__name__", type(hook).__name__)
    code = getattr(hook, "__code__", None)
    return name if code is None else f"{name} ({os.path.basename(code.co_filename)}:{code.co_firstlineno})"
