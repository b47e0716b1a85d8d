"""A hub on this machine: folders served with the addresses and headers of the real one."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

COMMIT = "c0ffee" + "0" * 34
LARGE = ".safetensors"
"""Files of this suffix are named by their SHA-256 as large files are, others by git's SHA-1."""


@dataclass
class FakeHub:
    """What is served, and what was asked for.

    repos: "owner/name" -> folder
    cut: bytes after which the next large file's connection breaks; None lets all pass
    asked: method and path of every request
    resumed: files of which only the rest was asked for
    """

    repos: dict[str, Path] = field(default_factory=dict[str, Path])
    cut: int | None = None
    asked: list[str] = field(default_factory=list[str])
    resumed: list[str] = field(default_factory=list[str])

    def sent(self) -> list[str]:
        """Files that were downloaded, at least in part."""
        return [line.rpartition(COMMIT + "/")[2] for line in self.asked if " GET /" in f" {line}"]

    def answer(self, method: str, path: str, start: int) -> "Answer":
        self.asked.append(f"{method} {path}")
        for repo, folder in self.repos.items():
            if re.match(f"/api/models/{repo}(/revision/[^/]+)?$", path):
                return Answer(body=json.dumps({"id": repo, "sha": COMMIT}).encode())
            if path.startswith(f"/api/models/{repo}/tree/"):
                return Answer(body=json.dumps([_entry(f, folder) for f in _files(folder)]).encode())
            wanted = re.match(f"/{repo}/resolve/[^/]+/(.+)$", path)
            if wanted and (folder / wanted[1]).is_file():
                return self._file(folder / wanted[1], start, method)
        return Answer(status=404, headers={"X-Error-Code": "RepoNotFound"})

    def _file(self, file: Path, start: int, method: str) -> "Answer":
        body = file.read_bytes()
        headers = {"ETag": f'"{_hash(body, file)}"', "X-Repo-Commit": COMMIT}
        keep = None
        if method == "GET" and file.suffix == LARGE and self.cut is not None:
            keep, self.cut = self.cut, None
        if start:
            self.resumed.append(file.name)
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return Answer(status=206 if start else 200, headers=headers, body=body[start:], keep=keep)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A response; `keep` bytes of its body are sent before the connection breaks."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    keep: int | None = None


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _hash(body: bytes, file: Path) -> str:
    if file.suffix == LARGE:
        return hashlib.sha256(body).hexdigest()
    return hashlib.sha1(f"blob {len(body)}\0".encode() + body).hexdigest()


def _entry(file: Path, folder: Path) -> dict[str, Any]:
    body = file.read_bytes()
    name, size = file.relative_to(folder).as_posix(), len(body)
    entry = {"type": "file", "path": name, "size": size, "oid": _hash(body, file)[:40]}
    if file.suffix == LARGE:
        entry["lfs"] = {"oid": _hash(body, file), "size": size, "pointerSize": 134}
    return entry


def _handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._send("HEAD")

        def do_GET(self) -> None:
            self._send("GET")

        def _send(self, method: str) -> None:
            start = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
            path = self.path.partition("?")[0]
            answer = hub.answer(method, path, int(start[1]) if start else 0)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if method == "GET":
                self.wfile.write(answer.body[: answer.keep])
            if answer.keep is not None:
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@contextmanager
def running_hub(cache: Path) -> Iterator[FakeHub]:
    """A hub that huggingface_hub talks to inside the block, with a cache of its own."""
    hub = FakeHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "ENDPOINT", address)
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        patch.setattr(constants, "HF_HUB_CACHE", str(cache))
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
