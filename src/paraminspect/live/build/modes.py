"""The one base of our dispatch modes: watching what runs imports no compiler."""

from __future__ import annotations

from torch.utils._python_dispatch import TorchDispatchMode


class Mode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A dispatch mode that torch does not hide from its compiler, which it would import for that at the first operation.

    That takes 1.2 s, more than `import torch`, and there is nothing to hide: what is compiled runs as it is written
    (`CallPaths`).
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False
