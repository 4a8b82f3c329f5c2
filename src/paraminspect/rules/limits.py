"""Bounds on what rules may ask for."""

from __future__ import annotations

from typing import Final

MAX_RULE_LENGTH: Final = 1000
"""Characters of one rule."""

MAX_RULES: Final = 10_000
"""Rules of one run."""
