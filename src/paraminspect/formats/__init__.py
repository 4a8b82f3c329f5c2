"""Bytes to records: one file a format. Nothing here imports torch or executes what a file names."""

from __future__ import annotations

from paraminspect.formats.source import open_source

__all__ = ["open_source"]
