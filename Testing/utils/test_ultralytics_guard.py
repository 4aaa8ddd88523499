"""ultralytics is imported without network, chatter, changed threads, or files outside our cache folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PROBE = """
    import os, socket, sys
    sys.path.insert(0, REPOSITORY)

    def refuse(*arguments, **named):
        raise RuntimeError("a socket was opened")

    class Refused(socket.socket):
        def __init__(self, *arguments, **named):
            refuse()

    socket.socket = Refused
    socket.create_connection = socket.getaddrinfo = socket.gethostbyname = refuse
    written = []

    def hook(event, arguments):
        if event == "open" and isinstance(arguments[0], (str, bytes)) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            written.append(os.fsdecode(arguments[0]))
        if event in ("os.mkdir", "os.rename", "shutil.copyfile", "subprocess.Popen", "os.system", "os.posix_spawn"):
            written.append(event + " " + str(arguments[0]))
        if event.startswith("socket."):
            refuse()

    sys.addaudithook(hook)
    BODY
    import json
    print("WRITTEN", json.dumps(written))
"""


def run(body: str, home: Path, cache: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not re.match("YOLO|OMP|MPL|XDG|PYTEST", k)}
    environment.update(HOME=str(home), MYOSCARSEG_CACHE=str(cache), PYTHONDONTWRITEBYTECODE="1", TMPDIR=str(home / "tmp"), **more)
    (home / "tmp").mkdir(parents=True)
    code = textwrap.dedent(PROBE).replace("REPOSITORY", repr(str(REPOSITORY))).replace("BODY", textwrap.dedent(body).strip())
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=home, check=False)


def test_import_says_nothing_opens_no_socket_and_writes_only_in_our_cache(tmp_path):
    home, cache = tmp_path / "home", tmp_path / "cache"
    done = run(
        "from MyoScarSegLib.utils.ultralytics_guard import import_ultralytics; import_ultralytics()\nimport ultralytics.nn.tasks",
        home,
        cache,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("WRITTEN")[0] == "" and done.stderr == ""
    written = json.loads(done.stdout.split("WRITTEN ")[1])
    outside = [
        w for w in written if str(cache) not in w and not w.startswith(("/dev/null", str(home / "tmp"), "subprocess.Popen"))
    ]
    assert outside == []
    assert [p for p in home.rglob("*") if p.is_file()] == []
    assert (cache / "ultralytics").is_dir()


def test_threads_and_their_setting_stay_as_they_were(tmp_path):
    body = """
from MyoScarSegLib.utils.ultralytics_guard import import_ultralytics; import_ultralytics()
import torch
print(os.environ.get("OMP_NUM_THREADS"), torch.get_num_threads())
"""
    with ThreadPoolExecutor(2) as pool:
        set_to_two = pool.submit(run, body, tmp_path / "b", tmp_path / "c2", OMP_NUM_THREADS="2")
        plain = run("import torch; print(torch.get_num_threads())", tmp_path / "p", tmp_path / "c")
        free = run(body, tmp_path / "a", tmp_path / "c")
    assert free.stdout.splitlines()[0] == f"None {plain.stdout.splitlines()[0]}"
    assert set_to_two.result().stdout.splitlines()[0] == "2 2"


def test_telemetry_is_off(tmp_path):
    body = """
from MyoScarSegLib.utils.ultralytics_guard import import_ultralytics; import_ultralytics()
from ultralytics.utils import AUTOINSTALL, ONLINE, SETTINGS
from ultralytics.utils.events import events
print(AUTOINSTALL, ONLINE, SETTINGS["sync"], SETTINGS.get("hub", False), events.enabled)
"""
    done = run(body, tmp_path / "h", tmp_path / "c")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "False False False False False", done.stderr


def test_ultralytics_is_imported_through_the_one_door_only():
    offenders = []
    for path in (REPOSITORY / "MyoScarSegLib").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        imports = re.search(r"^\s*(from|import) ultralytics", text, flags=re.MULTILINE)
        if imports and path.name != "quiet.py" and "import_ultralytics" not in text:
            offenders.append(path.name)
        assert not re.search(r"^(from|import) ultralytics", text, flags=re.MULTILINE), f"{path} imports ultralytics when it loads"
    assert offenders == []


def test_pillow_opens_pictures_as_before(tmp_path):
    code = """
from PIL import Image
before = Image.open
from MyoScarSegLib.utils.ultralytics_guard import import_ultralytics
import_ultralytics()
import ultralytics.nn.tasks, ultralytics.models.sam.modules.tiny_encoder
assert Image.open is before
"""
    subprocess.run([sys.executable, "-c", code], check=True)
