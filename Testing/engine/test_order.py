"""What is done first, what is told when, and what a caller may do in a callback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from MyoScarSegLib import __version__
from MyoScarSegLib.engine import protocol
from MyoScarSegLib.engine.client import Engine, EngineSettings
from MyoScarSegLib.engine.protocol import FrameReader
from MyoScarSegLib.errors import Cancelled, EngineError
from MyoScarSegLib.prompts import Box
from MyoScarSegLib.utils import processes
from MyoScarSegLib.utils.transport import ignore_bytes, ignore_exit
from Testing.support.engine_factory import FaultyEngine, bright_study

STUDY = bright_study(6)

needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="the faulty worker needs signals")


@pytest.fixture
def faulty(tmp_path):
    engine = FaultyEngine(tmp_path)
    engine.open_study(STUDY)
    yield engine
    engine.stop()


@needs_signals
def test_edit_is_answered_before_the_rest_is_encoded_and_the_slice_looked_at_comes_first(faulty):
    faulty.order("encode", "sleep 0.2")
    encoding = faulty.encode(STUDY, [2, 3, 1, 4, 0, 5])
    faulty.until_struck()
    proposing, segmenting = faulty.propose(STUDY), faulty.segment(STUDY, [Box(4, 8, 8, 30, 24)])
    faulty.prefer(STUDY, 5)
    ended = []
    for request in (encoding, proposing, segmenting):
        request.on_done(lambda r: ended.append(r.what))
    assert faulty.wait(encoding, timeout_s=20).slices == [5, 2, 3, 1, 4, 0]
    assert ended == ["segment", "propose", "encode"]
    assert faulty.done() == ["encode 5", "segment [4]", *(f"encode {k}" for k in (2, 3, 1, 4, 0))]


def test_an_edit_comes_with_the_boxes_of_other_slices_which_tell_it_of_scar(faulty):
    boxes = [Box(k, 8, 8, 30, 24) for k in (2, 3, 4)]
    result = faulty.wait(faulty.segment(STUDY, boxes, slices=[3]), timeout_s=20)
    assert list(result.scores) == [3]
    assert (faulty.faults / "boxes").read_text() == "[2, 3, 4]"


@needs_signals
def test_slice_looked_at_comes_first_after_a_restart_too(faulty):
    faulty.order("encode", "crash")
    encoding = faulty.encode(STUDY, range(6))
    faulty.until_struck()
    faulty.prefer(STUDY, 4)
    assert faulty.wait(encoding, timeout_s=20).slices[0] == 4


@needs_signals
def test_callback_may_wait_for_another_request(faulty):
    results = []

    def then_segment(request):
        results.append(faulty.wait(faulty.segment(STUDY, [Box(1, 8, 8, 30, 24)]), timeout_s=20))

    request = faulty.propose(STUDY)
    request.on_done(then_segment)
    faulty.wait(request, timeout_s=20)
    while not results:
        faulty.pump()
    assert results[0].scores == {1: 0.9}


@needs_signals
def test_fault_in_a_callback_costs_no_other_callback(faulty, caplog):
    told = []
    request = faulty.propose(STUDY)
    request.on_done(lambda r: 1 / 0)
    request.on_done(told.append)
    faulty.wait(request, timeout_s=20)
    faulty.pump()
    assert told == [request]
    assert "ZeroDivisionError" in caplog.text


@needs_signals
def test_waiting_processes_events_and_can_be_given_up(faulty):
    faulty.order("segment", "sleep 0.5")
    request = faulty.segment(STUDY, [Box(1, 8, 8, 30, 24)])
    turns = []
    with pytest.raises(EngineError, match="It goes on"):
        faulty.wait(request, lambda: turns.append(1), timeout_s=0.1)
    assert turns and not request.finished
    assert faulty.wait(request, timeout_s=20).scores == {1: 0.9}


# ---- a transport whose events come by themselves, as in the application


class DirectTransport:
    """Plays the worker; what it says arrives by a callback outside of pump, whenever the test says so."""

    pid = None

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.on_bytes: Callable[[bytes], None] = ignore_bytes
        self.on_exit: Callable[[int, str], None] = ignore_exit
        self.received: list[dict] = []
        self.killed = False
        self._reader = FrameReader()

    def start(self) -> None:
        pass

    def write(self, data: bytes) -> None:
        self.received += self._reader.feed(data)

    def pump(self) -> None:
        pass

    def close(self) -> None:
        pass

    def kill(self) -> None:
        self.killed = True

    def stderr_tail(self) -> str:
        return ""

    def say(self, **fields: object) -> None:
        self.on_bytes(protocol.pack(fields))

    def greet(self, **fields: object) -> None:
        hello = {"type": "hello", "protocol": protocol.VERSION, "version": __version__, "pid": 1, "python_version": "3"}
        self.say(**{**hello, **fields})

    def asked(self) -> list[int]:
        return [fields["id"] for fields in self.received if fields["type"] == "request"]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def transports():
    return []


@pytest.fixture
def engine(transports, clock):
    def factory(command, environment):
        transports.append(DirectTransport(command, environment))
        return transports[-1]

    engine = Engine(factory, python="PythonSlicer", clock=clock)
    engine.open_study(STUDY)
    return engine


def test_events_outside_of_pump_wake_and_are_delivered_in_pump(engine, transports):
    woken, states, told = [], [], []
    engine.woken.connect(lambda: woken.append(1))
    remove = engine.state_changed.connect(states.append)
    engine.configure(EngineSettings(device="cpu"))
    request = engine.propose(STUDY)
    request.on_done(told.append)
    assert engine.state == "starting" and transports[0].received == []
    assert woken, "that something was asked is told"
    woken.clear()
    transports[0].greet()
    assert woken and engine.state == "starting"
    engine.pump()
    assert engine.state == "working"
    assert [fields["type"] for fields in transports[0].received] == ["configure", "study", "request"]
    assert transports[0].received[0]["settings"]["device"] == "cpu"
    transports[0].say(type="at", id=request.id, loading=False)
    transports[0].say(type="done", id=request.id, boxes=[], failed_slices={}, provenance={}, heart=None)
    assert told == [] and request.state == "pending"
    engine.pump()
    assert told == [request] and request.result == []
    assert states == ["working", "ready"]
    remove()
    engine.stop()
    engine.pump()
    assert states == ["working", "ready"]


def test_command_and_environment_start_a_worker_with_any_python(engine):
    command, environment = engine.command(), engine.environment()
    assert command[:3] == ["PythonSlicer", "-m", "MyoScarSegLib.engine.worker"]
    assert environment["PYTHONPATH"].split(":" if sys.platform != "win32" else ";")[0]
    engine.configure(EngineSettings(threads=3))
    assert engine.environment()["OMP_NUM_THREADS"] == "3"


def test_time_left_is_told_once_a_step_is_done(engine, transports, clock):
    request = engine.propose(STUDY)
    transports[0].greet()
    for at, done, message in ((0.0, 0, "Loading"), (5.0, 0, "Boxes: slice 0"), (6.0, 1, "Boxes: slice 1"), (7.0, 2, "Boxes")):
        clock.now = at
        transports[0].say(type="progress", id=request.id, done=done, total=6, message=message)
        engine.pump()
        if done == 0:
            assert request.progress.seconds_left is None
    assert request.progress == (2, 6, "Boxes", 4.0)


def test_answers_of_an_earlier_worker_are_not_heard(engine, transports):
    request = engine.propose(STUDY)
    first = transports[0]
    late_bytes, late_exit = first.on_bytes, first.on_exit
    first.greet()
    engine.pump()
    first.on_exit(-11, "")
    engine.pump()
    transports[1].greet()
    engine.pump()
    late_bytes(protocol.pack({"type": "done", "id": request.id, "boxes": [], "failed_slices": {}, "provenance": {}}))
    late_exit(-11, "")
    engine.pump()
    assert request.state == "pending" and len(transports) == 2
    assert transports[1].asked() == [request.id]


def test_worker_that_says_garbage_before_what_it_was_at_is_not_asked_for_ever(engine, transports, clock):
    request = engine.propose(STUDY)
    for n in range(2):
        clock.now += 1000.0  # so that it is not the number of restarts in a minute that ends it
        transports[n].greet()
        engine.pump()
        transports[n].on_bytes(b"no frame of ours, though long enough")
        engine.pump()
    assert request.state == "failed" and "not asked again" in request.error
    assert transports[2].asked() == []


def test_worker_that_never_starts_is_given_up_however_long_each_start_took(engine, transports, clock):
    request = engine.propose(STUDY)
    for n in range(4):
        clock.now += 1000.0
        transports[n].on_exit(3, "")
        engine.pump()
    assert engine.state == "failed" and request.state == "failed"


@needs_signals
@pytest.mark.parametrize("later", ["the same process", "another one with its number"])
def test_worker_behind_a_launcher_is_ended_only_while_its_number_means_it(engine, transports, monkeypatch, later):
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        engine.start()
        transports[0].pid = process.pid + 1  # of the launcher
        transports[0].greet(pid=process.pid)
        engine.pump()
        if later != "the same process":
            monkeypatch.setattr(processes, "birth_of", lambda _pid: "later")
        engine.stop()
        if later == "the same process":
            assert process.wait(10) == -signal.SIGKILL
        else:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.2)
    finally:
        process.kill()
        process.wait()


def test_birth_tells_one_process_from_another_and_from_none():
    own = processes.birth_of(os.getpid())
    assert own and own == processes.birth_of(os.getpid())
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert processes.birth_of(process.pid) == ""


def test_answers_before_the_end_count(engine, transports):
    request = engine.propose(STUDY)
    transports[0].greet()
    transports[0].say(type="done", id=request.id, boxes=[], failed_slices={}, provenance={}, heart=None)
    transports[0].on_exit(1, "")
    engine.pump()
    assert request.state == "done"


def test_busy_application_does_not_take_the_worker_for_dead(engine, transports, clock):
    engine.start()
    transports[0].greet()
    engine.pump()
    clock.now = 1000.0  # a file dialog was open
    engine.pump()
    assert engine.state == "ready" and len(transports) == 1
    for _ in range(150):
        clock.now += 0.2
        engine.pump()
    assert len(transports) == 1 and not engine.busy, "one that has nothing to do gives no signs"
    engine.propose(STUDY)
    for _ in range(150):
        clock.now += 0.2
        engine.pump()
    assert len(transports) > 1, "but a worker that is silent while it is watched is replaced"


def test_loading_may_take_long_and_is_not_killed_by_a_cancel(engine, transports, clock):
    request = engine.propose(STUDY)
    transports[0].greet()
    transports[0].say(type="at", id=request.id, loading=True)
    engine.pump()
    for _ in range(400):
        clock.now += 0.2
        engine.pump()
    request.cancel()
    assert request.state == "cancelled"
    for _ in range(20):
        clock.now += 0.2
        engine.pump()
    assert len(transports) == 1 and not transports[0].killed
    transports[0].say(type="done", id=request.id, boxes=[], failed_slices={}, provenance={}, heart=None)
    engine.pump()
    assert request.state == "cancelled"
    with pytest.raises(Cancelled):
        engine.wait(request)


def test_worker_of_another_version_is_refused_with_a_sentence(engine, transports):
    request = engine.propose(STUDY)
    transports[0].greet(version="0.0.1")
    engine.pump()
    assert engine.state == "failed" and request.state == "failed"
    assert "another version (0.0.1)" in request.error
    assert transports[0].killed


def test_callback_given_after_the_end_is_called_at_the_next_pump(engine, transports):
    request = engine.models()
    transports[0].greet()
    transports[0].say(type="done", id=request.id, value=[])
    engine.pump()
    told = []
    request.on_done(told.append)
    assert told == []
    engine.pump()
    assert told == [request]


def test_death_behind_a_launcher_is_said_in_words():
    """PythonSlicer ends with status 1 and a line of its own, whatever ended the interpreter."""
    from MyoScarSegLib.utils.exit_status import how_it_ended

    said = how_it_ended(1, "error: [/opt/Slicer/bin/python-real] exit abnormally - Report the problem.\n")
    assert "ended from outside" in said and "Report the problem" not in said


def test_a_worker_gives_signs_of_life_only_while_it_has_work(monkeypatch):
    from MyoScarSegLib.engine import worker as module
    from MyoScarSegLib.engine.request_queue import Asked

    class Over(Exception):
        pass

    class Writer:
        def __init__(self):
            self.sent = []

        def send(self, fields):
            self.sent.append(fields["type"])

    writer, slept = Writer(), []
    worker = module.Worker(writer)

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) > 3:
            worker._at = Asked(1, "propose", "s", {})
        if len(slept) > 5:
            raise Over

    monkeypatch.setattr(module.time, "sleep", sleep)
    with pytest.raises(Over):
        worker.heartbeat()
    assert writer.sent == ["heartbeat"] * 2, "three times there was no work, twice there was"
