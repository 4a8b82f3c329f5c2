"""What several processes do together: with torch's own store and, for models in memory, its process groups."""

from __future__ import annotations
