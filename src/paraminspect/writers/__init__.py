"""Tensors and bytes to checkpoint files that appear whole or not at all.

A `plan_*` function says where every byte of the output lies before the first value exists (a `Layout`); `open_target`
and `open_stream` make the file, folder or stream, and take values as they come. Nothing here imports torch or numpy.
"""

from __future__ import annotations
