"""Bounds on what is waited for, fetched and kept of far files.

Times are in seconds. A breach is a `FarError` that says what was waited for.
"""

from __future__ import annotations

CONNECT_S = 10.0
"""For a connection, its TLS included."""

READ_S = 30.0
"""For the next bytes of an answer."""

LEFTOVER_S = 1.0
"""For the rest of an answer that is not wanted."""

MIN_RATE = 16 << 10
"""Bytes a second below which an answer is given up, after the first READ_S."""

BUCKET_S = 45.0
"""For an answer about a bucket, the tries of its library included."""

TRIES = 4
"""Of one request, before its failure is an error."""

MAX_RESUMED = 16
"""Answers in pieces that one range may come in, where the connection is cut again and again."""

FIRST_WAIT_S = 0.5
"""Before the second try; doubled for each further one."""

MAX_WAIT_S = 30.0
"""That a server may ask for by Retry-After."""

MAX_REDIRECTS = 8

READERS = 16
"""Requests that are made side by side."""

FIRST_BYTES = 64 << 10
"""Of the first request for a file: its format, and the whole header of most models."""

JUMP_BYTES = 16 << 10
"""Least that is fetched elsewhere in it."""

GAP_BYTES = 4 << 10
"""Between two parts of a file, such as members of an archive, that follow each other."""

AHEAD_BYTES = 8 << 20
"""Most that is fetched at a time beyond what was asked for, where a file is read front to back."""

KEPT_BYTES = 64 << 20
"""Of all far files, kept in memory in case they are asked for again."""

MERGE_BYTES = 32 << 10
"""Ranges with no more than this between them are fetched as one."""

MAX_SPOOLED = 2 << 30
"""Bytes of a whole file that are fetched from a server without ranges."""

MAX_LISTED = 20_000
"""Entries of a far folder."""

MAX_PAGES = 200
"""Of the list of one folder of the hub."""

MAX_ANSWER = 32 << 20
"""Bytes of an answer that is no file: one page of a listing."""

NOTED_BYTES = 1 << 20
"""A whole file that is larger is worth a remark, where ranges of it were wanted."""
