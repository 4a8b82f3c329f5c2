"""Architecture specs: text -> frozen dataclasses with line:column marks, without torch.

`parse.parse_spec` reads the text into a `model.Spec`; `expand.plan_model` resolves blocks, repeats, variables and
wiring into a `plan.ModelPlan`, of which `live/` only has to build the modules.
"""

from __future__ import annotations
