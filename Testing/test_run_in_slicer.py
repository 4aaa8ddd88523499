"""The command that runs the self-tests in a real Slicer: finding it, and not passing when something is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from Testing import run_in_slicer
from Testing.run_in_slicer import FAILED, NO_SLICER, PASSED, TOO_LONG, candidates, command_for, find_slicer, verdict

SCRIPT = Path(run_in_slicer.__file__)
# Slicer's command line, and as much of slicer.util as ends it.
PRETENDER = """#!{python}
import sys, types
code = sys.argv[sys.argv.index("--python-script") + 1]
assert "--testing" in sys.argv and sys.argv[sys.argv.index("--additional-module-paths") + 2].startswith("--")
slicer = types.ModuleType("slicer")
slicer.util = types.SimpleNamespace(exit=sys.exit)
sys.modules["slicer"] = slicer
exec(compile(open(code).read(), code, "exec"), {{"__name__": "__main__"}})
"""
TESTS = {
    "Good": ("def test_a(self): pass", PASSED),
    "Bad": ("def test_a(self): self.assertTrue(False)", FAILED),
    "Crashing": ("def test_a(self): import os; os._exit(0)", FAILED),
    "Empty": ("", FAILED),
    "Observer": ("def test_a(self):\n        print('Traceback (most recent call last):\\n  in an observer')", FAILED),
}


@pytest.fixture
def slicer(tmp_path) -> Path:
    if sys.platform == "win32":
        pytest.skip("a script cannot stand in for Slicer.exe")
    program = tmp_path / "Slicer"
    program.write_text(PRETENDER.format(python=sys.executable))
    program.chmod(0o755)
    return program


def _run(slicer: Path, body: str, *options: str) -> int:
    file = slicer.parent / "SomeTests.py"
    file.write_text(f"import unittest\nclass SomeTests(unittest.TestCase):\n    x = 0\n    {body}\n")
    command = [sys.executable, str(SCRIPT), "--slicer", str(slicer), *options, str(file)]
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60, check=False).returncode


@pytest.mark.parametrize("name", list(TESTS))
def test_the_exit_status_says_whether_all_passed(slicer, name):
    body, expected = TESTS[name]
    assert _run(slicer, body) == expected


@pytest.mark.slow
def test_a_slicer_that_hangs_is_ended_with_all_that_it_started(slicer):
    pids = slicer.parent / "pids"
    body = (
        "def test_a(self):\n"
        "        import subprocess, sys, time, os\n"
        "        child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"        open({str(pids)!r}, 'w').write(str(child.pid))\n"
        "        time.sleep(60)"
    )
    assert _run(slicer, body, "--timeout", "2") == TOO_LONG
    pid = int(pids.read_text())
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{pid}/stat").is_file() and " Z " in Path(f"/proc/{pid}/stat").read_text():
            return  # ended, and not yet buried by its new parent
        time.sleep(0.02)
    pytest.fail("the program that Slicer started still runs")


def test_no_slicer_is_a_status_of_its_own(tmp_path):
    command = [sys.executable, str(SCRIPT), "--slicer", str(tmp_path / "none")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == NO_SLICER
    assert "--slicer" in ran.stderr


@pytest.mark.parametrize(
    ("system", "installed", "expected"),
    [
        ("linux", ["Slicer-5.8.1-linux-amd64/Slicer", "Slicer-5.12.3-linux-amd64/Slicer"], 1),
        ("darwin", ["Applications/Slicer.app/Contents/MacOS/Slicer"], 0),
        (
            "win32",
            ["AppData/Local/slicer.org/3D Slicer 5.8.1/Slicer.exe", "AppData/Local/slicer.org/3D Slicer 5.12.3/Slicer.exe"],
            1,
        ),
    ],
)
def test_slicer_is_found_where_installers_put_it_and_the_newest_first(tmp_path, system, installed, expected):
    for name in installed:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("")
    here = {
        "HOME": str(tmp_path),
        "PATH": "",
        "PROGRAMFILES": str(tmp_path / "none"),
        "LOCALAPPDATA": str(tmp_path / "AppData/Local"),
    }
    found = [path for path in candidates(here, system) if path.is_relative_to(tmp_path)]
    assert found[0] == tmp_path / installed[expected]


def test_a_named_slicer_comes_first(slicer):
    assert find_slicer({"SLICER": str(slicer), "HOME": str(slicer.parent), "PATH": ""}) == slicer


def test_module_paths_do_not_swallow_what_follows():
    command = command_for(Path("Slicer"), Path("t.py"), [Path("a"), Path("b")], window=False)
    after = command[command.index("--additional-module-paths") + 1 :]
    assert after == ["a", "b", "--python-script", "t.py"]
    assert "--no-main-window" in command


def test_failures_are_not_counted_a_second_time_as_loose_errors(capsys):
    output = "=" * 70 + "\nFAIL: a\n" + "-" * 70 + "\nTraceback (most recent call last):\n  x\n\n" + "-" * 70 + "\nRan 1 test\n"
    assert verdict(output, 1, "1 1 0") == FAILED
    assert "0 errors outside" in capsys.readouterr().out
