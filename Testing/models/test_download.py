"""One file over HTTP: resumed, retried, refused, cancelled."""

from __future__ import annotations

import socket
import threading
import time

import numpy as np
import pytest

from MyoScarSegLib.errors import Cancelled, DownloadError
from MyoScarSegLib.models.download import Patience, download
from MyoScarSegLib.utils.progress import CancelToken
from Testing.support.models_server import Behaviour, serving

CONTENT = np.random.default_rng(1).bytes(600_000)
QUICK = Patience(timeout_s=5, attempts=3, backoff_s=0.01)


@pytest.fixture
def part(tmp_path):
    return tmp_path / "weights.pth.part"


def test_whole_file_arrives_and_progress_ends_at_its_size(part):
    seen = []
    with serving(Behaviour(CONTENT)) as server:
        download(server.url, part, size=len(CONTENT), progress=lambda *step: seen.append(step), patience=QUICK)
    assert part.read_bytes() == CONTENT
    assert seen[0][0] == 0 and seen[-1][:2] == (len(CONTENT), len(CONTENT))
    assert [step[0] for step in seen] == sorted(step[0] for step in seen)
    assert list(part.parent.iterdir()) == [part]


def test_broken_connection_is_continued_where_it_broke(part):
    with serving(Behaviour(CONTENT, cuts=[250_000])) as server:
        download(server.url, part, size=len(CONTENT), patience=QUICK)
    assert part.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=250000-"]


def test_server_that_ignores_ranges_is_read_from_the_start(part):
    with serving(Behaviour(CONTENT, ranges=False, cuts=[250_000])) as server:
        download(server.url, part, size=len(CONTENT), patience=QUICK)
    assert part.read_bytes() == CONTENT


def test_interrupted_call_is_continued_by_the_next(part):
    with serving(Behaviour(CONTENT, cuts=[250_000, 250_000])) as server:
        with pytest.raises(DownloadError):
            download(server.url, part, size=len(CONTENT), patience=Patience(5, attempts=1))
        assert download(server.url, part, size=len(CONTENT), patience=QUICK)
    assert part.read_bytes() == CONTENT
    assert server.asked[1] == "bytes=250000-"


def test_beginning_of_a_file_that_changed_meanwhile_is_not_continued(part):
    other = CONTENT[::-1]
    with serving(Behaviour(CONTENT, cuts=[250_000])) as server:
        with pytest.raises(DownloadError):
            download(server.url, part, patience=Patience(5, attempts=1))
        server.content, server.tag = other, '"two"'
        assert not download(server.url, part, patience=QUICK)
    assert part.read_bytes() == other


def test_beginning_that_the_server_does_not_vouch_for_is_not_continued(part):
    with serving(Behaviour(CONTENT, tag=None, cuts=[250_000])) as server:
        download(server.url, part, size=len(CONTENT), patience=QUICK)
    assert part.read_bytes() == CONTENT
    assert server.asked == [None, None]


def test_beginning_longer_than_the_file_is_dropped(part):
    part.write_bytes(CONTENT + b"more")
    with serving(Behaviour(CONTENT)) as server:
        download(server.url, part, size=len(CONTENT), blind_resume=True, patience=QUICK)
    assert part.read_bytes() == CONTENT


def test_range_that_the_server_cannot_satisfy_starts_again(part):
    part.write_bytes(CONTENT + b"more")
    with serving(Behaviour(CONTENT)) as server:
        download(server.url, part, blind_resume=True, patience=QUICK)
    assert part.read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_temporary_errors_are_tried_again(part):
    with serving(Behaviour(CONTENT, statuses=[503, 429, 200])) as server:
        download(server.url, part, patience=QUICK)
    assert part.read_bytes() == CONTENT
    assert len(server.asked) == 3


def test_temporary_errors_end_after_some_attempts(part):
    with serving(Behaviour(CONTENT, statuses=[503] * 9)) as server, pytest.raises(DownloadError, match="503"):
        download(server.url, part, patience=QUICK)
    assert len(server.asked) == 3


def test_connection_that_breaks_often_but_gets_further_is_kept_up(part):
    cuts = [100_000, 200_000, 300_000, 400_000, 500_000]
    with serving(Behaviour(CONTENT, cuts=cuts)) as server:
        download(server.url, part, size=len(CONTENT), patience=Patience(5, attempts=2, backoff_s=0.01))
    assert part.read_bytes() == CONTENT


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_final_errors_are_not_tried_again(part, status):
    with serving(Behaviour(CONTENT, statuses=[status])) as server, pytest.raises(DownloadError, match=str(status)):
        download(server.url, part, patience=QUICK)
    assert len(server.asked) == 1


def test_file_of_another_size_is_refused_before_it_is_read(part):
    with serving(Behaviour(b"<html>sign in</html>")) as server, pytest.raises(DownloadError, match="has 20 bytes"):
        download(server.url, part, size=len(CONTENT), patience=QUICK)
    assert not part.exists()


@pytest.mark.parametrize("headers", [{"Content-Type": "text/html; charset=utf-8"}, {"Content-Encoding": "gzip"}])
def test_answer_that_is_not_the_file_itself_is_refused(part, headers):
    with serving(Behaviour(CONTENT, headers=headers)) as server, pytest.raises(DownloadError, match="instead of the file"):
        download(server.url, part, patience=QUICK)
    assert not part.exists()


def test_length_that_is_not_announced_is_no_hindrance(part):
    with serving(Behaviour(CONTENT, length=False)) as server:
        download(server.url, part, patience=QUICK)
    assert part.read_bytes() == CONTENT


def test_closed_port_is_a_clear_error(part):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/weights.pth"
        with pytest.raises(DownloadError, match=r"127\.0\.0\.1 cannot be reached"):
            download(url, part, patience=QUICK)


@pytest.mark.parametrize("url", ["http://example.org/weights.pth", "ftp://example.org/w.pth", "file:///etc/hostname"])
def test_only_https_is_used(part, url):
    with pytest.raises(DownloadError, match="https only"):
        download(url, part, patience=QUICK)


def test_redirect_away_from_https_is_refused(part):
    away = Behaviour(CONTENT, redirect="http://example.org/weights.pth")
    with serving(away) as server, pytest.raises(DownloadError, match="https only"):
        download(server.url, part, patience=QUICK)


def test_redirect_is_followed(part):
    with serving(Behaviour(CONTENT)) as target, serving(Behaviour(b"", redirect=target.url)) as server:
        download(server.url, part, patience=QUICK)
    assert part.read_bytes() == CONTENT


def test_proxy_of_the_environment_is_used(part, monkeypatch):
    with serving(Behaviour(CONTENT)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        download("http://localhost:1/weights.pth", part, patience=QUICK)
    assert part.read_bytes() == CONTENT


@pytest.mark.parametrize("pause_s", [0.1, 20.0], ids=["while data flows", "while the server is silent"])
def test_cancel_is_honoured_within_a_second_and_keeps_what_arrived(part, pause_s):
    cancel = CancelToken()
    with serving(Behaviour(CONTENT, pause_s=pause_s)) as server:
        start = time.monotonic()
        threading.Timer(0.4, cancel.cancel).start()
        with pytest.raises(Cancelled):
            download(server.url, part, size=len(CONTENT), cancel=cancel, patience=Patience(timeout_s=30))
        assert time.monotonic() - start < 1.4
    assert 0 < part.stat().st_size < len(CONTENT)


def test_cancel_between_attempts(part):
    cancel = CancelToken()
    with serving(Behaviour(CONTENT, statuses=[503] * 9)) as server:
        start = time.monotonic()
        threading.Timer(0.3, cancel.cancel).start()
        with pytest.raises(Cancelled):
            download(server.url, part, cancel=cancel, patience=Patience(5, attempts=5, backoff_s=30))
        assert time.monotonic() - start < 1.3
