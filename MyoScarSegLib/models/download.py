"""One file over HTTPS with the standard library: resumed, retried, with progress."""

from __future__ import annotations

import http.client
import ipaddress
import re
import ssl
import time
import urllib.error
import urllib.request
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from MyoScarSegLib import __version__
from MyoScarSegLib.errors import DownloadError, ModelError, OutputError
from MyoScarSegLib.utils.files import os_errors_as
from MyoScarSegLib.utils.json_fields import load, save
from MyoScarSegLib.utils.progress import CancelToken, Progress, check_cancel, no_progress

_BLOCK_BYTES = 1 << 18
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
    the server's tag meanwhile. A cancel is honored with the next bytes that come: whoever cannot wait for a silent server ends
    the process, which loses nothing (:class:`~MyoScarSegLib.utils.background_task.BackgroundTask` does so within a second).

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
    """One file that is asked for again until it is whole."""

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
        opener = urllib.request.build_opener(_SecureRedirects())
        try:
            with opener.open(urllib.request.Request(self.url, headers=headers), timeout=_TIMEOUT_S) as answer:  # noqa: S310 (checked)
                return self._receive(answer, start)
        except (OSError, http.client.HTTPException) as error:
            raise self._meaning(error, start) from error

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

    def _receive(self, answer: http.client.HTTPResponse, start: int) -> bool:
        headers = answer.headers
        if headers.get("Content-Encoding", "identity") != "identity" or headers.get_content_type() == "text/html":
            raise DownloadError(f"{self.url} sends a web page or a packed stream instead of the file. Is there a sign-in page?")
        if answer.status == 206 and not (headers.get("Content-Range") or "").startswith(f"bytes {start}-"):
            self._discard()
            raise _Temporary("the server sent another range than the one asked for")
        if answer.status != 206:
            start = 0
        length = headers.get("Content-Length", "")
        total = start + int(length) if length.isdigit() else self.size
        if self.size is not None and total != self.size:
            self._discard()
            raise DownloadError(
                f"{self.url} has {total} bytes, but the model index says {self.size}: it is another file (a sign-in page?)."
            )
        tag = _tag(headers)
        with self._writing():
            if not start:  # before the new tag is written: it must never stand beside an old beginning
                self._discard()
            if tag:
                save(self.tag_file, _Tag(self.url, tag))
            else:
                self.tag_file.unlink(missing_ok=True)
            out = self.part.open("ab" if start else "wb")
        done = start
        with out:
            self.progress(done, total or 0, self.message)
            while block := answer.read1(_BLOCK_BYTES):  # what is there, without waiting for a full block
                check_cancel(self.cancel)
                done += len(block)
                if total is not None and done > total:
                    raise DownloadError(f"{self.url} sends more than the {total} bytes that it announced.")
                with self._writing():
                    out.write(block)
                    out.flush()
                self.progress(done, total or 0, self.message)
        if total is not None and done < total:
            raise _Temporary(f"the connection broke off after {done} of {total} bytes")
        self.tag_file.unlink(missing_ok=True)
        return start > 0

    def _writing(self) -> AbstractContextManager[None]:
        do = "Free some space, or set MYOSCARSEG_CACHE to another folder."
        return os_errors_as(OutputError, f"Cannot write {self.part}", do)

    def _meaning(self, error: OSError | http.client.HTTPException, start: int) -> Exception:
        """What an error of the connection means."""
        if isinstance(error, urllib.error.HTTPError):
            if error.code == 416 and start:
                self._discard()
                return _Temporary("the server has less than what was already here")
            if error.code in _TEMPORARY_STATUS:
                after = error.headers.get("Retry-After", "") if error.headers else ""
                return _Temporary(f"HTTP {error.code} {error.reason}", float(after) if after.isdigit() else 0.0)
            return DownloadError(f"{self.url} answers HTTP {error.code} {error.reason}.")
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, ssl.SSLCertVerificationError):
            return DownloadError(
                f"The certificate of {urlsplit(self.url).hostname} cannot be verified ({reason.verify_message}). "
                "If your site has its own certificate authority, set SSL_CERT_FILE to its file."
            )
        if isinstance(reason, str):
            return DownloadError(f"{self.url} cannot be fetched: {reason}.")
        return _Temporary(str(reason) or type(reason).__name__)


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
