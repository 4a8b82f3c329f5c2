"""Initialisation rules: `selector = action` as text, then as frozen dataclasses, then as a plan. No torch.

`parse` reads one rule, `sets` chooses those of a run, `plan` decides which tensor gets which, and with what numbers.
What a rule does to a tensor is `live.init`'s.
"""

from __future__ import annotations
