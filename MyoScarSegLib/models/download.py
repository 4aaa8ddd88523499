"""One file over HTTPS with the standard library: resumed, retried, with progress, stopped within a second."""

from __future__ import annotations

import http.client
import ipaddress
import queue
import re
import ssl
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal
from urllib.parse import urlsplit

from MyoScarSegLib import __version__
from MyoScarSegLib.errors import DownloadError, ModelError, OutputError
from MyoScarSegLib.utils.files import write_json
from MyoScarSegLib.utils.json_fields import load, to_json
from MyoScarSegLib.utils.progress import CancelToken, Progress, check_cancel, no_progress

_BLOCK = 1 << 18
_POLL_S = 0.2
_TIMEOUT_S = 30.0
"""Without an answer of the server."""
_ATTEMPTS = 5
"""In a row, none of which gets any further."""
_BACKOFF_S = 0.5
"""Wait after the first of them; doubled each time."""
_TEMPORARY_STATUS = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class _Tag:
    """By what the server knows that its file is still the one that was begun."""

    url: str
    tag: str


class _Temporary(Exception):
    """The attempt failed in a way that another one may mend; ``wait_s`` is what the server asked for."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


def download(
    url: str,
    part: Path,
    *,
    size: int | None = None,
    blind_resume: bool = False,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> bool:
    """Complete the file ``part`` with the content of ``url``; what an interrupted call left there is continued.

    A beginning is continued only if the server vouches, by its entity tag or date, that the content is still the same, or
    with ``blind_resume``, which is for callers who know the checksum of the whole. ``part`` with ``.json`` added keeps
    the server's tag meanwhile. A cancel is honored within a second.

    Args:
        url: ``https``; ``http`` only to this computer itself.
        size: bytes that the content must have, or None; then the total that ``progress`` gets is 0 while it is unknown.

    Returns:
        Whether the last attempt continued an earlier beginning.

    Raises:
        DownloadError: no network, refused, or of another size.
        OutputError: the disk is full or cannot be written.
    """
    _refuse_insecure(url)
    host = urlsplit(url).hostname
    fetch = _Fetch(url, part, size, blind_resume, progress, cancel)
    furthest, failures = 0, 0
    while True:
        check_cancel(cancel)
        try:
            return fetch.attempt()
        except _Temporary as error:
            reached = part.stat().st_size if part.exists() else 0
            failures = 1 if reached > furthest else failures + 1
            furthest = max(furthest, reached)
            if failures >= _ATTEMPTS:
                raise DownloadError(f"{host} cannot be reached or breaks off ({error}). Check the network.") from error
            wait_s = max(_BACKOFF_S * 2 ** (failures - 1), min(error.wait_s, _TIMEOUT_S))
            progress(reached, size or 0, f"Trying again in {wait_s:.1f} s ({error})")
            _sleep(wait_s, cancel)


@dataclass(frozen=True)
class _Fetch:
    """The attempts at one file."""

    url: str
    part: Path
    size: int | None
    blind_resume: bool
    progress: Progress
    cancel: CancelToken | None

    @property
    def tag_file(self) -> Path:
        return self.part.with_name(self.part.name + ".json")

    @property
    def message(self) -> str:
        return f"Downloading {self.part.name.removesuffix('.part')}"

    def attempt(self) -> bool:
        """Ask once for what is missing; True if it continued what was there."""
        start, tag = self._beginning()
        if start and start == self.size:
            self.tag_file.unlink(missing_ok=True)
            return True
        headers = {"User-Agent": f"MyoScarSeg/{__version__}", "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            if tag:
                headers["If-Range"] = tag
        reader = _Reader(urllib.request.Request(self.url, headers=headers), _TIMEOUT_S)  # noqa: S310 (checked)
        try:
            return self._receive(reader, start)
        finally:
            reader.abandon()

    def _beginning(self) -> tuple[int, str | None]:
        """Bytes that can be continued and the tag that the server gave with them."""
        have = self.part.stat().st_size if self.part.exists() else 0
        tag = None
        if have and self.tag_file.exists():
            with suppress(ModelError):
                known = load(_Tag, self.tag_file, ModelError)
                tag = known.tag if known.url == self.url else None
        if have and ((self.size is not None and have > self.size) or not (tag or self.blind_resume)):
            self._discard()
            return 0, None
        return have, tag

    def _discard(self) -> None:
        self.part.unlink(missing_ok=True)
        self.tag_file.unlink(missing_ok=True)

    def _receive(self, reader: _Reader, start: int) -> bool:
        kind, answer = reader.next(self.cancel)
        if kind == "error":
            self._explain(answer, start)
        status, headers = answer
        if headers.get("Content-Encoding", "identity") != "identity" or headers.get_content_type() == "text/html":
            raise DownloadError(f"{self.url} sends a web page or a packed stream instead of the file. Is there a sign-in page?")
        if status == 206 and not (headers.get("Content-Range") or "").startswith(f"bytes {start}-"):
            self._discard()
            raise _Temporary("the server sent another range than the one asked for")
        if status != 206:
            start = 0
        length = headers.get("Content-Length", "")
        total = start + int(length) if length.isdigit() else self.size
        if self.size is not None and total != self.size:
            self._discard()
            raise DownloadError(
                f"{self.url} has {total} bytes, but the model index says {self.size}: it is another file (a sign-in page?)."
            )
        tag = _tag(headers)
        try:
            if not start:  # before the new tag is written: it must never stand beside an old beginning
                self._discard()
            if tag:
                write_json(self.tag_file, to_json(_Tag(self.url, tag)))
            else:
                self.tag_file.unlink(missing_ok=True)
            with self.part.open("ab" if start else "wb") as out:
                done = self._write(reader, out, start, total)
        except OSError as error:
            raise OutputError(
                f"Cannot write {self.part}: {error.strerror}. Free some space, or set MYOSCARSEG_CACHE to another folder."
            ) from error
        if total is not None and done < total:
            raise _Temporary(f"the connection broke off after {done} of {total} bytes")
        self.tag_file.unlink(missing_ok=True)
        return start > 0

    def _write(self, reader: _Reader, out: IO[bytes], done: int, total: int | None) -> int:
        self.progress(done, total or 0, self.message)
        while True:
            kind, block = reader.next(self.cancel)
            if kind == "end":
                return done
            if kind == "error":
                out.flush()
                self._explain(block, 0)
            done += len(block)
            if total is not None and done > total:
                raise DownloadError(f"{self.url} sends more than the {total} bytes that it announced.")
            out.write(block)
            self.progress(done, total or 0, self.message)

    def _explain(self, error: BaseException, start: int) -> None:
        """Raise what ``error`` means."""
        if isinstance(error, DownloadError):
            raise error
        if isinstance(error, urllib.error.HTTPError):
            if error.code == 416 and start:
                self._discard()
                raise _Temporary("the server has less than what was already here")
            if error.code in _TEMPORARY_STATUS:
                after = error.headers.get("Retry-After", "") if error.headers else ""
                raise _Temporary(f"HTTP {error.code} {error.reason}", float(after) if after.isdigit() else 0.0)
            raise DownloadError(f"{self.url} answers HTTP {error.code} {error.reason}.")
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise DownloadError(
                f"The certificate of {urlsplit(self.url).hostname} cannot be verified ({reason.verify_message}). "
                "If your site has its own certificate authority, set SSL_CERT_FILE to its file."
            )
        if isinstance(reason, (OSError, http.client.HTTPException)):
            raise _Temporary(str(reason) or type(reason).__name__)
        if isinstance(reason, str):
            raise DownloadError(f"{self.url} cannot be fetched: {reason}.")
        raise error


_Message = tuple[Literal["answer", "data", "end", "error"], Any]


class _Reader:
    """Reads an answer in a thread of its own, because a blocked read cannot be cancelled.

    An abandoned thread ends with its next block or when its socket times out.
    """

    def __init__(self, request: urllib.request.Request, timeout_s: float) -> None:
        self._queue: queue.Queue[_Message] = queue.Queue(maxsize=16)
        self._abandoned = threading.Event()
        threading.Thread(target=self._run, args=(request, timeout_s), name="download", daemon=True).start()

    def next(self, cancel: CancelToken | None) -> _Message:
        """The next message, or Cancelled as soon as ``cancel`` is set."""
        while True:
            check_cancel(cancel)
            try:
                return self._queue.get(timeout=_POLL_S)
            except queue.Empty:
                continue

    def abandon(self) -> None:
        """Let the thread end."""
        self._abandoned.set()

    def _put(self, message: _Message) -> bool:
        while not self._abandoned.is_set():
            try:
                self._queue.put(message, timeout=_POLL_S)
                return True
            except queue.Full:
                continue
        return False

    def _run(self, request: urllib.request.Request, timeout_s: float) -> None:
        try:
            opener = urllib.request.build_opener(_SecureRedirects())
            with opener.open(request, timeout=timeout_s) as answer:
                self._put(("answer", (answer.status, answer.headers)))
                while block := answer.read1(_BLOCK):  # what is there, without waiting for a full block
                    if not self._put(("data", block)):
                        return
            self._put(("end", None))
        except BaseException as error:  # handed to the thread that waits for it
            self._put(("error", error))


class _SecureRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to https, so that nobody on the way can change the file."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if _is_loopback(newurl) and not _is_loopback(req.full_url):
            raise DownloadError(f"{req.full_url} redirects to {newurl}, which is this computer; refused.")
        _refuse_insecure(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _refuse_insecure(url: str) -> None:
    scheme = urlsplit(url).scheme
    if scheme != "https" and not (scheme == "http" and _is_loopback(url)):
        raise DownloadError(f"{url} is refused: models are fetched over https only.")


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _tag(headers: Any) -> str | None:
    """What makes ``If-Range`` safe: a strong entity tag, else the date of the last change."""
    tag = headers.get("ETag")
    if tag and re.fullmatch(r'"[^"\r\n]*"', tag):
        return str(tag)
    return headers.get("Last-Modified")


def _sleep(seconds: float, cancel: CancelToken | None) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        check_cancel(cancel)
        time.sleep(min(left, _POLL_S))
