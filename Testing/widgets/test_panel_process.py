"""The worker's transport on a QProcess: bytes in pieces, an end that is told once, and writing that never waits."""

from __future__ import annotations

import os
import sys

import pytest

from MyoScarSegLib.utils.background_task import BackgroundTask
from Testing.support.until import until


@pytest.fixture
def start(application):
    """Starts Python code on the transport; collects what it says."""
    from MyoScarSegLib.widgets.process import QProcessTransport, wait_for_killed

    transports = []

    def begin(code: str, program: str = sys.executable):
        transport = QProcessTransport([program, "-c", code], dict(os.environ))
        transport.got, transport.ends = bytearray(), []
        transport.on_bytes = transport.got.extend
        transport.on_exit = lambda code, tail: transport.ends.append((code, tail))
        transport.start()
        transports.append(transport)
        return transport

    yield begin
    for transport in transports:
        transport.kill()
    wait_for_killed(5)


ECHO = "import sys; data = sys.stdin.buffer.read(); sys.stdout.buffer.write(data[::-1]); print('said', file=sys.stderr)"


def test_bytes_go_there_and_back_and_the_end_comes_last(application, start):
    transport = start(ECHO)
    data = os.urandom(3_000_000)
    transport.write(data)
    transport.close()
    until(lambda: transport.ends, turn=application.app.processEvents)
    assert bytes(transport.got) == data[::-1]
    assert transport.ends == [(0, "said\n")]


def test_writing_to_a_process_that_does_not_read_returns_at_once(application, start):
    transport = start("import time; time.sleep(30)")
    transport.write(bytes(20_000_000))  # more than any pipe holds: a write that waited would never return
    transport.kill()
    until(lambda: transport.ends, turn=application.app.processEvents)
    assert transport.ends[0][0] < 0, "a negative number: killed by a signal, as subprocess has it"


def test_end_is_told_once_with_its_status(application, start):
    transport = start("import sys; print('why', file=sys.stderr); sys.exit(3)")
    until(lambda: transport.ends, turn=application.app.processEvents)
    transport.write(b"late")
    transport.close()
    transport.kill()
    assert transport.ends == [(3, "why\n")]


def test_program_that_is_not_there_is_told_as_an_end(application, start):
    transport = start("", program="/nowhere/PythonSlicer")
    until(lambda: transport.ends, turn=application.app.processEvents)
    ((code, tail),) = transport.ends
    assert code == 127
    assert "/nowhere/PythonSlicer" in tail


@pytest.mark.parametrize("deaths", [1, 2])
def test_task_whose_process_dies_is_done_once_more(application, tmp_path, deaths):
    from MyoScarSegLib.widgets.process import QProcessTransport

    python = tmp_path / "python"
    died = f'[ "$(wc -l < "{tmp_path}/died")" -lt {deaths} ] && echo >> "{tmp_path}/died" && kill -9 $$'
    python.write_text(f'#!/bin/sh\n{died}\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (tmp_path / "died").touch()
    task = BackgroundTask("MyoScarSegLib.phantom", {"path": str(tmp_path / "phantom.npz"), "seed": 11})
    task.start(python=str(python), transport=QProcessTransport)
    until(lambda: task.finished, turn=application.app.processEvents)
    assert (task.state, bool(task.error)) == (("done", False) if deaths == 1 else ("failed", True))
    assert (tmp_path / "phantom.npz").is_file() == (deaths == 1)


def test_download_of_a_model_that_is_none_is_a_sentence(application):
    from MyoScarSegLib.widgets.process import QProcessTransport

    task = BackgroundTask("MyoScarSegLib.models", {"names": ["no-such-model"]}).start(transport=QProcessTransport)
    until(lambda: task.finished, turn=application.app.processEvents)
    assert task.state == "failed" and "no-such-model" in task.error
