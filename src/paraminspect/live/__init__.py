"""Live models: the only package that imports torch.

`open_live` of `build.live_model` takes what the user typed, a spec or a Python factory, to a model and its records.
`models.recognise` decides whether it is one, without importing torch.
"""

from __future__ import annotations
