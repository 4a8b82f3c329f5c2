"""The key of every stream of random numbers: 256 bits that depend on the run's seed and on one name alone."""

from __future__ import annotations

import hashlib


def stream_key(seed: int, name: str, part: str = "") -> int:
    """sha256 of SEED, a zero byte and NAME, and of a zero byte and PART where that name has several streams; big-endian."""
    text = f"{seed}\0{name}\0{part}" if part else f"{seed}\0{name}"
    return int.from_bytes(hashlib.sha256(text.encode(errors="surrogatepass")).digest(), "big")
