"""What is to be counted, as it is asked for. Imports no torch."""

from __future__ import annotations

from typing import Literal

from paraminspect.errors import SourceError
from paraminspect.live.cost.optimizers import Optimizer
from paraminspect.tuples import NamedTuple

Attention = Literal["auto", "math", "fused"]
"""Which kernel `scaled_dot_product_attention` takes: the one that torch takes on a CPU; the one that keeps the scores;
one that keeps none, with dropout too, for which other devices have one and a CPU has not."""


class CostPlan(NamedTuple):
    """What is counted.

    Attributes:
        optimizer: Whose state.
        dtype: Of floating-point tensors; None leaves them as they are.
        train: Mode of the modules; None leaves it.
        attention: As above.
        batch: Sequences whose keys and values are kept, of a checkpoint; None is one.
        context: Tokens of each; None takes what the config says that it was made for.
    """

    optimizer: Optimizer = "adamw"
    dtype: str | None = None
    train: bool | None = None
    attention: Attention = "auto"
    batch: int | None = None
    context: int | None = None

    def refuse(self, *, runs: bool) -> None:
        """Refuse what has no meaning for a source.

        Args:
            runs: Whether it is a model that runs, not a checkpoint.

        Raises:
            SourceError: It is set.
        """
        plain = CostPlan()
        for name in ("batch", "context") if runs else ("train", "attention"):
            if getattr(self, name) != getattr(plain, name):
                what = "a model that runs" if runs else "a checkpoint"
                hint = "its size is that of --input" if runs else "name a spec or a factory"
                raise SourceError(f"--{name} has no meaning for {what}", hint=hint)
