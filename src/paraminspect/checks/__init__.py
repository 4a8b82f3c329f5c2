"""Whether a file is whole, sane and safe: findings, none of which takes running any of it.

`container` finds everything in a file that a loader could take for a pickle, `pickles` says what those would do, `zips`,
`tars` and `script` look at what stands around them, `headers` and `copies` at what
the file says of its tensors, and `values` and `zips.check_sums` (only when asked) at every byte.
"""

from __future__ import annotations
