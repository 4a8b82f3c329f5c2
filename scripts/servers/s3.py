"""An S3 server on loopback: moto's, in a process of its own.

with S3() as s3:
    s3.put("bucket/model.safetensors", data)
    os.environ.update(s3.environment)
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
from types import TracebackType
from typing import Self

PROGRAM = """
import logging, sys
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
print(server.port, flush=True)
server.serve_forever()
"""


class S3:
    """A server with buckets, as long as the context lasts.

    Attributes:
        url: Of the endpoint, without a slash at the end.
        environment: Variables that lead the AWS libraries to it.
    """

    def __enter__(self) -> Self:
        self._process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        port = self._process.stdout.readline().strip()
        if not re.fullmatch(r"\d+", port):
            raise RuntimeError("the S3 server did not start")
        self.url = f"http://127.0.0.1:{port}"
        self.environment = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "reader",
            "AWS_SECRET_ACCESS_KEY": "a-secret-key",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def put(self, place: str, data: bytes) -> None:
        """Store an object; the bucket, up to the first slash, is made if it is not there."""
        bucket = place.partition("/")[0]
        for path, body in ((bucket, b""), (place, data)):
            headers = {
                "Authorization": "AWS4-HMAC-SHA256 Credential=reader/20250101/us-east-1/s3/aws4_request",
                "Content-Type": "application/octet-stream",
            }
            request = urllib.request.Request(f"{self.url}/{path}", data=body, headers=headers, method="PUT")
            with urllib.request.urlopen(request, timeout=30):
                pass


def is_installed() -> bool:
    """Whether the server and the client can be used here."""
    from importlib.util import find_spec

    return all(find_spec(name) for name in ("moto", "flask", "s3fs")) and os.name == "posix"
