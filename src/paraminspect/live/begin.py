"""torch's import, which a run of the command line waits for."""

from __future__ import annotations

import gc


def import_torch() -> None:
    """Import it as fast as that goes, and collect garbage from then on: models are full of cycles.

    Of what the import leaves, some 250,000 objects, nothing ever is garbage, and looking at them would take longer than most
    models do. A run of the command line begins without collecting; in anybody else's process that is theirs to decide.
    """
    import torch  # noqa: F401

    if not gc.isenabled():
        gc.freeze()
        gc.enable()
