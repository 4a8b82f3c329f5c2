"""A SOURCE, opened: what it is, how it is read or built, which rules apply, and where its values come from."""

from __future__ import annotations
