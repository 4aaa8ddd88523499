"""What the tests of the model registry share: a badly behaved server, an index, and a wheel."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from Testing.support.wheel_factory import make_wheel


@dataclass
class Behavior:
    """How the server answers; each answer uses up one of ``statuses`` and one of ``cuts``."""

    content: bytes
    ranges: bool = True
    tag: str | None = '"one"'
    statuses: list[int] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    redirect: str | None = None
    length: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    pause_s: float = 0.0
    asked: list[str | None] = field(default_factory=list)
    url: str = ""


@contextlib.contextmanager
def serving(behavior: Behavior) -> Iterator[Behavior]:
    """Serve ``behavior`` at ``behavior.url``; ``asked`` collects the Range header of each request, or None."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self):
            asked = self.headers.get("Range")
            behavior.asked.append(asked)
            if behavior.redirect:
                self.send_response(302)
                self.send_header("Location", behavior.redirect)
                self.end_headers()
                return
            status = behavior.statuses.pop(0) if behavior.statuses else 200
            if status != 200:
                self.send_error(status)
                return
            body, start = behavior.content, 0
            same = self.headers.get("If-Range") in (None, behavior.tag)
            if asked and behavior.ranges and same:
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
                if start >= len(body):
                    self.send_error(416)
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            else:
                self.send_response(200)
            if behavior.length:
                self.send_header("Content-Length", str(len(body) - start))
            for name, value in behavior.headers.items():
                self.send_header(name, value)
            if behavior.tag:
                self.send_header("ETag", behavior.tag)
            self.end_headers()
            end = behavior.cuts.pop(0) if behavior.cuts else len(body)
            with contextlib.suppress(ConnectionError):
                for at in range(start, end, 50_000):
                    self.wfile.write(body[at : min(at + 50_000, end)])
                    self.wfile.flush()
                    time.sleep(behavior.pause_s)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    behavior.url = f"http://127.0.0.1:{server.server_address[1]}/weights.pth"
    try:
        yield behavior
    finally:
        server.shutdown()
        server.server_close()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_index(path: Path, *sources: dict, **changes) -> Path:
    """An index whose models are called ``model-0``, ``model-1``, ... with these sources."""
    models = [
        {
            "name": f"model-{number}",
            "title": "A model",
            "task": "segment",
            "architecture": "sam-vit-b",
            "preprocessing": "sam",
            "licence": "MIT",
            "citation": "none",
            "source": source,
            "sha256": None,
            "size": None,
            **changes,
        }
        for number, source in enumerate(sources)
    ]
    path.write_text(json.dumps({"version": 1, "models": models}))
    return path


def write_wheel(folder: Path, content: bytes) -> Path:
    """A wheel ``tiny-weights`` 1.0 that pip accepts, with ``content`` as ``tiny_weights/weights.pth``."""
    folder.mkdir(exist_ok=True)
    return make_wheel(folder, "tiny-weights", "1.0", files={"tiny_weights/weights.pth": content})
