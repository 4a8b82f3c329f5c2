"""Initialisation of live models and checkpoints: what `rules.steps` decided, done with torch.

`apply` is for a model in memory. The command line takes the same plan to a file, one tensor at a time: `work` says
which tensors a source has, `draw` makes the values of one, `pool` runs many side by side, `run` puts them together.
"""

from __future__ import annotations
