"""Bounds on what a spec may ask for, each of them far above what real models need.

A breach is a `SpecError` at the place that asked, with the limit and, where it is known, the actual number.
"""

from __future__ import annotations

MAX_SPEC_BYTES = 1 << 20
"""Of the text; the largest spec in `configs/` has 3,000."""

MAX_YAML_NODES = 100_000
"""Scalars, lists and mappings, every copy that an alias makes counted."""

MAX_YAML_DEPTH = 64
"""Of lists and mappings inside each other, aliases expanded."""

MAX_NUMBER_LENGTH = 64
"""Characters of one number."""

MAX_NAME_LENGTH = 200
"""Characters of one name of a layer, variable, block or input."""

MAX_REPEAT = 10_000
"""Copies that one `repeat` may ask for (the deepest published transformers have 200)."""

MAX_MODULES = 100_000
"""Modules in the whole model, containers included."""

MAX_MODULE_DEPTH = 64
"""Of modules inside each other: forward, printing and deep copies recurse."""

MAX_VALUES = 1_000_000
"""Arguments and terms of expressions that one model may evaluate."""

MAX_EXPRESSION_LENGTH = 200
"""Characters of one `$(...)`."""

MAX_INTEGER = 2**63 - 1
"""Of any value in an expression: what torch can take as a size."""

MAX_DIMENSIONS = 64
"""Of one tensor, as torch has it."""

MAX_INPUT_NUMEL = 1 << 30
"""Elements of one input, which is drawn before the model runs."""

MAX_TAKE = 8
"""Steps into a nested tuple output."""
