"""Bounds on what a live model may ask for, each of them far above what real models need."""

from __future__ import annotations

from typing import Final

MAX_MODEL_BYTES: Final = 32 << 30
"""Parameters and buffers of a model that is allocated; on the meta device there is no such bound (7B parameters in
float32 take 27 GB)."""

MAX_LAYER_TENSORS: Final = 20_000
"""Tensors that the constructor of one layer may make, copies included: stops `{LSTM: [1, 1, 1000000000]}`, whose
constructor takes quadratic time. Each layer inside a Transformer makes some 30."""

MAX_MODEL_TENSORS: Final = 1_000_000
"""Tensors that the constructors of one spec may make altogether."""

MAX_MODULE_PATHS: Final = 200_000
"""Names that modules go by, a shared one counted at every use: containers that hold one shared module twice, inside
each other, have 2^depth of them, and torch walks every one."""

MAX_COMPLAINT_LENGTH: Final = 200
"""Characters of another library's error message that are repeated."""

MAX_HEAD_BYTES: Final = 4096
"""What is read of a file to see whether it is text at all."""

MAX_MODULE_NESTING: Final = 300
"""Modules inside each other in a factory's model; forward and printing recurse."""

MAX_PART_BYTES: Final = 4 << 30
"""Parts of gradients that are kept until the whole is known; a tied embedding of 128,000 x 4,096 in float32 has two of
2 GiB."""
