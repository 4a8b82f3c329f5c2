"""What a command does, as a function: any SOURCE that is opened, then the layer that answers. Nothing here prints."""

from __future__ import annotations
