"""Fetch an index and the header of each shard that it names, by threads and the standard library; parse and print names."""

import http.client
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import local
from urllib.parse import urlsplit

READERS = 16
FIRST_BYTES = 1 << 16

index = urlsplit(sys.argv[1])
mine = local()


def get(path: str, headers: dict[str, str]) -> bytes:
    """The body of one answer."""
    if not hasattr(mine, "connection"):
        mine.connection = http.client.HTTPConnection(index.netloc, timeout=30)
    mine.connection.request("GET", path, headers=headers)
    body: bytes = mine.connection.getresponse().read()
    return body


def names(shard: str) -> list[str]:
    """Of the tensors of a shard."""
    head = get(index.path.rpartition("/")[0] + "/" + shard, {"Range": f"bytes=0-{FIRST_BYTES - 1}"})
    return list(json.loads(head[8 : 8 + int.from_bytes(head[:8], "little")]))


shards = sorted(set(json.loads(get(index.path, {}))["weight_map"].values()))
with ThreadPoolExecutor(READERS) as pool:
    for found in pool.map(names, shards):
        sys.stdout.write("".join(f"{name}\n" for name in found))
