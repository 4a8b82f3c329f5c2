"""A Hugging Face hub on loopback: as much of its interface as reading a model's files needs.

    with Hub({"org/name": {"config.json": b"{}", "model.safetensors": data}}) as hub:
        os.environ["HF_ENDPOINT"] = hub.url

Source: the requests of huggingface_hub 2.4, `HfApi.repo_info`, `HfApi.list_repo_tree`, `HfApi.get_paths_info`,
`get_hf_file_metadata`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from urllib.parse import parse_qs, unquote

from scripts.servers.ranges import Content, Handler, RangeServer, StoredBytes

DATE = "2025-01-01T00:00:00.000Z"


class Hub(RangeServer):
    """Repositories of models.

    Args:
        repositories: "org/name" -> path in it -> content; each has the one revision `main`.
        token: Needed for every request, if it is not "".
        gated: Names of repositories that are refused to who has not accepted their terms.
    """

    def __init__(
        self,
        repositories: Mapping[str, Mapping[str, bytes | Content]],
        *,
        token: str = "",
        gated: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.repositories = {
            name: {path: StoredBytes(one) if isinstance(one, bytes) else one for path, one in files.items()}
            for name, files in repositories.items()
        }
        self.token = token
        self.gated = gated

    def commit(self, name: str) -> str:
        """Of the revision `main`: 40 hexadecimal digits that follow from the files."""
        files = self.repositories[name]
        return hashlib.sha1("".join(f"{path}{files[path].etag}" for path in sorted(files)).encode()).hexdigest()

    def answer(self, request: Handler) -> None:
        """One request of the interface."""
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        parts = request.path.partition("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self._answer_about(request, [unquote(part) for part in parts[2:]], body)
        elif len(parts) > 4 and parts[2] == "resolve":
            name, revision, path = "/".join(parts[:2]), unquote(parts[3]), unquote("/".join(parts[4:]))
            if self._may(request, name) and self._has_revision(request, name, revision):
                self._send_file(request, name, path)
        else:
            request.reply(404, b"Not Found")

    def _answer_about(self, request: Handler, parts: list[str], body: bytes) -> None:
        name, what, rest = "/".join(parts[:2]), parts[2] if len(parts) > 2 else "", parts[3:]
        if not self._may(request, name):
            return
        if what and rest and not self._has_revision(request, name, rest[0]):
            return
        commit, files = self.commit(name), self.repositories[name]
        if what in ("", "revision"):
            siblings = [{"rfilename": path} for path in files]
            head = {"_id": "1", "id": name, "sha": commit, "lastModified": DATE, "private": False, "tags": []}
            _send_json(request, {**head, "downloads": 0, "likes": 0, "siblings": siblings})
        elif what == "refs":
            _send_json(
                request,
                {
                    "branches": [{"name": "main", "ref": "refs/heads/main", "targetCommit": commit}],
                    "converts": [],
                    "tags": [],
                },
            )
        elif what == "tree":
            recursive = "true" in parse_qs(request.path.partition("?")[2]).get("recursive", [""])[0].lower()
            _send_json(request, self._list(name, "/".join(rest[1:]), recursive=recursive))
        elif what == "paths-info":
            asked = json.loads(body)["paths"] if body.startswith(b"{") else parse_qs(body.decode()).get("paths", [])
            asked = [asked] if isinstance(asked, str) else asked
            entries = {str(entry["path"]): entry for entry in self._list(name, "", recursive=True)}
            _send_json(request, [entries[path] for path in asked if path in entries])
        else:
            request.reply(404, b"Not Found")

    def _list(self, name: str, folder: str, *, recursive: bool) -> list[dict[str, object]]:
        inside = f"{folder}/" if folder else ""
        entries: dict[str, dict[str, object]] = {}
        for path, content in self.repositories[name].items():
            if not path.startswith(inside):
                continue
            steps = path.removeprefix(inside).split("/")
            for depth in range(1, len(steps)):
                if depth == 1 or recursive:
                    parent = inside + "/".join(steps[:depth])
                    entries[parent] = {"type": "directory", "oid": "0" * 40, "size": 0, "path": parent}
            if len(steps) == 1 or recursive:
                oid = hashlib.sha1(content.etag.encode()).hexdigest()
                entry: dict[str, object] = {"type": "file", "oid": oid, "size": content.size, "path": path}
                if content.size > 1_000_000:
                    sha = hashlib.sha256(content.etag.encode()).hexdigest()
                    entry["lfs"] = {"oid": sha, "size": content.size, "pointerSize": 134}
                entries[path] = entry
        return list(entries.values())

    def _send_file(self, request: Handler, name: str, path: str) -> None:
        content = self.repositories[name].get(path)
        if content is None:
            _refuse(request, 404, "EntryNotFound", "Entry not found")
            return
        request.extra_headers = {"X-Repo-Commit": self.commit(name)}
        request.reply_with(content)

    def _may(self, request: Handler, name: str) -> bool:
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            _refuse(request, 401, "RepoNotFound", "Invalid username or password.")
        elif name not in self.repositories:
            _refuse(request, 404, "RepoNotFound", "Repository not found")
        elif name in self.gated:
            _refuse(request, 403, "GatedRepo", f"Access to model {name} is restricted.")
        else:
            return True
        return False

    def _has_revision(self, request: Handler, name: str, revision: str) -> bool:
        if revision in ("main", "refs/heads/main", self.commit(name)):
            return True
        _refuse(request, 404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return False


def _send_json(request: Handler, what: object) -> None:
    request.reply(200, json.dumps(what).encode(), {"Content-Type": "application/json"})


def _refuse(request: Handler, status: int, code: str, message: str) -> None:
    headers = {"X-Error-Code": code, "X-Error-Message": message, "Content-Type": "application/json"}
    request.reply(status, json.dumps({"error": message}).encode(), headers)
