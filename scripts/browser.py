"""The browser there is, and how it is started: without a sandbox, as root in a container wants it, and without a network."""

from __future__ import annotations

import shutil
from typing import Final

BROWSER: Final = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS: Final = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND",
]  # fmt: skip
