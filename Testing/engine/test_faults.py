"""What goes wrong with a worker, on a real process: each costs the user a sentence, and nothing else."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace

import numpy as np
import pytest

from MyoScarSegLib.engine.client import Engine, Timeouts
from MyoScarSegLib.errors import Cancelled, EngineError, ModelError, PromptError
from MyoScarSegLib.prompts import Box
from MyoScarSegLib.utils.transport import SubprocessTransport
from Testing.support.engine_factory import SHORT, FaultyEngine, bright_study, pump_until
from Testing.support.until import until

BOX = Box(1, 8, 8, 30, 24)
STUDY = bright_study()
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="faults are signals")


@pytest.fixture
def engine(tmp_path):
    engine = FaultyEngine(tmp_path)
    engine.open_study(STUDY)
    yield engine
    engine.stop()


def works(engine) -> bool:
    return engine.wait(engine.segment(STUDY, [BOX]), timeout_s=20).probability[1][12, 15] == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("crash", "native code (SIGSEGV)"),
        ("killed", "memory ran out"),
        ("quit", "ImportError: nothing works"),
        ("garbage", "no answer"),
        ("nonsense", "cannot be read"),
        ("freeze", "no sign for 1.5 s"),
    ],
)
def test_worker_that_dies_is_replaced_and_what_was_asked_is_asked_again(engine, fault, words):
    said = []
    engine.state_changed.connect(lambda state: said.append(engine.error) if state == "restarting" else None)
    engine.order("segment", fault)
    request = engine.segment(STUDY, [BOX])
    assert engine.wait(request, timeout_s=20).scores == {1: 0.9}
    assert request.crashes == 1 and engine.status().restarts == 1
    assert "ended unexpectedly and was started again" in said[0] and words in said[0]
    assert engine.error == "", "it is of no matter once the answer is there"


def test_confirmed_scar_is_sent_again_to_another_worker(engine):
    scar = np.zeros(STUDY.slice_shape, dtype=bool)
    scar[10:20, 12:24] = True
    engine.order("suggest", "killed")
    found = engine.wait(engine.suggest(STUDY, {1: scar, 2: ~scar}), timeout_s=20)
    assert sorted(box.place for box in found) == [(0, 12, 10, 24, 20), (3, 0, 0, 48, 64)]
    assert found.provenance == {"suggestions": "numpy"}
    with pytest.raises(PromptError, match="slices 0 to 3"):
        engine.suggest(STUDY, {4: scar})


@pytest.mark.parametrize("fault", ["killed", "garbage"])
def test_request_that_ends_a_second_worker_fails_and_is_not_asked_a_third_time(engine, fault):
    engine.order("segment.always", fault)
    request, other = engine.segment(STUDY, [BOX]), engine.propose(STUDY)
    with pytest.raises(EngineError, match=r"ended unexpectedly.*not asked again"):
        engine.wait(request, timeout_s=20)
    (engine.faults / "segment.always").unlink()
    assert len(engine.wait(other, timeout_s=20)) == 4, "what waited behind it costs it nothing"
    assert engine.status().restarts == 2
    assert works(engine)


def test_what_a_dying_worker_said_is_there_to_be_copied(engine):
    engine.order("segment.always", "crash")
    request = engine.segment(STUDY, [BOX])
    with pytest.raises(EngineError):
        engine.wait(request, timeout_s=20)
    (engine.faults / "segment.always").unlink()
    assert "a library's last words" in request.log
    assert "faulty_worker.py" in request.log  # where native code crashed, by faulthandler
    engine.order("segment", "print")
    assert works(engine)
    for printed in ("a library prints", "so does native code"):  # which does not get among the frames
        pump_until(engine, lambda printed=printed: printed in engine.status().log)  # it takes another way than answers
    assert engine.status().restarts == 2, "of the crashes alone"
    log = engine.status().log
    assert log.index("last words") < log.index("a library prints"), "what the next worker says does not hide it"


def test_package_that_is_missing_is_named_with_what_to_do(engine):
    engine.order("encode", "no package")
    request = engine.encode(STUDY)
    with pytest.raises(EngineError, match=r"needs the package torch, which is not installed.*Advanced"):
        engine.wait(request, timeout_s=20)
    assert engine.wait(engine.encode(STUDY), timeout_s=20).slices == [0, 1, 2, 3]


def test_half_a_frame_is_not_waited_for_for_ever(engine):
    engine.order("segment", "half a frame")
    assert works(engine)
    assert engine.status().restarts == 1


@pytest.mark.slow
def test_hanging_work_is_ended(tmp_path):
    engine = FaultyEngine(tmp_path, Timeouts(step_s=1.0))
    try:
        engine.open_study(STUDY)
        engine.order("segment.always", "hang")
        with pytest.raises(EngineError, match="more than 1 s on one slice"):
            engine.wait(engine.segment(STUDY, [BOX]), timeout_s=20)
        (engine.faults / "segment.always").unlink()
        assert works(engine)
    finally:
        engine.stop()


def test_other_requests_survive_a_crash(engine):
    engine.order("segment", "crash")
    requests = [
        engine.segment(STUDY, [BOX]),
        engine.segment(STUDY, [Box(2, 8, 8, 30, 24)]),
        engine.propose(STUDY),
        engine.encode(STUDY),
    ]
    for request in requests:
        engine.wait(request, timeout_s=20)
    assert [request.crashes for request in requests] == [1, 0, 0, 0]
    assert all(request.repeated for request in requests)


def test_background_work_is_tried_again_once_and_then_fails(engine):
    engine.order("encode", "crash")
    assert engine.wait(engine.encode(STUDY), timeout_s=20).slices == [0, 1, 2, 3]
    engine.order("encode.always", "crash")
    with pytest.raises(EngineError):
        engine.wait(engine.encode(STUDY), timeout_s=20)
    assert engine.state == "ready" or engine.state == "restarting"


def test_worker_that_crashes_again_and_again_is_given_up_until_started_again(engine):
    engine.order("segment.always", "quit")
    for _ in range(2):  # each of them twice
        with pytest.raises(EngineError):
            engine.wait(engine.segment(STUDY, [BOX]), timeout_s=20)
    assert engine.state == "failed"
    assert "4 times in a minute" in engine.status().error
    assert "ImportError: nothing works" in engine.status().log
    refused = engine.segment(STUDY, [BOX])
    told = []
    refused.on_done(told.append)
    assert refused.state == "failed" and told == []
    engine.pump()
    assert told == [refused] and "Retry" in refused.error
    (engine.faults / "segment.always").unlink()
    engine.start()
    assert works(engine)
    assert engine.status().error == ""


def test_worker_that_cannot_start_is_given_up_with_what_it_said(engine):
    engine.order("start.always", "quit")
    with pytest.raises(EngineError, match=r"failed to start 4 times.*ImportError: nothing works"):
        engine.wait(engine.propose(STUDY), timeout_s=20)
    assert engine.state == "failed"


def test_python_that_is_missing_is_a_sentence(tmp_path):
    engine = Engine(python=str(tmp_path / "no-python"))
    engine.open_study(STUDY)
    with pytest.raises(EngineError, match="cannot be started"):
        engine.wait(engine.propose(STUDY), timeout_s=5)
    assert engine.state == "failed"


@pytest.mark.slow
def test_slow_start_is_waited_for(engine):
    engine.order("start", "sleep 2.0")  # longer than the silence that a running worker is allowed
    request = engine.segment(STUDY, [BOX])
    engine.pump()
    assert engine.state == "starting"
    assert engine.wait(request, timeout_s=20).scores == {1: 0.9}
    assert engine.status().restarts == 0


@pytest.mark.slow
def test_start_that_never_ends_is_given_up(tmp_path):
    engine = FaultyEngine(tmp_path, Timeouts(start_s=0.3))
    engine.order("start.always", "hang")
    engine.open_study(STUDY)
    with pytest.raises(EngineError, match=r"no sign for 0\.3 s"):
        engine.wait(engine.propose(STUDY), timeout_s=20)
    assert engine.state == "failed"


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("memory", EngineError, "Segmenting failed: there is too little memory"),
        ("unexpected", EngineError, "Segmenting failed: division by zero in the network"),
        ("no model", ModelError, "no model called 'heart'"),
    ],
)
def test_error_in_the_work_is_a_sentence_and_costs_no_worker(engine, fault, error, words):
    engine.order("segment", fault)
    request = engine.segment(STUDY, [BOX])
    with pytest.raises(error, match=words):
        engine.wait(request, timeout_s=20)
    assert "Traceback" in request.log
    assert works(engine)
    assert engine.status().restarts == 0


def test_answer_that_is_too_large_to_be_sent_is_a_sentence_and_costs_no_worker(engine):
    engine.order("segment", "too large")
    with pytest.raises(EngineError, match="too much to be sent at once"):
        engine.wait(engine.segment(STUDY, [BOX]), timeout_s=20)
    assert len(engine.wait(engine.propose(STUDY), timeout_s=20)) == 4
    assert engine.status().restarts == 0


# ---- cancel


@pytest.mark.parametrize("fault", ["hang", "freeze"])
def test_cancel_holds_within_a_second_though_the_worker_does_not_answer(engine, fault):
    engine.order("segment", fault)
    request = engine.segment(STUDY, [BOX])
    other = engine.propose(STUDY)
    engine.until_struck()
    pump_until(engine, lambda: request.state == "running")
    request.cancel()
    pump_until(engine, lambda: request.finished)
    assert request.state == "cancelled"
    # By the engine's own count, which leaves out the time in which the test did not come to its turn.
    assert request.cancelling_s <= SHORT.cancel_s + 0.25 and SHORT.cancel_s + 0.25 < 1.0
    with pytest.raises(Cancelled):
        request.value()
    assert len(engine.wait(other, timeout_s=20)) == 4
    assert works(engine)


def test_cancel_that_is_answered_keeps_the_worker(tmp_path):
    engine = FaultyEngine(tmp_path, replace(SHORT, cancel_s=60.0))
    engine.order("segment", "sleep 0.3")
    request = engine.segment(STUDY, [BOX])
    engine.until_struck()
    pump_until(engine, lambda: request.state == "running")
    request.cancel()
    pump_until(engine, lambda: request.finished)
    assert request.state == "cancelled" and request.result is None
    assert works(engine)
    assert len(engine.transports) == 1
    engine.stop()


def test_request_that_waits_is_cancelled_at_once_and_never_done(engine):
    engine.order("segment", "sleep 0.3")
    first, second = engine.segment(STUDY, [BOX]), engine.segment(STUDY, [Box(3, 8, 8, 30, 24)])
    told = []
    second.on_done(told.append)
    engine.until_struck()
    second.cancel()
    assert second.state == "cancelled" and told == []  # callbacks come from pump alone
    engine.wait(first, timeout_s=20)
    assert told == [second]
    assert works(engine)
    assert "segment [3]" not in engine.done()


def test_cancelling_background_work_never_costs_the_worker(engine):
    engine.order("encode", "sleep 1.0")
    request = engine.encode(STUDY)
    engine.until_struck()
    pump_until(engine, lambda: request.state == "running")
    request.cancel()
    assert request.state == "cancelled"
    assert works(engine)
    assert len(engine.transports) == 1
    assert "encode 1" not in engine.done()


def test_closing_a_study_cancels_what_is_asked_of_it(engine):
    engine.order("segment", "sleep 0.2")
    request, of_other = engine.segment(STUDY, [BOX]), engine.segment(bright_study(), [BOX])
    engine.close_study(STUDY)
    assert engine.wait(of_other, timeout_s=20).scores == {1: 0.9}
    assert request.state == "cancelled"
    assert works(engine), "it can be asked of again"


# ---- the process


def test_worker_leaves_when_its_application_is_gone(engine):
    assert works(engine)
    pid = engine.status().pid
    engine.transports[0].close()
    pump_until(engine, lambda: engine.status().pid not in (None, pid))


def test_stop_ends_the_process_and_cancels_what_was_asked(engine):
    assert works(engine)
    pid = engine.status().pid
    engine.order("segment", "hang")
    request = engine.segment(STUDY, [BOX])
    engine.until_struck()
    engine.stop()
    assert request.state == "cancelled" and engine.state == "stopped"
    until(lambda: gone(pid), "the worker is still there")
    assert works(engine), "it can be started again, and knows its studies"


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_killing_the_idle_worker_costs_no_request_anything(engine):
    assert works(engine)
    os.kill(engine.status().pid, signal.SIGKILL)
    assert works(engine)
    assert engine.status().restarts == 1


def test_nothing_blocks_though_the_worker_does_not_read(engine):
    assert works(engine)
    engine.order("segment", "freeze")
    engine.segment(STUDY, [BOX])
    engine.until_struck()
    for _n in range(5):  # it will never read them: what waits for it would wait for ever
        engine.open_study(bright_study(60))  # far more than a pipe holds
        engine.pump()


def test_exit_of_the_process_is_told_once_after_its_last_bytes(tmp_path):
    told = []
    code = "import os, sys; os.write(1, b'x' * 200_000); sys.stderr.write('so long'); os._exit(7)"
    transport = SubprocessTransport([sys.executable, "-c", code], dict(os.environ))
    transport.on_bytes = lambda data: told.append(len(data))
    transport.on_exit = lambda status, tail: told.append((status, tail))
    transport.start()
    until(lambda: told and isinstance(told[-1], tuple), turn=transport.pump)
    assert sum(told[:-1]) == 200_000
    assert told[-1] == (7, "so long")
    transport.write(b"ignored")
    transport.kill()
