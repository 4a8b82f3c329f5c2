"""Bounds on what rules may ask for."""

from __future__ import annotations

from typing import Final

MAX_RULE_LENGTH: Final = 1000
"""Characters of one rule."""

MAX_DRAWS: Final = 100
"""How often torch may have to draw a value of a truncated normal distribution until one lies inside, on average: it
draws the whole tensor anew as long as one value does not."""

MAX_RULES: Final = 10_000
"""Rules of one run."""
