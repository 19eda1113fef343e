"""A local stand-in for the model hub: enough of its interface that a trainer's push ends in files we can look at.

It listens on this machine only, keeps what was committed in memory, and knows no accounts: any token is somebody.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class HubStandIn(ThreadingHTTPServer):
    """The server; ``committed`` holds the paths of every file that a commit named."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.committed: list[str] = []
        self.objects: dict[str, int] = {}
        self.requests: list[str] = []

    @property
    def endpoint(self) -> str:
        """The address that ``HF_ENDPOINT`` takes."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: HubStandIn

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            blocks = []
            while size := int(self.rfile.readline().strip() or b"0", 16):
                blocks.append(self.rfile.read(size))
                self.rfile.readline()
            return b"".join(blocks)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, content: Any, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.server.requests.append(f"GET {self.path}")
        if "whoami" in self.path:
            self._answer({"name": "someone", "type": "user", "orgs": [], "auth": {"accessToken": {"role": "write"}}})
        else:
            self._answer({"id": "someone/parity", "sha": "0" * 40, "siblings": []})

    def do_POST(self) -> None:
        self.server.requests.append(f"POST {self.path}")
        body = self._body()
        if "/preupload/" in self.path:
            files = [{"path": file["path"], "uploadMode": "regular"} for file in json.loads(body)["files"]]
            self._answer({"files": [{**file, "shouldIgnore": False} for file in files]})
        elif "/commit/" in self.path:
            self._commit(body)
        else:
            self._answer({"url": f"{self.server.endpoint}/someone/parity", "name": "someone/parity", "id": "1"})

    def _commit(self, body: bytes) -> None:
        for line in body.splitlines():
            entry = json.loads(line)
            if entry.get("key") in ("file", "lfsFile"):
                self.server.committed.append(entry["value"]["path"])
        oid = f"{len(self.server.committed):040d}"
        url = f"{self.server.endpoint}/someone/parity/commit/{oid}"
        self._answer({"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": ""})


@contextmanager
def hub_stand_in() -> Iterator[HubStandIn]:
    """Run the stand-in while the block runs."""
    server = HubStandIn()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
