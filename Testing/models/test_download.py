"""One file over HTTP: resumed, retried, refused, cancelled."""

from __future__ import annotations

import socket
import threading

import numpy as np
import pytest

from MyoScarSegLib.errors import Cancelled, DownloadError
from MyoScarSegLib.models import download as download_module
from MyoScarSegLib.models.download import download
from MyoScarSegLib.utils.progress import CancelToken
from Testing.support.models_server import Behavior, serving

CONTENT = np.random.default_rng(1).bytes(600_000)


@pytest.fixture(autouse=True)
def attempts(monkeypatch):
    """Three quick attempts; ``attempts(2)`` makes it two."""
    monkeypatch.setattr(download_module, "_BACKOFF_S", 0.01)
    set_to = lambda number: monkeypatch.setattr(download_module, "_ATTEMPTS", number)  # noqa: E731
    set_to(3)
    return set_to


@pytest.fixture
def part(tmp_path):
    return tmp_path / "weights.pth.part"


def test_whole_file_arrives_and_progress_ends_at_its_size(part):
    seen = []
    with serving(Behavior(CONTENT)) as server:
        download(server.url, part, size=len(CONTENT), progress=lambda *step: seen.append(step))
    assert part.read_bytes() == CONTENT
    assert seen[0][0] == 0 and seen[-1][:2] == (len(CONTENT), len(CONTENT))
    assert [step[0] for step in seen] == sorted(step[0] for step in seen)
    assert list(part.parent.iterdir()) == [part]


OFTEN = [100_000, 200_000, 300_000, 400_000, 500_000]


@pytest.mark.parametrize(
    ("behavior", "size", "asked"),
    [
        pytest.param({"cuts": [250_000]}, len(CONTENT), [None, "bytes=250000-"], id="continued where it broke"),
        pytest.param({"ranges": False, "cuts": [250_000]}, len(CONTENT), [None, "bytes=250000-"], id="ranges are ignored"),
        pytest.param({"tag": None, "cuts": [250_000]}, len(CONTENT), [None, None], id="the server does not vouch for it"),
        pytest.param({"cuts": OFTEN}, len(CONTENT), [None, *(f"bytes={n}-" for n in OFTEN)], id="breaks often, gets further"),
        pytest.param({"statuses": [503, 429, 200]}, None, [None] * 3, id="temporary errors are tried again"),
        pytest.param({"length": False}, None, [None], id="no announced length"),
    ],
)
def test_file_arrives_whole_whatever_comes_between(part, behavior, size, asked):
    with serving(Behavior(CONTENT, **behavior)) as server:
        download(server.url, part, size=size)
    assert part.read_bytes() == CONTENT and server.asked == asked


def test_interrupted_call_is_continued_by_the_next(part, attempts):
    attempts(1)
    with serving(Behavior(CONTENT, cuts=[250_000, 250_000])) as server:
        with pytest.raises(DownloadError):
            download(server.url, part, size=len(CONTENT))
        attempts(3)
        assert download(server.url, part, size=len(CONTENT))
    assert part.read_bytes() == CONTENT
    assert server.asked[1] == "bytes=250000-"


def test_beginning_of_a_file_that_changed_meanwhile_is_not_continued(part, attempts):
    attempts(1)
    other = CONTENT[::-1]
    with serving(Behavior(CONTENT, cuts=[250_000])) as server:
        with pytest.raises(DownloadError):
            download(server.url, part)
        server.content, server.tag = other, '"two"'
        assert not download(server.url, part)
    assert part.read_bytes() == other


@pytest.mark.parametrize(("size", "asked"), [(len(CONTENT), 1), (None, 2)], ids=["known size", "the server refuses the range"])
def test_beginning_longer_than_the_file_is_dropped(part, size, asked):
    part.write_bytes(CONTENT + b"more")
    with serving(Behavior(CONTENT)) as server:
        download(server.url, part, size=size, blind_resume=True)
    assert part.read_bytes() == CONTENT and len(server.asked) == asked


def test_temporary_errors_end_after_some_attempts(part):
    with serving(Behavior(CONTENT, statuses=[503] * 9)) as server, pytest.raises(DownloadError, match="503"):
        download(server.url, part)
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_final_errors_are_not_tried_again(part, status):
    with serving(Behavior(CONTENT, statuses=[status])) as server, pytest.raises(DownloadError, match=str(status)):
        download(server.url, part)
    assert len(server.asked) == 1


def test_file_of_another_size_is_refused_before_it_is_read(part):
    with serving(Behavior(b"<html>sign in</html>")) as server, pytest.raises(DownloadError, match="has 20 bytes"):
        download(server.url, part, size=len(CONTENT))
    assert not part.exists()


@pytest.mark.parametrize("headers", [{"Content-Type": "text/html; charset=utf-8"}, {"Content-Encoding": "gzip"}])
def test_answer_that_is_not_the_file_itself_is_refused(part, headers):
    with serving(Behavior(CONTENT, headers=headers)) as server, pytest.raises(DownloadError, match="instead of the file"):
        download(server.url, part)
    assert not part.exists()


def test_closed_port_is_a_clear_error(part):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/weights.pth"
        with pytest.raises(DownloadError, match=r"127\.0\.0\.1 cannot be reached"):
            download(url, part)


@pytest.mark.parametrize("url", ["http://example.org/weights.pth", "ftp://example.org/w.pth", "file:///etc/hostname"])
def test_only_https_is_used(part, url):
    with pytest.raises(DownloadError, match="https only"):
        download(url, part)


def test_redirect_away_from_https_is_refused(part):
    away = Behavior(CONTENT, redirect="http://example.org/weights.pth")
    with serving(away) as server, pytest.raises(DownloadError, match="https only"):
        download(server.url, part)


def test_redirect_is_followed(part):
    with serving(Behavior(CONTENT)) as target, serving(Behavior(b"", redirect=target.url)) as server:
        download(server.url, part)
    assert part.read_bytes() == CONTENT


def test_proxy_of_the_environment_is_used(part, monkeypatch):
    with serving(Behavior(CONTENT)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        download("http://localhost:1/weights.pth", part)
    assert part.read_bytes() == CONTENT


def test_cancel_is_honored_and_keeps_what_arrived(part):
    cancel = CancelToken()
    with serving(Behavior(CONTENT, pause_s=0.1)) as server:
        threading.Timer(0.15, cancel.cancel).start()
        with pytest.raises(Cancelled):
            download(server.url, part, size=len(CONTENT), cancel=cancel)
    assert 0 < part.stat().st_size < len(CONTENT)


def test_cancel_between_attempts_does_not_wait_for_the_next(part, monkeypatch):
    cancel, slept = CancelToken(), []
    monkeypatch.setattr(download_module, "_BACKOFF_S", 30.0)

    def progress(done, total, message):
        if message.startswith("Trying again"):
            monkeypatch.setattr(download_module.time, "sleep", slept.append)
            cancel.cancel()

    with serving(Behavior(CONTENT, statuses=[503] * 9)) as server, pytest.raises(Cancelled):
        download(server.url, part, progress=progress, cancel=cancel)
    assert len(server.asked) == 1 and slept == []
