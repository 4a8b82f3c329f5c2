"""The bytes of a live model's tensors, as `sharing.equal` wants them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import torch

from paraminspect.errors import CheckpointError
from paraminspect.live.build.live_model import LiveModel
from paraminspect.records import TensorRecord

PIECE_BYTES = 1 << 20
"""Given at a time."""


class LiveContents:
    """Draws or reads tensors one at a time, each as a whole; may be used from several threads."""

    def __init__(self, live: LiveModel) -> None:
        self._live = live
        self._lock = threading.Lock()

    def pieces(self, record: TensorRecord) -> Iterator[bytes]:
        """All elements, row-major.

        Raises:
            CheckpointError: It is not dense, or has no values.
        """
        data = self._data(record)
        for at in range(0, len(data), PIECE_BYTES):
            yield data[at : at + PIECE_BYTES]

    def start(self, record: TensorRecord, length: int) -> bytes:
        """The first bytes."""
        return self._data(record)[:length]

    def _data(self, record: TensorRecord) -> bytes:
        with self._lock:
            tensor = self._live.tensor(record.name).detach().cpu()
        if tensor.layout != torch.strided or tensor.is_quantized:
            raise CheckpointError("it is not dense")
        plain = tensor.resolve_conj().resolve_neg().reshape(-1)
        return plain.view(torch.uint8).numpy().tobytes()
