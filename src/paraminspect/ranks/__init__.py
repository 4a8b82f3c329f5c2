"""Several processes that torchrun started: which one this is, and how they agree on one answer. No torch in here.

`launched` reads what torchrun says in the environment. `meeting` is how the processes, which torch calls ranks, tell each
other what they found and end with one status. `live.ranks` has the store that they talk through, and what they do together.
"""

from __future__ import annotations
