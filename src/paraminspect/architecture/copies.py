"""Copies of one layer. Where a layer does not look at its number `$i`, its second copy is the first one under another path.

So a model of 80 equal blocks takes the expansion of one.
"""

from __future__ import annotations

from paraminspect.architecture.model import Value
from paraminspect.architecture.plan import ModulePlan, Step


class Watched(dict[str, Value]):
    """What names stand for; it notices when one of them is looked up.

    Attributes:
        is_asked: Whether one was.
    """

    is_asked = False

    def __getitem__(self, name: str) -> Value:
        value = super().__getitem__(name)
        self.is_asked = True
        return value


def moved(plan: ModulePlan, path: str, length: int | None = None) -> ModulePlan:
    """The same modules, none of which is shared, under another path.

    Args:
        length: Of the path that is left, which all of them have in front.
    """
    cut = len(plan.path) if length is None else length
    steps = tuple([Step(step.name, moved(step.plan, path, cut), *step[2:]) for step in plan.steps])
    return ModulePlan(
        plan.kind, path + plan.path[cut:], plan.type, plan.mark, plan.args, plan.kwargs, steps, *plan[7:]
    )  # fmt: skip
