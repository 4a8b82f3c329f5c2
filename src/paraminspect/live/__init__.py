"""Live models: the only package that imports torch.

`open_live` of `build.live_model` takes what the user typed, a spec or a Python factory, to a model and its records.
`build.recognise` decides whether it is one without importing torch, as this file does: every other module is imported
when it is needed.
"""

from __future__ import annotations
