"""Keys of streams."""

from __future__ import annotations

import hashlib

from paraminspect.rules.seeds import stream_key


def test_a_key_is_a_hash_with_a_zero_byte_between() -> None:
    for seed, name in ((0, ""), (7, "h.0.weight"), (12, "3\0x"), (0, "lone\udc80")):
        data = str(seed).encode() + b"\0" + name.encode(errors="surrogatepass")
        assert stream_key(seed, name) == int(hashlib.sha256(data).hexdigest(), 16)
        assert stream_key(seed, name, "part 1/4") == int(hashlib.sha256(data + b"\0part 1/4").hexdigest(), 16)
    assert stream_key(1, "1x") != stream_key(11, "x")
